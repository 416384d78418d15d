/* The scheduler: see scheduler.h. */
#include "task/scheduler.h"

#include <assert.h>
#include <errno.h>
#include <lauxlib.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/clock.h"
#include "task/obstacle.h"
#include "task/scheduler_parts.h"

static const char park_tag = 0;
static const char registry_key = 0;
static const char stray_yield[] =
    "coroutine.yield outside of a coroutine: nobody would resume this";

struct vlock_scheduler *vlock_scheduler_of(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &registry_key);
    struct vlock_scheduler *scheduler = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return scheduler;
}

void vlock_scheduler_set_log(struct vlock_scheduler *scheduler,
                             void (*log)(void *user, const char *message), void *user)
{
    scheduler->log = log;
    scheduler->log_user = user;
}

void vlock_scheduler_be_guest(struct vlock_scheduler *scheduler)
{
    scheduler->is_guest = true;
    scheduler->locale = vlock_numeric_locale_new();
}

bool vlock_scheduler_is_guest(const struct vlock_scheduler *scheduler)
{
    return scheduler->is_guest;
}

locale_t vlock_scheduler_locale(const struct vlock_scheduler *scheduler)
{
    return scheduler->locale;
}

struct vlock_link_pool *vlock_scheduler_links(struct vlock_scheduler *scheduler)
{
    return &scheduler->links;
}

struct vlock_task *vlock_scheduler_current(struct vlock_scheduler *scheduler)
{
    return scheduler->current;
}

void vlock_scheduler_set_busy_poll(struct vlock_scheduler *s, int64_t ns)
{
    s->busy_poll_ns = ns;
}

/* ---- tasks ---- */

int vlock_task_mark(const struct vlock_task *task)
{
    return task->mark;
}

void vlock_task_await(struct vlock_task *task, struct vlock_request *request, int mark)
{
    task->request = request;
    task->mark = mark;
    task->scheduler->awaited++;
}

void vlock_task_wake(struct vlock_task *task, int pushed)
{
    assert(task->state == TASK_PARKED);
    if (task->request)
        task->scheduler->awaited--;
    task->request = NULL;
    task->pushed = pushed;
    task->state = TASK_READY;
    TAILQ_INSERT_TAIL(&task->run->ready, task, entry);
}

int64_t vlock_scheduler_limit(const struct vlock_scheduler *s)
{
    return s->current ? s->current->limit_ns : s->limit_ns;
}

void vlock_scheduler_set_limit(struct vlock_scheduler *s, int64_t limit_ns)
{
    *(s->current ? &s->current->limit_ns : &s->limit_ns) = limit_ns;
}

void vlock_task_wake_at(struct vlock_task *task, int64_t when_ns)
{
    struct vlock_scheduler *s = task->scheduler;
    /* To let others run is no event. */
    if (s->clock.is_virtual && when_ns <= s->clock.virtual_ns)
        s->virtual_timers--;
    vlock_timers_set(&s->timers, &task->timer, when_ns);
}

void vlock_scheduler_spawn(lua_State *L, int arguments)
{
    struct vlock_scheduler *s = vlock_scheduler_of(L);
    struct vlock_task *task = vlock_task_new(L, s, s->L);
    task->run = s->run;
    vlock_task_push_local(s, L);
    lua_setiuservalue(L, -2, VLOCK_TASK_LOCAL);
    if (!lua_checkstack(task->stack, arguments + 4) ||
        !vlock_timers_reserve(&s->timers, s->live_count + 1))
        luaL_error(L, "out of memory");
    lua_pushvalue(L, -1);
    task->anchor = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_insert(L, -2 - arguments); /* the handle goes below the function */
    lua_xmove(L, task->stack, arguments + 1);
    task->state = TASK_READY;
    task->pushed = arguments;
    TAILQ_INSERT_TAIL(&task->run->live, task, live_entry);
    s->live_count++;
    TAILQ_INSERT_TAIL(&task->run->ready, task, entry);
}

/* Takes an ended task out of the lists of the living. Its handle, with its results, stays for those
 * who hold it. */
