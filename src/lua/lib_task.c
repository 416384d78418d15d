/* Time and tasks for our own Lua: see lib_task.h. */
#include "lua/lib_task.h"

#include <lauxlib.h>
#include <math.h>

#include "base/clock.h"
#include "task/guest_wait.h"
#include "task/handle.h"
#include "task/scheduler.h"

#define SLEEP_LIMIT_SECONDS 1e9

/* ---- time ---- */

/* now(): seconds on a clock that never goes back; only differences mean something. */
static int l_now(lua_State *L)
{
    const struct vlock_scheduler *scheduler = lua_touserdata(L, lua_upvalueindex(1));
    lua_pushnumber(L, (lua_Number)vlock_scheduler_now(scheduler) / VLOCK_NS_PER_SECOND);
    return 1;
}

/* time(): seconds since 1970. */
static int l_time(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)vlock_clock_wall() / VLOCK_NS_PER_SECOND);
    return 1;
}

static int slept(lua_State *L, int status, lua_KContext context)
{
    (void)L, (void)status, (void)context;
    return 0;
}

/* sleep(seconds): other tasks run meanwhile. 0 lets them run once. */
static int l_sleep(lua_State *L)
{
    lua_Number seconds = luaL_checknumber(L, 1);
    if (!(seconds >= 0 && seconds <= SLEEP_LIMIT_SECONDS))
        return luaL_error(L, "vlock.sleep: %f is no number of seconds from 0 to 1e9", seconds);
    struct vlock_scheduler *scheduler = vlock_scheduler_of(L);
    if (vlock_guest_is_needed(scheduler, L, "vlock.sleep"))
        return vlock_guest_call(scheduler, L, l_sleep);
    struct vlock_task *task = vlock_scheduler_current(scheduler);
    int64_t ns = (int64_t)ceil(seconds * VLOCK_NS_PER_SECOND); /* never early */
    vlock_task_wake_at(task, vlock_scheduler_now(scheduler) + ns);
    return vlock_scheduler_park(L, 0, slept);
}

/* limit(when) -> the one before: nobody waits for the commands that this task sends from now on
 * longer than until then, on now()'s clock; nil: as long as any command is waited for. */
static int l_limit(lua_State *L)
{
    struct vlock_scheduler *scheduler = vlock_scheduler_of(L);
    int64_t before = vlock_scheduler_limit(scheduler);
    lua_Number when = luaL_optnumber(L, 1, 0) * VLOCK_NS_PER_SECOND;
    vlock_scheduler_set_limit(scheduler, when < (lua_Number)INT64_MAX ? (int64_t)when : 0);
    if (!before)
        return 0;
    lua_pushnumber(L, (lua_Number)before / VLOCK_NS_PER_SECOND);
    return 1;
}

/* is_late(): whether that time is over. */
static int l_is_late(lua_State *L)
{
    struct vlock_scheduler *scheduler = vlock_scheduler_of(L);
    int64_t limit = vlock_scheduler_limit(scheduler);
    lua_pushboolean(L, limit && limit <= vlock_scheduler_now(scheduler));
    return 1;
}

/* ---- tasks ---- */

/* spawn(function, …): runs it as a task of its own, from the next turn on; returns its handle,
 * which has :join(). */
static int l_spawn(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (!vlock_scheduler_current(vlock_scheduler_of(L)))
        return luaL_error(L, "vlock.spawn outside of a task: nothing would run it; "
                             "vlock.run(function) runs one, and all that it spawns");
    vlock_scheduler_spawn(L, lua_gettop(L) - 1);
    return 1;
}

/* task(): the handle of the running task; nil outside of tasks. */
static int l_task(lua_State *L)
{
    vlock_task_push_current(L);
    return 1;
}

/* is_alive(handle): whether that task has not ended yet. */
static int l_is_alive(lua_State *L)
{
    lua_pushboolean(L, vlock_task_is_alive(L, 1));
    return 1;
}

static int l_on_interrupt(lua_State *L)
{
    if (!lua_isnoneornil(L, 1))
        luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    vlock_scheduler_on_interrupt(L);
    return 0;
}

/* watch(): code of this run that never waits is an error from now on. */
static int l_watch(lua_State *L)
{
    vlock_scheduler_watch(vlock_scheduler_of(L), true);
    return 0;
}

/* shortage(): what to say of "not enough memory". */
static int l_shortage(lua_State *L)
{
    lua_pushstring(L, vlock_scheduler_shortage(vlock_scheduler_of(L)));
    return 1;
}

static int l_tag(lua_State *L)
{
    vlock_scheduler_push_tag(L);
    return 1;
}

static int l_check_can_wait(lua_State *L)
{
    vlock_scheduler_check_can_wait(vlock_scheduler_of(L), L, luaL_checkstring(L, 1));
    return 0;
}

void vlock_lib_task_add(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"time", l_time},
        {"sleep", l_sleep},
        {"limit", l_limit},
        {"is_late", l_is_late},
        {"spawn", l_spawn},
        {"run", vlock_guest_run},
        {"task", l_task},
        {"is_alive", l_is_alive},
        {"on_interrupt", l_on_interrupt},
        {"watch", l_watch},
        {"resume", vlock_scheduler_resume},
        {"close", vlock_scheduler_close},
        {"shortage", l_shortage},
        {"tag", l_tag},
        {"check_can_wait", l_check_can_wait},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
    lua_pushlightuserdata(L, vlock_scheduler_of(L)); /* it is asked often */
    lua_pushcclosure(L, l_now, 1);
    lua_setfield(L, -2, "now");
    vlock_handle_add_methods(L);
}
