/* A forked child that watches over something: see child.h. */
#include "process/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/sigpipe.h"

static void close_all_but(int kept, int also_kept)
{
    int low = kept < also_kept ? kept : also_kept, high = kept < also_kept ? also_kept : kept;
    if (low > 0)
        close_range(0, (unsigned)low - 1, 0);
    if (high > low + 1)
        close_range((unsigned)(low + 1), (unsigned)high - 1, 0);
    close_range((unsigned)high + 1, ~0U, 0);
    while (open("/dev/null", O_RDWR) < STDERR_FILENO)
        continue;
}

void vlock_child_detach(const char *name, int kept, int also_kept)
{
    prctl(PR_SET_NAME, name);
    setsid();
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    close_all_but(kept, also_kept);
}

void vlock_child_dismiss(int lifeline)
{
    struct vlock_sigpipe held;
    vlock_sigpipe_hold(&held);
    while (write(lifeline, "", 1) < 0 && errno == EINTR)
        continue;
    vlock_sigpipe_release(&held);
    close(lifeline);
}

int vlock_child_watch(pid_t child)
{
    return child > 0 ? pidfd_open(child, 0) : -1;
}

void vlock_child_wait(pid_t child, int watch)
{
    siginfo_t status;
    int result;
    if (child <= 0)
        return;
    do
        result = watch >= 0                    ? waitid(P_PIDFD, (id_t)watch, &status, WEXITED)
                 : waitpid(child, NULL, 0) < 0 ? -1
                                               : 0;
    while (result < 0 && errno == EINTR);
    if (watch >= 0)
        close(watch);
}

void vlock_child_reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
}
