/* Errors of the C interface: a code to act on and a message to show. Part of the public interface,
 * included by vlock.h. */
#ifndef VLOCK_ERROR_H
#define VLOCK_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

enum vlock_code {
    VLOCK_OK = 0,
    /* The caller asked for something that makes no sense; nothing was done. */
    VLOCK_ERR_USAGE,
    VLOCK_ERR_SCRIPT,      /* Lua code raised an error */
    VLOCK_ERR_UNREACHABLE, /* the server cannot be reached, or refused us; nothing was sent */
    VLOCK_ERR_REPLY,       /* the server answered with an error */
    VLOCK_ERR_AMBIGUOUS,   /* a command was sent and no answer came: whether it ran is unknown */
    VLOCK_ERR_GAVE_UP,     /* the policy ended an update; it was not applied */
    VLOCK_ERR_INTERRUPTED, /* ended from outside */
    VLOCK_ERR_MEMORY,
    VLOCK_ERR_SYSTEM, /* the operating system refused something */
};

/* Filled in by the functions that take one, when they fail. The message is text in one or several
 * lines, cut where it is longer. */
struct vlock_error {
    enum vlock_code code;
    char message[2048];
};

/* Sets both, printf-like; `error` may be NULL. Returns -1, so that it can end a function. */
int vlock_error_set(struct vlock_error *error, enum vlock_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif

#endif
