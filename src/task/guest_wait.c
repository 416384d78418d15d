/* Waiting where no task can park: see guest_wait.h. */
#include "task/guest_wait.h"

#include <lauxlib.h>

#include "base/numeric_locale.h"
#include "task/scheduler.h"
#include "task/task_parts.h"

bool vlock_guest_is_needed(struct vlock_scheduler *s, lua_State *L, const char *what)
{
    if (vlock_scheduler_can_park(s, L))
        return false;
    if (!vlock_scheduler_is_guest(s)) {
        vlock_scheduler_check_can_wait(s, L, what);
        return false;
    }
    if (lua_gc(L, LUA_GCCOUNT) < 0) /* so the collector answers there */
        luaL_error(L,
                   "%s cannot wait here: it is called from a finalizer, which may run in the "
                   "middle of anything",
                   what);
    return true;
}

/* Runs protected: a function and its arguments. Starts the run with them, and returns the task's
 * handle. */
static int l_start(lua_State *L)
{
    struct vlock_error error;
    vlock_scheduler_spawn(L, lua_gettop(L) - 1);
    lua_pushvalue(L, 1);
    vlock_scheduler_start(vlock_scheduler_of(L), L, &error);
    return 1;
}

/* The function and its arguments are all that is on the stack. */
static int call(struct vlock_scheduler *s, lua_State *L)
{
    struct vlock_run run;
    struct vlock_error error;
    int result;
    if (!vlock_scheduler_is_ours(s))
        return luaL_error(L, "this process is a child of the one that opened vlock, and shares its "
                             "connections: vlock cannot be used here");
    luaL_checkstack(L, LUA_MINSTACK, "too many arguments");
    int64_t limit_ns = vlock_scheduler_limit(s);
    lua_pushcfunction(L, l_start);
    lua_insert(L, 1);

    locale_t before = vlock_numeric_locale_use(vlock_scheduler_locale(s));
    vlock_scheduler_enter(s, &run); /* nothing raises from here … */
    if (lua_pcall(L, lua_gettop(L) - 1, 1, 0) != LUA_OK) {
        vlock_scheduler_leave(s);
        vlock_numeric_locale_use(before);
        return lua_error(L);
    }
    vlock_task_check(L, -1)->limit_ns = limit_ns;
    while ((result = vlock_scheduler_turn(s, true, &error)) == 1)
        continue;
    vlock_scheduler_leave(s); /* … to here */
    vlock_numeric_locale_use(before);

    lua_settop(L, 1);
    if (result == 0 || vlock_task_check(L, 1)->state == TASK_FAILED)
        return vlock_task_give(L);
    lua_pushstring(L, error.message); /* of another task, which nobody had joined */
    return lua_error(L);
}

int vlock_guest_call(struct vlock_scheduler *s, lua_State *L, lua_CFunction function)
{
    lua_pushcfunction(L, function);
    lua_insert(L, 1);
    return call(s, L);
}

static int returned(lua_State *L, int status, lua_KContext context)
{
    (void)status, (void)context;
    return lua_gettop(L);
}

int vlock_guest_run(lua_State *L)
{
    struct vlock_scheduler *s = vlock_scheduler_of(L);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (vlock_guest_is_needed(s, L, "vlock.run"))
        return call(s, L);
    lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, returned);
    return returned(L, LUA_OK, 0);
}
