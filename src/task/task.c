/* A task: see task.h. */
#include "task/scheduler_parts.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

struct vlock_task *vlock_task_check(lua_State *L, int index)
{
    return luaL_checkudata(L, index, VLOCK_TASK_TYPE);
}

struct vlock_task *vlock_task_new(lua_State *L, struct vlock_scheduler *scheduler,
                                  lua_State *main_state)
{
    struct vlock_task *task = lua_newuserdatauv(L, sizeof *task, VLOCK_TASK_VALUES);
    memset(task, 0, sizeof *task);
    task->scheduler = scheduler;
    task->main_state = main_state;
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

bool vlock_task_is_alive(lua_State *L, int index)
{
    enum task_state state = vlock_task_check(L, index)->state;
    return state != TASK_DONE && state != TASK_FAILED;
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
        if (lua_type(co, -1) == LUA_TSTRING && strcmp(lua_tostring(co, -1), "unreachable") == 0)
            task->code = VLOCK_ERR_UNREACHABLE;
        lua_pop(co, 1);
    }
    lua_pushvalue(co, -1);
    lua_xmove(co, L, 1);
    if (lua_type(L, -1) == LUA_TTABLE) { /* as error replies carry their text, and scripts may */
        lua_pushliteral(L, "err");
        if (lua_rawget(L, -2) != LUA_TSTRING)
            lua_pop(L, 1);
    }
    const char *text = task->code == VLOCK_ERR_MEMORY ? vlock_scheduler_shortage(task->scheduler)
                                                      : luaL_tolstring(L, -1, NULL);
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
    struct vlock_scheduler *scheduler = task->scheduler;
    bool lacks_memory = vlock_shortage_is_meant(task->stack, -1);
    task->code = lacks_memory ? VLOCK_ERR_MEMORY : VLOCK_ERR_SCRIPT;
    vlock_memory_bound_lend(scheduler->memory_bound, true);
    lua_pushcfunction(L, l_describe_failure);
    lua_pushlightuserdata(L, task);
    bool is_described = lua_pcall(L, 1, 0, 0) == LUA_OK;
    vlock_memory_bound_lend(scheduler->memory_bound, false);
    if (is_described)
        return;
    /* What its __tostring raised, or that there is no memory. */
    const char *why = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    if (lacks_memory)
        task->trace = strdup(vlock_scheduler_shortage(scheduler));
    else if (asprintf(&task->trace, "an error that cannot be put into words: %s",
                      why ? why : "its __tostring failed") < 0)
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
