/* What runs: the task, with what it carries along, and the run. See scheduler.h. */
#include <string.h>

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

void vlock_task_hold(lua_State *L)
{
    vlock_task_push_current(L);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, VLOCK_TASK_HELD);
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

/* ---- runs inside the present one ---- */

void vlock_run_init(struct vlock_run *run)
{
    memset(run, 0, sizeof *run);
    TAILQ_INIT(&run->ready);
    TAILQ_INIT(&run->live);
    TAILQ_INIT(&run->failed);
}

void vlock_scheduler_enter(struct vlock_scheduler *s, struct vlock_run *run)
{
    vlock_run_init(run);
    run->outer = s->run;
    run->interrupted = s->current;
    run->outer_running = s->running;
    run->outer_unyieldable = s->unyieldable;
    s->run = run;
    s->current = NULL;
    s->running = s->unyieldable = NULL;
}

void vlock_scheduler_leave(struct vlock_scheduler *s)
{
    struct vlock_run *run = s->run;
    s->run = run->outer;
    s->current = run->interrupted;
    s->running = run->outer_running;
    s->unyieldable = run->outer_unyieldable;
}
