/* The running task, and what it carries along: see scheduler.h. */
#include "task/scheduler_parts.h"

void vlock_task_push_current(lua_State *L)
{
    struct vlock_task *current = vlock_scheduler_current(vlock_scheduler_of(L));
    if (current)
        lua_rawgeti(L, LUA_REGISTRYINDEX, current->anchor);
    else
        lua_pushnil(L);
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
