/* What a script does with a task's handle: see handle.h. */
#include "task/handle.h"

#include <lauxlib.h>

#include "task/guest_wait.h"
#include "task/scheduler.h"
#include "task/task_parts.h"

static int joined(lua_State *L, int status, lua_KContext context)
{
    (void)status, (void)context;
    return vlock_task_give(L);
}

static int l_join(lua_State *L)
{
    struct vlock_task *task = vlock_task_check(L, 1);
    struct vlock_task *current = vlock_scheduler_current(task->scheduler);
    lua_settop(L, 1);
    if (task->state == TASK_DONE || task->state == TASK_FAILED)
        return vlock_task_give(L);
    if (vlock_guest_is_needed(task->scheduler, L, "join"))
        return vlock_guest_call(task->scheduler, L, l_join);
    if (task == current)
        return luaL_error(L, "a task cannot join itself");
    current->joined = task;
    TAILQ_INSERT_TAIL(&task->joiners, current, joiner_entry);
    return vlock_scheduler_park(L, 0, joined);
}

static int l_cancel(lua_State *L)
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

void vlock_handle_add_methods(lua_State *L)
{
    static const luaL_Reg methods[] = {{"join", l_join}, {"cancel", l_cancel}, {NULL, NULL}};
    luaL_getmetatable(L, VLOCK_TASK_TYPE);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
