/* Tasks that fail for want of memory, and how that is said: see scheduler.h and memory_bound.h. */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "task/scheduler_parts.h"

/* What Lua raises. It is there before anything else is, and so costs nothing. */
#define LUA_SAYS "not enough memory"

void vlock_scheduler_set_memory_bound(struct vlock_scheduler *s, struct vlock_memory_bound *bound)
{
    s->memory_bound = bound;
}

void vlock_scheduler_tell_place(struct vlock_scheduler *s, char *text, size_t size)
{
    lua_State *L = s->running;
    lua_Debug frame;
    for (int level = 0; L && lua_getstack(L, level, &frame); level++) {
        lua_getinfo(L, "Sl", &frame);
        if (frame.currentline <= 0)
            continue;
        bool is_ours = strncmp(frame.source, "@vlock/", 7) == 0;
        /* Where nothing is left, it is our own code that fails, for want of what another has. */
        if (!is_ours || !text[0])
            snprintf(text, size, "%s:%d", frame.short_src, frame.currentline);
        if (!is_ours)
            return;
    }
}

bool vlock_shortage_is_meant(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TSTRING && strcmp(lua_tostring(L, index), LUA_SAYS) == 0;
}

const char *vlock_scheduler_shortage(struct vlock_scheduler *s)
{
    const char *text = vlock_memory_bound_text(s->memory_bound);
    return text ? text : LUA_SAYS;
}
