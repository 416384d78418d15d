/* Texts for a terminal, which takes control characters for orders. */
#ifndef VLOCK_PRINTABLE_H
#define VLOCK_PRINTABLE_H

#include <stddef.h>

#define VLOCK_PRINTABLE_SIZE 5 /* bytes that a step writes at most, and a NUL */

/*
 * Takes one character of UTF-8 from a text that is not empty and writes what a terminal may be sent
 * in its place, ended by a NUL: the character itself, ends of lines and tabs among them, or \xNN
 * for each byte that is another control character (those of Latin-1 included) or belongs to no
 * character. Returns the number of bytes taken.
 */
size_t vlock_printable_step(const char *text, size_t length, char shown[VLOCK_PRINTABLE_SIZE]);

#endif
