/* The password of the command: see password.h. */
#include "command/password.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refuse(const char *path, const char *why, struct vlock_error *error)
{
    return vlock_error_set(error, VLOCK_ERR_USAGE,
                           "--password-file: cannot read a password from %s: %s", path, why);
}

/* The file's first line, as a text. -1 where it has none that could be a password. */
static int read_password(const char *path, char *line, size_t size, struct vlock_error *error)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return refuse(path, strerror(errno), error);
    errno = 0;
    size_t length = fread(line, 1, size, file);
    int number = errno;
    bool has_failed = ferror(file);
    fclose(file);
    if (has_failed)
        return refuse(path, strerror(number), error);
    if (length == 0)
        return refuse(path, "it is empty", error);
    char *end = memchr(line, '\n', length);
    if (!end && length == size)
        return refuse(path, "its first line is too long", error);
    end = end ? end : line + length;
    if (end > line && end[-1] == '\r')
        end--;
    if (memchr(line, '\0', (size_t)(end - line)))
        return refuse(path, "its first line holds a zero byte", error);
    *end = '\0';
    return 0;
}

int vlock_password_find(const char *path, char *line, size_t size, const char **password,
                        struct vlock_error *error)
{
    *password = path ? line : getenv("REDISCLI_AUTH");
    return path ? read_password(path, line, size, error) : 0;
}
