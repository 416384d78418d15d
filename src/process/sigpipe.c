/* Writes to connections that are gone: see sigpipe.h. */
#include "process/sigpipe.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

bool vlock_sigpipe_is_ignored(void)
{
    struct sigaction present;
    return sigaction(SIGPIPE, NULL, &present) == 0 && present.sa_handler == SIG_IGN;
}

static sigset_t the_signal(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    return set;
}

void vlock_sigpipe_hold(struct vlock_sigpipe *held)
{
    sigset_t pending, set = the_signal();
    held->was_pending = sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, &held->mask);
}

void vlock_sigpipe_release(const struct vlock_sigpipe *held)
{
    static const struct timespec at_once;
    sigset_t set = the_signal();
    if (!held->was_pending) /* the one that is pending is for others */
        while (sigtimedwait(&set, NULL, &at_once) < 0 && errno == EINTR)
            continue;
    pthread_sigmask(SIG_SETMASK, &held->mask, NULL);
}
