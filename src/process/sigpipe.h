/* Keeps SIGPIPE, which a write to a connection that is gone brings, from ending a program that has
 * made no arrangement for it. */
#ifndef VLOCK_SIGPIPE_H
#define VLOCK_SIGPIPE_H

#include <signal.h>
#include <stdbool.h>

/* Whether the process ignores the signal: then there is nothing to do. */
bool vlock_sigpipe_is_ignored(void);

struct vlock_sigpipe {
    sigset_t mask; /* of the thread, as it was */
    bool was_pending;
};

/* Around a write: between these two the thread does not get the signal, and afterwards it is as if
 * there had been none. */
void vlock_sigpipe_hold(struct vlock_sigpipe *held);
void vlock_sigpipe_release(const struct vlock_sigpipe *held);

#endif
