/*
 * The scheduler: the only place that resumes a coroutine.
 *
 * A task is a coroutine of the scheduler. It runs until it parks (waits for a reply, a point in
 * time, another task), ends, or raises. Callbacks of links and timers only record what happened and
 * wake the task; the scheduler resumes it from its loop, so that no Lua code, and no Lua error,
 * ever runs inside a frame of hiredis or libevent.
 *
 * One turn of the loop: resume every task that is ready; hand what they sent to the sockets, one
 * write per link; wait for events.
 *
 * Scripts have coroutines of their own. A park yields a tag that no script can make, and
 * lua/vlock/script/coroutine.lua passes yields that carry it on to the scheduler, so that
 * generators and the scheduler do not meet.
 */
#ifndef VLOCK_SCHEDULER_H
#define VLOCK_SCHEDULER_H

#include <locale.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/memory_bound.h"
#include "net/link.h"
#include "task/task.h"
#include "vlock_error.h"

struct vlock_run;
struct vlock_scheduler;

/* Makes the scheduler of a Lua state, which owns it and ends it when it is closed. To be made
 * before all links and tasks: a state finalizes last what was made first. `L` is the thread on
 * which callbacks make their protected calls. May raise. */
struct vlock_scheduler *vlock_scheduler_new(lua_State *L);

/* The scheduler of this Lua state (any coroutine of it). */
struct vlock_scheduler *vlock_scheduler_of(lua_State *L);

struct vlock_link_pool *vlock_scheduler_links(struct vlock_scheduler *scheduler);

/* Has it say what nobody else is told of: as a failure in a variable that was closed when its task
 * was ended. */
void vlock_scheduler_set_log(struct vlock_scheduler *scheduler,
                             void (*log)(void *user, const char *message), void *user);

/* For how long it looks for a reply before it sleeps, where replies come that soon; at first, and
 * with 0: it sleeps at once. */
void vlock_scheduler_set_busy_poll(struct vlock_scheduler *scheduler, int64_t ns);

/* What bounds the memory of this Lua state (NULL: nothing): failures for want of it are put into
 * its words. */
void vlock_scheduler_set_memory_bound(struct vlock_scheduler *scheduler,
                                      struct vlock_memory_bound *bound);
/* What to say of "not enough memory". Valid until the next call. */
const char *vlock_scheduler_shortage(struct vlock_scheduler *scheduler);
/* Whether the value at this index is that error of Lua's. */
bool vlock_shortage_is_meant(lua_State *L, int index);

/* Writes where the innermost code of the script is that runs now, "script.lua:3"; where it is all
 * our own, leaves what stands there. Neither allocates nor raises. */
void vlock_scheduler_tell_place(struct vlock_scheduler *scheduler, char *text, size_t size);

/* It runs in somebody else's Lua state: what cannot park there blocks (see guest_wait.h). */
void vlock_scheduler_be_guest(struct vlock_scheduler *scheduler);
bool vlock_scheduler_is_guest(const struct vlock_scheduler *scheduler);

/* What a guest's tasks are to be turned under: see numeric_locale.h. */
locale_t vlock_scheduler_locale(const struct vlock_scheduler *scheduler);

/* Makes a task of the function and its `arguments` arguments on top of L's stack, pops them and
 * pushes the task's handle (a userdata). It runs first in the next turn. May raise. It inherits the
 * present task's local value (see vlock_task_local). */
void vlock_scheduler_spawn(lua_State *L, int arguments);

/* Begins a run: of the task whose handle is on top of L's stack, popped, and all it spawns. -1 and
 * `error` while another run is on. */
int vlock_scheduler_start(struct vlock_scheduler *scheduler, lua_State *L,
                          struct vlock_error *error);

/* Turns the loop once, waiting for something to happen where `waits`. 1: the run goes on. 0: every
 * task has ended, and the handle of the first is back on top of the stack it was started from, its
 * results to be had by vlock_task_results(). -1: `error` says what ended the run; the tasks that
 * were left have been ended. */
int vlock_scheduler_turn(struct vlock_scheduler *scheduler, bool waits, struct vlock_error *error);

/* Takes care of connections between two runs: what has come, as their end, is seen. */
void vlock_scheduler_idle(struct vlock_scheduler *scheduler);

/* Whether this is the process that made it, and not one that was forked from it: which shares its
 * connections, and must leave them alone. */
bool vlock_scheduler_is_ours(const struct vlock_scheduler *scheduler);

/* A descriptor that is readable when a turn that does not wait has something to do; made at the
 * first call. -1: the system refused. */
int vlock_scheduler_descriptor(struct vlock_scheduler *scheduler);

bool vlock_scheduler_is_running(const struct vlock_scheduler *scheduler);

/* Of the run that ended last, early: whether its first task waited for the reply to a command that
 * was never handed to a connection, and so will not run. */
bool vlock_scheduler_was_cut_before_sending(const struct vlock_scheduler *scheduler);

/* Sets the present run aside: until vlock_scheduler_leave(), tasks are spawned into `run` (zeroed
 * here), which is to be started, and turned to its end, before. No other task is resumed
 * meanwhile. */
void vlock_scheduler_enter(struct vlock_scheduler *scheduler, struct vlock_run *run);
void vlock_scheduler_leave(struct vlock_scheduler *scheduler);

/* ---- time ---- */

/* The time of its tasks: that of vlock_clock_now(), or virtual. */
int64_t vlock_scheduler_now(const struct vlock_scheduler *scheduler);

/* What else happens in virtual time, besides the end of sleeps. Its functions must not raise;
 * `happen` may only record what happened, and wake tasks. */
