/* What the rooms of the scheduler share: scheduler.c turns the loop, waiting.c is where it waits,
 * interrupt.c ends what runs in it. */
#ifndef VLOCK_SCHEDULER_PARTS_H
#define VLOCK_SCHEDULER_PARTS_H

#include <signal.h>

#include "base/clock.h"
#include "base/fork_mark.h"
#include "base/numeric_locale.h"
#include "net/host_loop.h"
#include "task/scheduler.h"
#include "task/task_parts.h"
#include "base/timers.h"

struct event;
struct event_base;

struct vlock_scheduler {
    lua_State *L;
    struct vlock_fork_mark process; /* that made it */
    struct event_base *base;
    struct vlock_link_pool links;
    struct vlock_task *current;
    lua_State *volatile running; /* the innermost coroutine that runs, for the interrupt */
    /* A coroutine that resumed another one from where it cannot yield itself. */
    lua_State *unyieldable;
    int64_t refusals;      /* see scheduler.h */
    struct vlock_run *run; /* the present one: the innermost */
    struct vlock_run outermost;
    struct vlock_clock clock;          /* of its tasks */
    struct vlock_event_source *source; /* of events in virtual time; NULL: there is none */
    int64_t virtual_timers;            /* that have woken a task in virtual time */
    struct vlock_timers timers;        /* of parked tasks */
    int alarm_fd;                      /* see alarm.h: for the earliest of them and of the links' */
    struct event *alarm;
    int64_t alarm_ns; /* what it is set to; 0: not set */
    int wake_pipe[2];
    struct event *wake_event;
    volatile sig_atomic_t is_interrupted;
    const char *volatile reason;
    volatile int64_t interrupted_ns; /* when, on the clock */
    char *interrupted_at;            /* the traceback of the code that had to be stopped */
    /* Of the loop; as of the last look, and of the last question. */
    volatile uint64_t turns, turns_seen, turns_heard;
    volatile sig_atomic_t is_watched;
    int interrupt_handler;                        /* a reference in the registry */
    void (*log)(void *user, const char *message); /* NULL: nobody listens */
    void *log_user;
    struct vlock_memory_bound *memory_bound; /* NULL: there is none */
    /* Why the variables are closed from which what runs now is called; NULL: they are not. */
    const char *closing;
    int64_t limit_ns;            /* of the code outside of tasks: see scheduler.h */
    locale_t locale;             /* for a guest's tasks: see numeric_locale.h */
    bool is_guest;               /* in a Lua state that is not the engine's */
    int live_count;              /* tasks of all runs */
    int awaited;                 /* parked tasks that wait for a reply */
    bool was_cut_before_sending; /* see scheduler.h */
    int64_t busy_poll_ns;        /* for how long it looks for a reply before it sleeps */
    int64_t rests_until_ns;      /* from that, since somebody else needs the processor */
    int64_t rest_ns;             /* the length of that rest; 0: there was none */
    int polls;                   /* since then */
    struct vlock_host_loop host_loop;
};

/* ---- waiting.c ---- */

/* Sets up what is waited for. -1 and errno on failure; close frees what there is then, too. */
int vlock_waiting_open(struct vlock_scheduler *scheduler);
void vlock_waiting_close(struct vlock_scheduler *scheduler);

/* Waits for something to happen, where it may, lets events have their callbacks, and wakes who has
 * slept long enough. */
void vlock_waiting_turn(struct vlock_scheduler *scheduler, bool may_sleep);

/* Tells the loop of the host when it is to come back. */
void vlock_waiting_tell_host_loop(struct vlock_scheduler *scheduler);

/* ---- running.c ---- */

void vlock_run_init(struct vlock_run *run);

/* ---- virtual_time.c ---- */

/* The same in virtual time: goes on to the next events, until one of them wakes a task. */
void vlock_virtual_turn(struct vlock_scheduler *scheduler);

/* Whether there is a next event, other than a timer. */
bool vlock_virtual_has_events(const struct vlock_scheduler *scheduler);

/* ---- interrupt.c ---- */

/* Whether the run goes on after an interrupt: the script takes care of it itself. */
bool vlock_interrupt_is_handled(struct vlock_scheduler *scheduler);

/* Has this coroutine raise the interrupt's reason at its next instruction. */
void vlock_interrupt_hook(lua_State *L);

/* From here on `co` is what runs, and what an interrupt ends, one that has come already as well;
 * NULL: nothing runs. Returns what ran before, for the call that hands it in again. */
lua_State *vlock_interrupt_aim(struct vlock_scheduler *scheduler, lua_State *co);

/* Code that runs from now on has the whole time that an interrupt leaves it. */
void vlock_interrupt_renew(struct vlock_scheduler *scheduler);

/* Forgets what the run that ends here had asked for: to be watched, to be told of an interrupt. */
void vlock_interrupt_forget(struct vlock_scheduler *scheduler);

#endif
