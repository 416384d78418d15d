/* What keeps Lua code from waiting: see obstacle.h. */
#include "task/obstacle.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

/* Pushes "table.sort" for the function on top of the stack, or nothing. Pops the function. */
static bool push_library_name(lua_State *L)
{
    static const char *const libraries[] = {"table", "string", "_G",    "coroutine", "utf8",
                                            "os",    "io",     "debug", "math"};
    int function = lua_gettop(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        if (lua_getfield(L, function + 1, libraries[i]) == LUA_TTABLE) {
            lua_pushnil(L);
            while (lua_next(L, -2)) {
                if (lua_rawequal(L, -1, function) && lua_type(L, -2) == LUA_TSTRING) {
                    if (strcmp(libraries[i], "_G") == 0)
                        lua_pushvalue(L, -2);
                    else
                        lua_pushfstring(L, "%s.%s", libraries[i], lua_tostring(L, -2));
                    lua_replace(L, function);
                    lua_settop(L, function);
                    return true;
                }
                lua_pop(L, 1);
            }
        }
        lua_settop(L, function + 1);
    }
    lua_settop(L, function - 1);
    return false;
}

/* Pushes on L the name of the innermost library function, other than the one that asks, on the
 * stack of `blocked`. */
static bool push_function_in_the_way(lua_State *blocked, lua_State *L)
{
    lua_Debug frame;
    luaL_checkstack(blocked, 1, NULL);
    for (int level = blocked == L ? 1 : 0; lua_getstack(blocked, level, &frame); level++) {
        lua_getinfo(blocked, "Sf", &frame);
        if (blocked != L)
            lua_xmove(blocked, L, 1);
        if (frame.what[0] != 'C')
            lua_pop(L, 1);
        else if (push_library_name(L))
            return true;
    }
    return false;
}

void vlock_obstacle_raise(lua_State *L, lua_State *blocked, const char *what, const char *closing)
{
    luaL_checkstack(L, 8, NULL);
    if (push_function_in_the_way(blocked, L))
        luaL_error(L,
                   "%s cannot wait here: it is called from inside %s, where Lua cannot yield (as "
                   "in callbacks of table.sort and "
                   "string.gsub, in __tostring and in table.concat); call it before, and pass the "
                   "result in",
                   what, lua_tostring(L, -1));
    if (closing)
        luaL_error(L, "%s cannot wait here: it is called from the __close of a variable %s", what,
                   closing);
    luaL_error(L,
               "%s cannot wait here: it is called from a C function or a finalizer, where Lua "
               "cannot yield; call it before, and pass the "
               "result in",
               what);
}