struct vlock_event_source {
    int64_t (*next_ns)(void *user); /* when the next event is; INT64_MAX: there is none */
    void (*happen)(void *user);     /* that is now */
    void *user;
};

/* From here on time is virtual: it begins at 0, stands still while any task can run, and then goes
 * on to the next event at once. No task may be asleep, and none may wait for a real server
 * meanwhile. `source` (NULL: sleeps are all that happens) must last until the end. False, and
 * nothing changes, where a task is asleep. */
bool vlock_scheduler_begin_virtual(struct vlock_scheduler *scheduler,
                                   struct vlock_event_source *source);
/* For a task that makes things happen itself in virtual time: goes on to `when_ns`. False where
 * somebody else comes first: another task is ready or wakes before that, or the run is
 * interrupted. */
bool vlock_scheduler_go_on_to(struct vlock_scheduler *scheduler, int64_t when_ns);

/* Time is real again. Tasks that are asleep are woken at once. */
void vlock_scheduler_end_virtual(struct vlock_scheduler *scheduler);

bool vlock_scheduler_is_virtual(const struct vlock_scheduler *scheduler);
/* Sleeps that have ended in virtual time since it began, but for those that took none. */
int64_t vlock_scheduler_virtual_timers(const struct vlock_scheduler *scheduler);

/* ---- for functions that wait ---- */

/* The task that runs now; NULL outside of tasks. */
struct vlock_task *vlock_scheduler_current(struct vlock_scheduler *scheduler);

/* Raises an error that names the C function in the way when the running code cannot wait here.
 * `what` wants to wait. */
void vlock_scheduler_check_can_wait(struct vlock_scheduler *scheduler, lua_State *L,
                                    const char *what);

/* How often, since it was made, that has kept somebody from waiting. */
int64_t vlock_scheduler_refusals(const struct vlock_scheduler *scheduler);

/* Whether the running code may park: it belongs to a task, and nothing is in the way. */
bool vlock_scheduler_can_park(const struct vlock_scheduler *scheduler, lua_State *L);

/* Parks the running task. Use as `return vlock_scheduler_park(L, context, k)`; k finds what the
 * waker pushed on top of its stack. */
int vlock_scheduler_park(lua_State *L, lua_KContext context, lua_KFunction k);

/* Wakes a parked task: `pushed` values were pushed on vlock_task_stack(). Safe in callbacks. */
void vlock_task_wake(struct vlock_task *task, int pushed);

/* The request that a task waits for once it has parked, cancelled if the task is ended first.
 * `mark` is what the callback wants to know again: vlock_task_mark(). */
void vlock_task_await(struct vlock_task *task, struct vlock_request *request, int mark);
int vlock_task_mark(const struct vlock_task *task);

/* The running task holds the value on top of the stack (popped), until it is given another: what
 * the callback of its request works on must outlast the coroutine that asked, which may be closed
 * while the task waits in it. */
void vlock_task_hold(lua_State *L);

/* Wakes the running task, which parks next, at this time on vlock_scheduler_now()'s scale, with
 * nothing pushed. */
void vlock_task_wake_at(struct vlock_task *task, int64_t when_ns);

/* Pushes the handle of the running task; nil outside of tasks. */
void vlock_task_push_current(lua_State *L);

/* Sets a Lua value (on top of L's stack; popped) that the running task, or the code outside of
 * tasks, and what it spawns carry along: the connection that its commands use. Pushes it: nil when
 * none was set. */
void vlock_task_set_local(lua_State *L);
void vlock_task_push_local(struct vlock_scheduler *scheduler, lua_State *L);

/* By when the running task, or the code outside of tasks, wants to know what became of the commands
 * that it sends from now on, on vlock_scheduler_now()'s scale; 0: it can wait. */
int64_t vlock_scheduler_limit(const struct vlock_scheduler *scheduler);
void vlock_scheduler_set_limit(struct vlock_scheduler *scheduler, int64_t limit_ns);

/* Ends a task that waits, where it stands, without a word. */
void vlock_scheduler_end_task(struct vlock_task *task);

/* coroutine.resume for scripts, to be wrapped by lua/vlock/script/coroutine.lua: as Lua's, but
 * keeps the interrupt informed. */
int vlock_scheduler_resume(lua_State *L);

/* (why, close, co): pcall(close, co), for that file as well. `why` variables are closed, as "whose
 * coroutine has failed", is for errors of those that want to wait. */
int vlock_scheduler_close(lua_State *L);

/* Pushes the tag that a park yields. */
void vlock_scheduler_push_tag(lua_State *L);

/* ---- the end of a run from outside ---- */

/* See vlock_interrupt(), vlock_is_stuck() and vlock_has_turned() in vlock.h. Safe in signal
 * handlers. */
void vlock_scheduler_interrupt(struct vlock_scheduler *scheduler, const char *reason);
bool vlock_scheduler_is_interrupted(const struct vlock_scheduler *scheduler);
bool vlock_scheduler_is_stuck(struct vlock_scheduler *scheduler);
bool vlock_scheduler_has_turned(struct vlock_scheduler *scheduler);

/* Whether the present run wants to be watched for code that never waits; over with the run. */
void vlock_scheduler_watch(struct vlock_scheduler *scheduler, bool wants);

/* The function on top of L's stack (popped; nil: none) is called, as a task, with the reason, when
 * the run is interrupted; then the run goes on, and the next interrupt ends it. */
void vlock_scheduler_on_interrupt(lua_State *L);

/* "libevent 2.1.12-stable". */
const char *vlock_scheduler_library(void);

#endif
