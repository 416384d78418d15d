/*
 * A task: a coroutine of the scheduler and what the scheduler knows of it. A userdata of Lua, which
 * scripts hold as its handle; while it lives, the registry holds it too. A run: a first task, and
 * all that it and they spawned. For the rooms of the scheduler: others know tasks by the functions
 * of task.h and scheduler.h.
 */
#ifndef VLOCK_TASK_PARTS_H
#define VLOCK_TASK_PARTS_H

#include <lua.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "base/timers.h"
#include "task/task.h"
#include "vlock_error.h"

#define VLOCK_TASK_TYPE "vlock.task"

struct vlock_request;
struct vlock_scheduler;

TAILQ_HEAD(task_list, vlock_task);

enum task_state {
    TASK_READY,
    TASK_RUNNING,
    TASK_PARKED,
    TASK_DONE,   /* its results are the values on its stack */
    TASK_FAILED, /* its error is the value on its stack */
};

struct vlock_run {
    struct task_list ready, live, failed;
    /* The first, whose end gives the run its result; NULL before and after. */
    struct vlock_task *main;
    int main_reference;   /* its anchor, which keeps it after its end as well */
    lua_State *turner;    /* whose code turns the loop: tasks run on its C stack */
    bool has_new_failure; /* of a task that nobody was joining */
    char *orphan_trace;   /* of a failed task whose handle nobody holds any more */
    enum vlock_code orphan_code;
    struct vlock_run *outer;        /* the one that stands still meanwhile, and where: */
    struct vlock_task *interrupted; /* NULL: outside of tasks */
    lua_State *outer_running, *outer_unyieldable;
};

/* Its user values. */
enum {
    VLOCK_TASK_COROUTINE = 1,
    VLOCK_TASK_LOCAL,
    VLOCK_TASK_HELD,
    VLOCK_TASK_VALUES = VLOCK_TASK_HELD
};

struct vlock_task {
    struct vlock_scheduler *scheduler;
    struct vlock_run *run; /* gone when the task has ended */
    lua_State *main_state; /* the engine's */
    lua_State *stack;      /* the coroutine */
    enum task_state state;
    int pushed; /* values to resume with */
    int anchor; /* its reference in the registry; LUA_NOREF after its end */
    struct vlock_timer timer;
    struct vlock_request *request;        /* that it waits for */
    int mark;                             /* of that request */
    int64_t limit_ns;                     /* of its commands: see vlock_scheduler_limit() */
    struct vlock_task *joined;            /* the task it waits for */
    struct task_list joiners;             /* tasks that wait for this one */
    TAILQ_ENTRY(vlock_task) joiner_entry; /* in joined->joiners */
    TAILQ_ENTRY(vlock_task) entry;        /* among the ready, or the failed */
    TAILQ_ENTRY(vlock_task) live_entry;
    /* The failed, where it is one of them and nobody has asked for its error. */
    struct task_list *unclaimed_in;
    char *trace;       /* of its failure, malloc'd */
    bool is_cancelled; /* while it was ready: its turn will be its end */
    /* Of its failure: the server cannot be reached, there is no memory, or it is the script's. */
    enum vlock_code code;
};

/* Pushes a task without a function, in state TASK_DONE. main_state: the engine's. May raise. */
struct vlock_task *vlock_task_new(lua_State *L, struct vlock_scheduler *scheduler,
                                  lua_State *main_state);

/* The task at this stack index; raises where there is none. */
struct vlock_task *vlock_task_check(lua_State *L, int index);

/* Somebody has asked for its error: takes it from among the failed, where it stands there. */
void vlock_task_claim(struct vlock_task *task);

/* Keeps the error on top of the failed coroutine in words, with its traceback. To be called before
 * the coroutine is closed. */
void vlock_task_describe_failure(struct vlock_task *task);

/* Pushes the results of the ended task at stack index 1, and returns their number; or raises its
 * error. */
int vlock_task_give(lua_State *L);

/* Closes what the coroutine left open; keeps its error value, if it has one, as the only value on
 * its stack. Whether that went well: true too where the coroutine had failed before. */
bool vlock_task_close(struct vlock_task *task);

#endif