static void leave(struct vlock_task *task)
{
    struct vlock_scheduler *s = task->scheduler;
    TAILQ_REMOVE(&task->run->live, task, live_entry);
    s->live_count--;
    struct vlock_task *joiner;
    while ((joiner = TAILQ_FIRST(&task->joiners))) {
        TAILQ_REMOVE(&task->joiners, joiner, joiner_entry);
        joiner->joined = NULL;
        vlock_task_wake(joiner, 0);
    }
    if (task != task->run->main) /* whose results are asked for when the run has ended */
        luaL_unref(s->L, LUA_REGISTRYINDEX, task->anchor);
    task->anchor = LUA_NOREF;
}

/* Closes the task's variables: `why`, for errors of those that want to wait. */
static bool close_variables(struct vlock_task *task, const char *why)
{
    struct vlock_scheduler *s = task->scheduler;
    s->closing = why;
    lua_State *before = vlock_interrupt_aim(s, task->stack);
    bool went_well = vlock_task_close(task);
    vlock_interrupt_aim(s, before);
    s->closing = NULL;
    return went_well;
}

static void fail(struct vlock_task *task)
{
    struct vlock_run *run = task->run;
    vlock_task_describe_failure(task);
    close_variables(task, "whose task has failed");
    task->state = TASK_FAILED;
    if (TAILQ_EMPTY(&task->joiners) && task != run->main) {
        TAILQ_INSERT_TAIL(&run->failed, task, entry);
        task->unclaimed_in = &run->failed;
        run->has_new_failure = true;
    }
    leave(task);
}

static void resume(struct vlock_scheduler *s, struct vlock_task *task)
{
    int results;
    task->state = TASK_RUNNING;
    s->current = task;
    vlock_interrupt_aim(s, task->stack);
    int status = lua_resume(task->stack, s->run->turner, task->pushed, &results);
    vlock_interrupt_aim(s, NULL);
    s->current = NULL;

    if (status == LUA_YIELD && results == 1 &&
        lua_touserdata(task->stack, -1) == (const void *)&park_tag) {
        lua_pop(task->stack, 1);
        task->state = TASK_PARKED;
    } else if (status == LUA_OK) {
        task->state = TASK_DONE;
        leave(task);
    } else {
        if (status == LUA_YIELD) {
            lua_settop(task->stack, 0);
            lua_rawgetp(task->stack, LUA_REGISTRYINDEX, &stray_yield); /* nothing may raise here */
        }
        fail(task);
    }
}

/* Runs protected: the error of a variable that was closed, the only value on the task's stack, in
 * words. */
static int l_describe_closing(lua_State *L)
{
    struct vlock_task *task = lua_touserdata(L, 1);
    lua_pushvalue(task->stack, -1);
    lua_xmove(task->stack, L, 1);
    lua_pushfstring(L, "__close of a variable failed when its task was ended: %s",
                    luaL_tolstring(L, -1, NULL));
    task->scheduler->log(task->scheduler->log_user, lua_tostring(L, -1));
    return 0;
}

/* Closes the variables of a task that is ended where it stands. Nobody else hears of their
 * errors. */
static void close_ended(struct vlock_task *task)
{
    struct vlock_scheduler *s = task->scheduler;
    bool went_well = close_variables(task, "whose task was ended");
    if (went_well || !s->log || lua_gettop(task->stack) == 0)
        return;
    lua_pushcfunction(s->L, l_describe_closing);
    lua_pushlightuserdata(s->L, task);
    if (lua_pcall(s->L, 1, 0, 0) != LUA_OK)
        lua_pop(s->L, 1);
}

void vlock_scheduler_end_task(struct vlock_task *task)
{
    struct vlock_scheduler *s = task->scheduler;
    if (task->request) {
        bool was_sent = vlock_link_cancel(task->request);
        if (task == s->run->main)
            s->was_cut_before_sending = !was_sent;
        s->awaited--;
        task->request = NULL;
    }
    vlock_timers_cancel(&s->timers, &task->timer);
    if (task->joined)
        TAILQ_REMOVE(&task->joined->joiners, task, joiner_entry);
    task->joined = NULL;
    if (task->state == TASK_READY)
        TAILQ_REMOVE(&task->run->ready, task, entry);
    task->state = TASK_DONE;
    close_ended(task);
    lua_settop(task->stack, 0);
    leave(task);
}

