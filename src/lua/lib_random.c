/* Random numbers for our own Lua: see lib_random.h. */
#include "lua/lib_random.h"

#include <lauxlib.h>

#include "base/random.h"

static int l_unit(lua_State *L)
{
    lua_pushnumber(L, vlock_random_unit(lua_touserdata(L, lua_upvalueindex(1))));
    return 1;
}

static void push_stream(lua_State *L, uint64_t seed, uint64_t index)
{
    struct vlock_random *random = lua_newuserdatauv(L, sizeof *random, 0);
    vlock_random_seed(random, seed, index);
    lua_pushcclosure(L, l_unit, 1);
}

/* stream(seed, index): a function that returns uniform numbers in [0,1), the same ones for the same
 * seed and index. */
static int l_stream(lua_State *L)
{
    push_stream(L, (uint64_t)luaL_checkinteger(L, 1), (uint64_t)luaL_checkinteger(L, 2));
    return 1;
}

/* entropy(n): n bytes from the system. */
static int l_entropy(lua_State *L)
{
    char bytes[256];
    lua_Integer count = luaL_checkinteger(L, 1);
    luaL_argcheck(L, count >= 0 && count <= (lua_Integer)sizeof bytes, 1, "0 to 256 bytes");
    if (vlock_random_entropy(bytes, (size_t)count) != 0)
        return luaL_error(L, "the system gives no random bytes");
    lua_pushlstring(L, bytes, (size_t)count);
    return 1;
}

void vlock_lib_random_add(lua_State *L, uint64_t seed)
{
    static const luaL_Reg functions[] = {
        {"stream", l_stream}, {"entropy", l_entropy}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    lua_pushinteger(L, (lua_Integer)seed);
    lua_setfield(L, -2, "seed");
    push_stream(L, seed, 0);
    lua_setfield(L, -2, "random");
}
