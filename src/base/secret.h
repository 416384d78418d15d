/* Passwords in texts: what is to be hidden before a text is shown. */
#ifndef VLOCK_SECRET_H
#define VLOCK_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Finds the first password of a URL in a text of which *at bytes are done: from *at on *count bytes
 * are it. What stands alone before the @ counts too: a user, or a password by mistake. The last @
 * before the path ends it, as in url.h. False where there is none.
 */
bool vlock_secret_find(const char *text, size_t length, size_t *at, size_t *count);

/* Writes * over the passwords of a text that ends with a NUL, in place: for the words of the
 * command line, which everybody on the machine may read while it runs. */
void vlock_secret_overwrite(char *text);

#endif