static int l_task_gc(lua_State *L)
{
    struct vlock_task *task = lua_touserdata(L, 1);
    if (task->unclaimed_in) { /* while its run lasts */
        struct vlock_run *run = task->run;
        vlock_task_claim(task);
        if (!run->orphan_trace) {
            run->orphan_trace = task->trace;
            run->orphan_code = task->code;
            task->trace = NULL;
        }
    }
    free(task->trace);
    task->trace = NULL;
    return 0;
}

/* ---- waiting ---- */

bool vlock_scheduler_can_park(const struct vlock_scheduler *s, lua_State *L)
{
    return s->current && s->running == L && !s->unyieldable && lua_isyieldable(L);
}

void vlock_scheduler_check_can_wait(struct vlock_scheduler *s, lua_State *L, const char *what)
{
    bool is_in_the_way = !s->current || !lua_isyieldable(L);
    s->refusals += is_in_the_way || s->unyieldable;
    if (is_in_the_way)
        vlock_obstacle_raise(L, L, what, s->closing);
    if (s->unyieldable)
        vlock_obstacle_raise(L, s->unyieldable, what, NULL);
}

int64_t vlock_scheduler_refusals(const struct vlock_scheduler *s)
{
    return s->refusals;
}

int vlock_scheduler_park(lua_State *L, lua_KContext context, lua_KFunction k)
{
    lua_pushlightuserdata(L, (void *)&park_tag);
    return lua_yieldk(L, 1, context, k);
}

void vlock_scheduler_push_tag(lua_State *L)
{
    lua_pushlightuserdata(L, (void *)&park_tag);
}

int vlock_scheduler_resume(lua_State *L)
{
    struct vlock_scheduler *s = vlock_scheduler_of(L);
    lua_State *co = lua_tothread(L, 1);
    luaL_argexpected(L, co, 1, "coroutine");
    int results, arguments = lua_gettop(L) - 1;
    if (!lua_checkstack(co, arguments)) {
        lua_pushboolean(L, 0);
        lua_pushliteral(L, "too many arguments to resume");
        return 2;
    }
    lua_State *unyieldable = s->unyieldable;
    lua_xmove(L, co, arguments);
    lua_State *resumer = vlock_interrupt_aim(s, co);
    if (!unyieldable && !lua_isyieldable(L))
        s->unyieldable = L;
    int status = lua_resume(co, L, arguments, &results);
    vlock_interrupt_aim(s, resumer);
    s->unyieldable = unyieldable;
    bool ended_well = status == LUA_OK || status == LUA_YIELD;
    if (!ended_well && s->is_interrupted)
        vlock_interrupt_hook(L);
    if (!ended_well)
        results = 1;
    if (!lua_checkstack(L, results + 1)) {
        lua_pop(co, results);
        lua_pushboolean(L, 0);
        lua_pushliteral(L, "too many results to resume");
        return 2;
    }
    lua_pushboolean(L, ended_well);
    lua_xmove(co, L, results);
    return results + 1;
}

int vlock_scheduler_close(lua_State *L)
{
    struct vlock_scheduler *s = vlock_scheduler_of(L);
    lua_State *co = lua_tothread(L, 3);
    s->closing = luaL_checkstring(L, 1);
    lua_State *closer = vlock_interrupt_aim(s, co ? co : L);
    int status = lua_pcall(L, 1, LUA_MULTRET, 0);
    vlock_interrupt_aim(s, closer);
    s->closing = NULL;
    lua_pushboolean(L, status == LUA_OK);
    lua_replace(L, 1);
    return lua_gettop(L);
}

/* ---- the loop ---- */

/* Resumes it. What it sends may go at once, while the next ones run; but not that of a task which
 * has only begun: those that are spawned together are a pipeline, and go together. */
static void run_one(struct vlock_scheduler *s, struct vlock_task *task)
{
    bool has_begun = lua_status(task->stack) == LUA_YIELD;
    resume(s, task);
    if (has_begun && !s->is_interrupted && vlock_scheduler_is_ours(s))
        vlock_link_pool_write_ahead(&s->links);
}

/* Those that were ready when the turn began: what they wake runs in the next, after their commands
 * have been written. */
