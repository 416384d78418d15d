/* The password of the command: from a file, or from the environment. */
#ifndef VLOCK_PASSWORD_H
#define VLOCK_PASSWORD_H

#include <stddef.h>

#include "vlock_error.h"

/* Makes *password the first line of the file at `path`, which is read into the `size` bytes at
 * `line`; without a path REDISCLI_AUTH; NULL where there is neither. An empty one is none. 0, or -1
 * with VLOCK_ERR_USAGE where the file has no line that could be a password. */
int vlock_password_find(const char *path, char *line, size_t size, const char **password,
                        struct vlock_error *error);

#endif
