/* Errors of the C interface: see vlock_error.h. */
#include "vlock_error.h"

#include <stdarg.h>
#include <stdio.h>

int vlock_error_set(struct vlock_error *error, enum vlock_code code, const char *format, ...)
{
    if (!error)
        return -1;
    va_list arguments;
    va_start(arguments, format);
    error->code = code;
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    return -1;
}