static void run_ready(struct vlock_scheduler *s)
{
    struct task_list turn = TAILQ_HEAD_INITIALIZER(turn);
    struct vlock_task *task;
    TAILQ_CONCAT(&turn, &s->run->ready, entry);
    while ((task = TAILQ_FIRST(&turn))) {
        TAILQ_REMOVE(&turn, task, entry);
        if (task->is_cancelled) {
            task->state = TASK_PARKED;
            vlock_scheduler_end_task(task);
            continue;
        }
        run_one(s, task);
        if (s->is_interrupted || (s->run->main && s->run->main->state == TASK_FAILED))
            break;
    }
    TAILQ_CONCAT(&turn, &s->run->ready, entry); /* behind what is left of this turn */
    TAILQ_CONCAT(&s->run->ready, &turn, entry);
}

static int end_with(struct vlock_error *error, const char *trace, enum vlock_code code)
{
    return vlock_error_set(error, code, "%s", trace ? trace : "not enough memory");
}

/* Whether the run is over because of a failure; `error` is set then. */
static bool has_failed(struct vlock_scheduler *s, struct vlock_error *error)
{
    struct vlock_run *run = s->run;
    if (run->main->state == TASK_FAILED) {
        end_with(error, run->main->trace, run->main->code);
        return true;
    }
    if (run->has_new_failure) {
        run->has_new_failure = false;
        /* Finds out whether anybody still holds the handle and could join. */
        lua_gc(s->L, LUA_GCCOLLECT);
    }
    if (run->orphan_trace) {
        end_with(error, run->orphan_trace, run->orphan_code);
        return true;
    }
    return false;
}

static bool is_deadlocked(const struct vlock_scheduler *s)
{
    return TAILQ_EMPTY(&s->run->ready) && s->timers.count == 0 && s->awaited == 0 &&
           !TAILQ_EMPTY(&s->run->live) && !vlock_virtual_has_events(s);
}

/* In a process that was forked from the one that began the run: it ends there before anything is
 * written. */
static int refuse_child(struct vlock_error *error)
{
    return vlock_error_set(error, VLOCK_ERR_USAGE,
                           "this process is a child of the one that opened vlock, and shares its "
                           "connections: open another engine here");
}

/* Resumes what is ready and writes what it sent. 1: there is more to come; 0: all tasks have ended;
 * -1: the run has failed. */
static int run_tasks(struct vlock_scheduler *s, struct vlock_error *error)
{
    s->turns++;
    if (!vlock_scheduler_is_ours(s))
        return refuse_child(error);
    if (s->is_interrupted && !vlock_interrupt_is_handled(s))
        return vlock_error_set(error, VLOCK_ERR_INTERRUPTED, "%s",
                               s->interrupted_at ? s->interrupted_at : s->reason);
    run_ready(s);
    if (!vlock_scheduler_is_ours(s))
        return refuse_child(error);
    if (s->is_interrupted)
        return 1; /* the next turn says so */
    if (has_failed(s, error))
        return -1;
    vlock_link_pool_flush(&s->links);
    if (!TAILQ_EMPTY(&s->run->live))
        return is_deadlocked(s) ? vlock_error_set(error, VLOCK_ERR_SCRIPT,
                                                  "every task waits for another: none can go on")
                                : 1;
    struct vlock_task *task = TAILQ_FIRST(&s->run->failed);
    return task ? end_with(error, task->trace, task->code) : 0;
}

static void end_run(struct vlock_scheduler *s)
{
    struct vlock_run *run = s->run;
    struct vlock_task *task;
    s->was_cut_before_sending = false;
    while ((task = TAILQ_FIRST(&run->live))) {
        if (s->is_interrupted && !run->outer)
            vlock_interrupt_renew(s); /* for what it closes */
        vlock_scheduler_end_task(task);
    }
    run->main = NULL;
    while ((task = TAILQ_FIRST(&run->failed)))
        vlock_task_claim(task);
    run->has_new_failure = false;
    free(run->orphan_trace);
    run->orphan_trace = NULL;
    if (!run->outer)
        vlock_interrupt_forget(s);
    if (vlock_scheduler_is_ours(s))
        vlock_link_pool_flush(&s->links);
}

