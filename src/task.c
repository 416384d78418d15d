/* A task: see task.h. */
#include "task.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "scheduler.h"

struct vlock_task *vlock_task_check(lua_State *L, int index)
{
    return luaL_checkudata(L, index, VLOCK_TASK_TYPE);
}

struct vlock_task *vlock_task_new(lua_State *L, struct vlock_scheduler *scheduler)
{
    struct vlock_task *task = lua_newuserdatauv(L, sizeof *task, VLOCK_TASK_VALUES);
    memset(task, 0, sizeof *task);
    task->scheduler = scheduler;
    task->main_state = vlock_scheduler_main_state(scheduler);
    task->state = TASK_DONE;
    task->anchor = LUA_NOREF;
    TAILQ_INIT(&task->joiners);
    luaL_setmetatable(L, VLOCK_TASK_TYPE);
    task->stack = lua_newthread(L);
    lua_setiuservalue(L, -2, VLOCK_TASK_COROUTINE);
    return task;
}

lua_State *vlock_task_stack(struct vlock_task *task)
{
    return task->stack;
}

lua_State *vlock_task_main_state(struct vlock_task *task)
{
    return task->main_state;
}

void vlock_task_push_current(lua_State *L)
{
    struct vlock_task *current = vlock_scheduler_current(vlock_scheduler_of(L));
    if (current)
        lua_rawgeti(L, LUA_REGISTRYINDEX, current->anchor);
    else
        lua_pushnil(L);
}

bool vlock_task_is_alive(lua_State *L, int index)
{
    enum task_state state = vlock_task_check(L, index)->state;
    return state != TASK_DONE && state != TASK_FAILED;
}

/* What code outside of tasks carries along lies in the registry. */
static const char outside_local_key = 0;

void vlock_task_set_local(lua_State *L)
{
    struct vlock_task *current = vlock_scheduler_current(vlock_scheduler_of(L));
    if (!current) {
        lua_rawsetp(L, LUA_REGISTRYINDEX, &outside_local_key);
        return;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, current->anchor);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, VLOCK_TASK_LOCAL);
    lua_pop(L, 1);
}

void vlock_task_push_local(struct vlock_scheduler *scheduler, lua_State *L)
{
    struct vlock_task *current = vlock_scheduler_current(scheduler);
    if (!current) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &outside_local_key);
        return;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, current->anchor);
    lua_getiuservalue(L, -1, VLOCK_TASK_LOCAL);
    lua_remove(L, -2);
}

int vlock_task_results(lua_State *L, int index)
{
    struct vlock_task *task = vlock_task_check(L, index);
    int count = lua_gettop(task->stack);
    luaL_checkstack(L, count, "too many results");
    luaL_checkstack(task->stack, count, "too many results");
    for (int i = 1; i <= count; i++)
        lua_pushvalue(task->stack, i);
    lua_xmove(task->stack, L, count);
    return count;
}

/* Runs protected: the error on top of the failed coroutine, in words. */
static int l_describe_failure(lua_State *L)
{
    struct vlock_task *task = lua_touserdata(L, 1);
    lua_State *co = task->stack;
    if (!lua_checkstack(co, 4))
        return luaL_error(L, "out of memory");
    if (lua_type(co, -1) == LUA_TTABLE) {
        lua_pushstring(co, "outcome");
        lua_rawget(co, -2);
        task->unreachable = lua_type(co, -1) == LUA_TSTRING && strcmp(lua_tostring(co, -1), "unreachable") == 0;
        lua_pop(co, 1);
    }
    lua_pushvalue(co, -1);
    lua_xmove(co, L, 1);
    if (lua_type(L, -1) == LUA_TTABLE) { /* as error replies carry their text, and scripts may */
        lua_pushliteral(L, "err");
        if (lua_rawget(L, -2) != LUA_TSTRING)
            lua_pop(L, 1);
    }
    const char *text = luaL_tolstring(L, -1, NULL);
    luaL_traceback(L, co, text, 0);
    task->trace = strdup(lua_tostring(L, -1));
    return 0;
}

bool vlock_task_close(struct vlock_task *task)
{
    bool had_failed = lua_status(task->stack) != LUA_OK && lua_status(task->stack) != LUA_YIELD;
#if LUA_VERSION_RELEASE_NUM >= 50406
    int status = lua_closethread(task->stack, task->main_state);
#else
    int status = lua_resetthread(task->stack);
#endif
    return status == LUA_OK || had_failed;
}

void vlock_task_describe_failure(struct vlock_task *task)
{
    lua_State *L = task->main_state;
    lua_pushcfunction(L, l_describe_failure);
    lua_pushlightuserdata(L, task);
    if (lua_pcall(L, 1, 0, 0) == LUA_OK)
        return;
    const char *why = lua_tostring(L, -1); /* what its __tostring raised, or that there is no memory */
    if (asprintf(&task->trace, "an error that cannot be put into words: %s", why ? why : "its __tostring failed") < 0)
        task->trace = NULL;
    lua_pop(L, 1);
}

void vlock_task_claim(struct vlock_task *task)
{
    if (task->unclaimed_in)
        TAILQ_REMOVE(task->unclaimed_in, task, entry);
    task->unclaimed_in = NULL;
}

int vlock_task_give(lua_State *L)
{
    struct vlock_task *task = vlock_task_check(L, 1);
    lua_settop(L, 1);
    if (task->state == TASK_FAILED) {
        vlock_task_claim(task);
        vlock_task_results(L, 1);
        return lua_error(L);
    }
    return vlock_task_results(L, 1);
}

static int joined(lua_State *L, int status, lua_KContext context)
{
    (void)status, (void)context;
    return vlock_task_give(L);
}

int vlock_task_join(lua_State *L)
{
    struct vlock_task *task = vlock_task_check(L, 1);
    struct vlock_task *current = vlock_scheduler_current(task->scheduler);
    lua_settop(L, 1);
    if (task->state == TASK_DONE || task->state == TASK_FAILED)
        return vlock_task_give(L);
    if (vlock_block_is_needed(task->scheduler, L, "join"))
        return vlock_block_call(task->scheduler, L, vlock_task_join);
    if (task == current)
        return luaL_error(L, "a task cannot join itself");
    current->joined = task;
    TAILQ_INSERT_TAIL(&task->joiners, current, joiner_entry);
    return vlock_scheduler_park(L, 0, joined);
}

int vlock_task_cancel(lua_State *L)
{
    struct vlock_task *task = vlock_task_check(L, 1);
    if (task->state == TASK_RUNNING)
        return luaL_error(L, "a task cannot cancel itself");
    if (task->state == TASK_READY)
        task->is_cancelled = true; /* it stands in the list of those whose turn comes */
    else if (task->state == TASK_PARKED)
        vlock_scheduler_end_task(task);
    return 0;
}
