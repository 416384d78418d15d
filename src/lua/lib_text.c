/* Words and numbers as people write and read them: see lib_text.h. */
#include "lua/lib_text.h"

#include <lauxlib.h>
#include <math.h>

#include "base/clock.h"
#include "base/nearest.h"
#include "base/printable.h"
#include "base/secret.h"
#include "base/sha1.h"
#include "base/units.h"

static int push_failure(lua_State *L, const struct vlock_error *error)
{
    lua_pushnil(L);
    lua_pushstring(L, error->message);
    return 2;
}

/* duration("2ms"): seconds, or nil and a message. */
static int l_duration(lua_State *L)
{
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    int64_t ns;
    struct vlock_error error;
    if (vlock_units_duration(text, length, &ns, &error) != 0)
        return push_failure(L, &error);
    lua_pushnumber(L, (lua_Number)ns / VLOCK_NS_PER_SECOND);
    return 1;
}

/* count("10k"): a number, an integer where it is whole; or nil and a message. */
static int l_count(lua_State *L)
{
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    double count;
    struct vlock_error error;
    if (vlock_units_count(text, length, &count, &error) != 0)
        return push_failure(L, &error);
    if (count == floor(count) && fabs(count) <= 9007199254740992.0)
        lua_pushinteger(L, (lua_Integer)count);
    else
        lua_pushnumber(L, count);
    return 1;
}

static int l_format_duration(lua_State *L)
{
    char text[24];
    lua_Number seconds = luaL_checknumber(L, 1);
    luaL_argcheck(L, fabs(seconds) < 9e9, 1, "too long for a duration");
    vlock_units_format_duration((int64_t)llround(seconds * VLOCK_NS_PER_SECOND), text);
    lua_pushstring(L, text);
    return 1;
}

/* nearest(word, list): the word of the list that was probably meant, or nil. */
static int l_nearest(lua_State *L)
{
    const char *word = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_Integer count = luaL_len(L, 2);
    const char **known = lua_newuserdatauv(L, sizeof *known * (size_t)(count + 1), 0);
    luaL_checkstack(L, (int)count + 2, "too many words");
    /* The strings stay on the stack while they are compared. */
    for (lua_Integer i = 0; i < count; i++) {
        lua_geti(L, 2, i + 1);
        known[i] = luaL_checkstring(L, -1);
    }
    lua_pushstring(L, vlock_nearest(word, known, (size_t)count));
    return 1;
}

/* printable(text): what a terminal may be sent of it: src/base/printable.h. */
static int l_printable(lua_State *L)
{
    size_t length, taken;
    const char *text = luaL_checklstring(L, 1, &length);
    char shown[VLOCK_PRINTABLE_SIZE];
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    for (size_t at = 0; at < length; at += taken) {
        taken = vlock_printable_step(text + at, length - at, shown);
        luaL_addstring(&buffer, shown);
    }
    luaL_pushresult(&buffer);
    return 1;
}

/* hidden(text): *** in place of the passwords of URLs in it: src/base/secret.h. */
static int l_hidden(lua_State *L)
{
    size_t length, done = 0, at = 0, count;
    const char *text = luaL_checklstring(L, 1, &length);
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    for (; vlock_secret_find(text, length, &at, &count); done = at += count) {
        luaL_addlstring(&buffer, text + done, at - done);
        luaL_addstring(&buffer, "***");
    }
    luaL_addlstring(&buffer, text + done, length - done);
    luaL_pushresult(&buffer);
    return 1;
}

static int l_sha1hex(lua_State *L)
{
    size_t length;
    char hex[41];
    const char *bytes = luaL_checklstring(L, 1, &length);
    vlock_sha1_hex(bytes, length, hex);
    lua_pushlstring(L, hex, 40);
    return 1;
}

void vlock_lib_text_add(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"duration", l_duration},
        {"count", l_count},
        {"format_duration", l_format_duration},
        {"nearest", l_nearest},
        {"printable", l_printable},
        {"hidden", l_hidden},
        {"sha1hex", l_sha1hex},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