bool vlock_scheduler_was_cut_before_sending(const struct vlock_scheduler *s)
{
    return s->was_cut_before_sending;
}

bool vlock_scheduler_is_running(const struct vlock_scheduler *s)
{
    return s->run->main;
}

int vlock_scheduler_start(struct vlock_scheduler *s, lua_State *L, struct vlock_error *error)
{
    struct vlock_run *run = s->run;
    if (run->main) {
        lua_pop(L, 1);
        return vlock_error_set(error, VLOCK_ERR_USAGE,
                               "the engine is running already: runs do not nest");
    }
    run->main = vlock_task_check(L, -1);
    run->main_reference = run->main->anchor; /* nothing may raise here */
    lua_pop(L, 1);
    run->turner = L;
    s->is_interrupted = 0;
    vlock_waiting_tell_host_loop(s); /* there is something to do */
    return 0;
}

int vlock_scheduler_turn(struct vlock_scheduler *s, bool waits, struct vlock_error *error)
{
    struct vlock_run *run = s->run;
    int result = run_tasks(s, error);
    if (result == 1) {
        vlock_waiting_turn(s, waits && TAILQ_EMPTY(&run->ready) && !s->is_interrupted);
        return 1;
    }
    end_run(s);
    if (vlock_scheduler_is_ours(s))
        vlock_waiting_tell_host_loop(s);
    lua_rawgeti(run->turner, LUA_REGISTRYINDEX, run->main_reference);
    luaL_unref(run->turner, LUA_REGISTRYINDEX, run->main_reference);
    if (result < 0)
        lua_pop(run->turner, 1);
    return result;
}

void vlock_scheduler_idle(struct vlock_scheduler *s)
{
    if (!vlock_scheduler_is_ours(s))
        return;
    vlock_waiting_turn(s, false);
    vlock_link_pool_flush(&s->links);
    s->is_interrupted = 0; /* there is nothing to end */
    vlock_waiting_tell_host_loop(s);
}

bool vlock_scheduler_is_ours(const struct vlock_scheduler *s)
{
    return s->clock.is_virtual || /* no connection is in use then */
           vlock_fork_mark_is_here(&s->process);
}

/* ---- life ---- */

static void register_task_type(lua_State *L)
{
    luaL_newmetatable(L, VLOCK_TASK_TYPE);
    lua_pushcfunction(L, l_task_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}

/* Of the state's last userdata to be finalized: links and tasks have let go. What is left of the
 * Lua code finds no task to wait in. */
static int l_scheduler_gc(lua_State *L)
{
    struct vlock_scheduler *s = lua_touserdata(L, 1);
    bool is_ours = vlock_scheduler_is_ours(s);
    vlock_fork_mark_free(&s->process);
    if (!is_ours)
        return 0; /* what it would let go of is the parent's as well */
    if (s->base)
        vlock_link_pool_flush(&s->links);
    vlock_waiting_close(s);
    vlock_numeric_locale_free(s->locale);
    vlock_timers_free(&s->timers);
    free(s->outermost.orphan_trace);
    return 0;
}

static struct vlock_scheduler *push_scheduler(lua_State *L)
{
    struct vlock_scheduler *s = lua_newuserdatauv(L, sizeof *s, 0);
    memset(s, 0, sizeof *s);
    s->L = L;
    vlock_fork_mark_set(&s->process);
    s->interrupt_handler = LUA_NOREF;
    s->host_loop = (struct vlock_host_loop)VLOCK_HOST_LOOP_CLOSED;
    s->links.host_loop = &s->host_loop;
    s->wake_pipe[0] = s->wake_pipe[1] = s->alarm_fd = -1;
    s->run = &s->outermost;
    vlock_run_init(s->run);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_scheduler_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    return s;
}

struct vlock_scheduler *vlock_scheduler_new(lua_State *L)
{
    struct vlock_scheduler *s = push_scheduler(L);
    if (vlock_waiting_open(s) != 0)
        luaL_error(L, "cannot set up the event loop: %s", strerror(errno));
    lua_rawsetp(L, LUA_REGISTRYINDEX, &registry_key);
    lua_pushstring(L, stray_yield);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &stray_yield);
    register_task_type(L);
    return s;
}
