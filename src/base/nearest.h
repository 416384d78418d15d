/* The name that was probably meant, for messages about a mistyped one. */
#ifndef VLOCK_NEAREST_H
#define VLOCK_NEAREST_H

#include <stddef.h>

/* The nearest of `count` known words by the number of letters to add, drop, change or swap (optimal
 * string alignment distance), the first of equals; NULL where none is within a third of the word's
 * length, and at least 1. A word that begins a known one, with three letters or more, is near.
 * Words longer than 63 letters are near to nothing. */
const char *vlock_nearest(const char *word, const char *const *known, size_t count);

#endif
