/* Interrupts: how Lua code that runs, and a loop that waits, are ended from outside. See
 * scheduler.h and vlock.h. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "task/scheduler_parts.h"

/* How long Lua code may still run after an interrupt before it is stopped, and after how many
 * instructions one looks whether that is over. One may take long: it makes a string of
 * megabytes. */
#define PATIENCE_NS (50 * 1000 * 1000LL)
#define LOOK_INSTRUCTIONS 100

/* It is left behind on coroutines that ran at an interrupt which was dealt with; there it takes
 * itself away. It raises again at the very next instruction, so that no pcall, however many of
 * them, holds it up. */
static void on_hook(lua_State *L, lua_Debug *frame)
{
    struct vlock_scheduler *s = vlock_scheduler_of(L);
    if (!s->is_interrupted) {
        lua_sethook(L, NULL, 0, 0);
        return;
    }
    if (!s->interrupted_at && vlock_clock_now() - s->interrupted_ns < PATIENCE_NS)
        return;
    if (!s->interrupted_at) {
        lua_getinfo(L, "Sl", frame);
        lua_pushfstring(L, "%s:%d: %s", frame->short_src, frame->currentline, s->reason);
        luaL_traceback(L, L, lua_tostring(L, -1), 0);
        s->interrupted_at = strdup(lua_tostring(L, -1));
    }
    lua_sethook(L, on_hook, LUA_MASKCOUNT, 1);
    luaL_error(L, "%s", s->reason);
}

void vlock_interrupt_hook(lua_State *L)
{
    lua_sethook(L, on_hook, LUA_MASKCOUNT, 1);
}

lua_State *vlock_interrupt_aim(struct vlock_scheduler *s, lua_State *co)
{
    lua_State *before = s->running;
    s->running = co; /* first, for an interrupt that comes just now */
    if (s->is_interrupted && co)
        lua_sethook(co, on_hook, LUA_MASKCOUNT, LOOK_INSTRUCTIONS);
    return before;
}

void vlock_interrupt_renew(struct vlock_scheduler *s)
{
    free(s->interrupted_at);
    s->interrupted_at = NULL;
    s->interrupted_ns = vlock_clock_now();
}

void vlock_scheduler_interrupt(struct vlock_scheduler *s, const char *reason)
{
    char byte = 0;
    lua_State *running = s->running;
    s->reason = reason;
    if (!s->is_interrupted)
        s->interrupted_ns = vlock_clock_now();
    s->is_interrupted = 1;
    if (running)
        lua_sethook(running, on_hook, LUA_MASKCOUNT, LOOK_INSTRUCTIONS);
    if (write(s->wake_pipe[1], &byte, 1) < 0)
        return; /* it is full: the loop is awake already */
}

bool vlock_scheduler_is_interrupted(const struct vlock_scheduler *s)
{
    return s->is_interrupted;
}

bool vlock_scheduler_is_stuck(struct vlock_scheduler *s)
{
    bool is_stuck = s->is_watched && s->running && s->turns == s->turns_seen;
    s->turns_seen = s->turns;
    return is_stuck;
}

bool vlock_scheduler_has_turned(struct vlock_scheduler *s)
{
    bool has_turned = s->turns != s->turns_heard;
    s->turns_heard = s->turns;
    return has_turned;
}

void vlock_scheduler_watch(struct vlock_scheduler *s, bool wants)
{
    s->is_watched = wants;
}

void vlock_scheduler_on_interrupt(lua_State *L)
{
    struct vlock_scheduler *s = vlock_scheduler_of(L);
    luaL_unref(L, LUA_REGISTRYINDEX, s->interrupt_handler);
    s->interrupt_handler = LUA_NOREF;
    if (lua_isnil(L, -1))
        lua_pop(L, 1);
    else
        s->interrupt_handler = luaL_ref(L, LUA_REGISTRYINDEX);
}

static int l_spawn_handler(lua_State *L)
{
    struct vlock_scheduler *s = vlock_scheduler_of(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, s->interrupt_handler);
    luaL_unref(L, LUA_REGISTRYINDEX, s->interrupt_handler);
    s->interrupt_handler = LUA_NOREF;
    lua_pushstring(L, s->reason);
    vlock_scheduler_spawn(L, 1);
    return 0;
}

bool vlock_interrupt_is_handled(struct vlock_scheduler *s)
{
    if (s->interrupt_handler == LUA_NOREF || s->interrupted_at)
        return false; /* nobody asked, or code had to be stopped by force */
    s->is_interrupted = 0;
    lua_pushcfunction(s->L, l_spawn_handler);
    if (lua_pcall(s->L, 0, 0, 0) == LUA_OK)
        return true;
    lua_pop(s->L, 1);
    return false;
}

void vlock_interrupt_forget(struct vlock_scheduler *s)
{
    s->is_watched = 0;
    free(s->interrupted_at);
    s->interrupted_at = NULL;
    luaL_unref(s->L, LUA_REGISTRYINDEX, s->interrupt_handler);
    s->interrupt_handler = LUA_NOREF;
}
