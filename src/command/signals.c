/* What signals do to vlockrun: see signals.h. */
#include "command/signals.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "command/exit_codes.h"

#define WATCHDOG_SECONDS 5
#define LONGEST_ENDING_SECONDS 60

static vlock_engine *volatile running_engine; /* NULL: none */
static volatile sig_atomic_t interrupted_by;  /* the first signal */
static volatile time_t interrupted_at;        /* seconds on the monotonic clock */
static const char *volatile reason; /* of the interrupt */

bool vlock_signals_blame_script(void)
{
    return interrupted_by == SIGALRM || interrupted_by == SIGVTALRM;
}

static void say(const char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        ssize_t written = write(STDERR_FILENO, text, left);
        if (written <= 0)
            return;
        text += written;
        left -= (size_t)written;
    }
}

static void leave_at_once(void)
{
    say("vlockrun: ");
    say(reason);
    say(", and the script does not end: it is in what Lua cannot interrupt, as a pattern match or "
        "a finalizer (__gc). It is left as it is: what it was about to write may be applied or "
        "not\n");
    /* The private server goes with us: its supervisor sees to it. */
    _exit(vlock_signals_blame_script() ? VLOCK_EXIT_SCRIPT : VLOCK_EXIT_INTERRUPTED);
}

static void on_signal(int number)
{
    int saved = errno;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (interrupted_by && number != SIGALRM && now.tv_sec <= interrupted_at + 1)
        return; /* one Ctrl-C may arrive twice: through the terminal, and from a parent */
    if (interrupted_by && number == SIGALRM &&
        now.tv_sec < interrupted_at + LONGEST_ENDING_SECONDS && running_engine &&
        vlock_has_turned(running_engine)) {
        /* It ends, and has much to put in order: keys to read and to remove. */
        alarm(WATCHDOG_SECONDS);
        errno = saved;
        return;
    }
    if (interrupted_by)
        leave_at_once(); /* the watchdog's alarm, or a second Ctrl-C */
    interrupted_by = number;
    interrupted_at = now.tv_sec;
    reason = number == SIGALRM ? "the --timeout is over" : "interrupted";
    if (running_engine) {
        vlock_has_turned(running_engine); /* the question is about what comes from here on */
        vlock_interrupt(running_engine, reason);
    }
    alarm(WATCHDOG_SECONDS);
    errno = saved;
}

/* Once a second of processor time: has a policy run through two of them without waiting? */
static void on_tick(int number)
{
    static volatile sig_atomic_t stuck_ticks;
    int saved = errno;
    stuck_ticks = running_engine && vlock_is_stuck(running_engine) ? stuck_ticks + 1 : 0;
    if (stuck_ticks == 2 && !interrupted_by) {
        interrupted_by = number;
        reason = "it runs for 2 s without waiting for anything: an endless loop?";
        vlock_interrupt(running_engine, reason);
        alarm(WATCHDOG_SECONDS);
    }
    errno = saved;
}

/* A handler, and not SIG_IGN, which programs that scripts start would inherit. */
static void on_broken_pipe(int number)
{
    (void)number; /* the write fails, and that is enough */
}

void vlock_signals_catch(vlock_engine *engine, int64_t timeout_ns)
{
    struct sigaction before, action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    running_engine = engine;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    action.sa_handler = on_tick;
    sigaction(SIGVTALRM, &action, NULL);
    setitimer(ITIMER_VIRTUAL,
              &(struct itimerval){.it_interval = {.tv_sec = 1}, .it_value = {.tv_sec = 1}}, NULL);
    action.sa_handler = on_broken_pipe;
    if (sigaction(SIGPIPE, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(SIGPIPE, &action, NULL);
    if (timeout_ns > 0) {
        struct itimerval timer = {.it_value = {.tv_sec = timeout_ns / 1000000000,
                                               .tv_usec = timeout_ns % 1000000000 / 1000 + 1}};
        setitimer(ITIMER_REAL, &timer, NULL);
    }
}

void vlock_signals_release(void)
{
    running_engine = NULL;
}

bool vlock_signals_forget(void)
{
    int number = interrupted_by;
    if (number && number != SIGINT)
        return false;
    interrupted_by = 0;
    alarm(0);
    return true;
}
