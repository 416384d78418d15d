/* `vlock.lab_core`: see lib_lab.h. */
#include "lua/lib_lab.h"

#include <lauxlib.h>
#include <math.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/histogram.h"
#include "lua/chain_record.h"
#include "process/cleanup.h"

#define HISTOGRAM_TYPE "vlock.histogram"
#define CLEANUP_TYPE "vlock.cleanup"
#define MOST_WORDS 16

/* ---- histograms: of seconds, kept in nanoseconds ---- */

struct vlock_histogram *vlock_lib_lab_histogram(lua_State *L, int index)
{
    return *(struct vlock_histogram **)luaL_checkudata(L, index, HISTOGRAM_TYPE);
}

static void push_seconds(lua_State *L, double ns)
{
    lua_pushnumber(L, ns / VLOCK_NS_PER_SECOND);
}

/* histogram(): an empty one. */
static int l_histogram(lua_State *L)
{
    struct vlock_histogram **place = lua_newuserdatauv(L, sizeof *place, 0);
    *place = NULL;
    luaL_setmetatable(L, HISTOGRAM_TYPE);
    *place = vlock_histogram_new();
    if (!*place)
        return luaL_error(L, "out of memory");
    return 1;
}

/* h:record(seconds) */
static int l_record(lua_State *L)
{
    lua_Number seconds = luaL_checknumber(L, 2);
    vlock_histogram_record(vlock_lib_lab_histogram(L, 1),
                           (int64_t)llround(seconds * VLOCK_NS_PER_SECOND));
    return 0;
}

/* h:add(other): adds what the other has recorded. */
static int l_histogram_add(lua_State *L)
{
    vlock_histogram_add(vlock_lib_lab_histogram(L, 1), vlock_lib_lab_histogram(L, 2));
    return 0;
}

/* h:percentile(p): seconds; p from 0 to 100 */
static int l_percentile(lua_State *L)
{
    push_seconds(L, (double)vlock_histogram_percentile(vlock_lib_lab_histogram(L, 1),
                                                       luaL_checknumber(L, 2)));
    return 1;
}

static int l_histogram_count(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)vlock_histogram_count(vlock_lib_lab_histogram(L, 1)));
    return 1;
}

/* h:count_up_to(seconds): how many lie in the bucket of this time or below it */
static int l_count_up_to(lua_State *L)
{
    int64_t ns = (int64_t)llround(luaL_checknumber(L, 2) * VLOCK_NS_PER_SECOND);
    lua_pushinteger(L, (lua_Integer)vlock_histogram_count_up_to(vlock_lib_lab_histogram(L, 1), ns));
    return 1;
}

/* h:deviation(): the standard deviation, in seconds */
static int l_deviation(lua_State *L)
{
    push_seconds(L, vlock_histogram_deviation(vlock_lib_lab_histogram(L, 1)));
    return 1;
}

static int l_mean(lua_State *L)
{
    push_seconds(L, vlock_histogram_mean(vlock_lib_lab_histogram(L, 1)));
    return 1;
}

static int l_min(lua_State *L)
{
    push_seconds(L, (double)vlock_histogram_min(vlock_lib_lab_histogram(L, 1)));
    return 1;
}

static int l_max(lua_State *L)
{
    push_seconds(L, (double)vlock_histogram_max(vlock_lib_lab_histogram(L, 1)));
    return 1;
}

static int l_histogram_gc(lua_State *L)
{
    struct vlock_histogram **place = luaL_checkudata(L, 1, HISTOGRAM_TYPE);
    vlock_histogram_free(*place);
    *place = NULL;
    return 0;
}

/* ---- the cleanup ---- */

/* cleanup(words, url): a process that runs this program with these words, and VLOCK_REDIS_URL, once
 * we are gone, or its handle is; unless the handle's :dismiss() was called before. */
static int l_cleanup(lua_State *L)
{
    const char *words[MOST_WORDS + 1] = {NULL};
    struct vlock_error error;
    luaL_checktype(L, 1, LUA_TTABLE);
    const char *url = luaL_checkstring(L, 2);
    lua_Integer count = luaL_len(L, 1);
    luaL_argcheck(L, count >= 1 && count <= MOST_WORDS, 1, "too many words, or none");
    /* The strings stay on the stack while they are copied. */
    for (lua_Integer i = 0; i < count; i++) {
        lua_geti(L, 1, i + 1);
        words[i] = luaL_checkstring(L, -1);
    }
    struct vlock_cleanup **place = lua_newuserdatauv(L, sizeof *place, 0);
    *place = NULL;
    luaL_setmetatable(L, CLEANUP_TYPE);
    *place = vlock_cleanup_new(words, url, &error);
    if (!*place)
        return luaL_error(L, "%s", error.message);
    return 1;
}

static int l_dismiss(lua_State *L)
{
    struct vlock_cleanup **place = luaL_checkudata(L, 1, CLEANUP_TYPE);
    vlock_cleanup_dismiss(*place);
    *place = NULL;
    return 0;
}

static int l_cleanup_gc(lua_State *L)
{
    struct vlock_cleanup **place = luaL_checkudata(L, 1, CLEANUP_TYPE);
    vlock_cleanup_abandon(*place);
    *place = NULL;
    return 0;
}

static void register_type(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction gc)
{
    luaL_newmetatable(L, name);
    lua_pushcfunction(L, gc);
    lua_setfield(L, -2, "__gc");
    lua_createtable(L, 0, 8);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

int vlock_lib_lab_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"histogram", l_histogram}, {"cleanup", l_cleanup}, {NULL, NULL}};
    static const luaL_Reg histogram_methods[] = {{"record", l_record},
                                                 {"add", l_histogram_add},
                                                 {"percentile", l_percentile},
                                                 {"count", l_histogram_count},
                                                 {"count_up_to", l_count_up_to},
                                                 {"mean", l_mean},
                                                 {"min", l_min},
                                                 {"max", l_max},
                                                 {"deviation", l_deviation},
                                                 {NULL, NULL}};
    static const luaL_Reg cleanup_methods[] = {{"dismiss", l_dismiss}, {NULL, NULL}};
    register_type(L, CLEANUP_TYPE, cleanup_methods, l_cleanup_gc);
    register_type(L, HISTOGRAM_TYPE, histogram_methods, l_histogram_gc);
    luaL_newlib(L, functions);
    vlock_chain_record_add_functions(L);
    lua_pushinteger(L, VLOCK_HISTOGRAM_ROWS);
    lua_setfield(L, -2, "HISTOGRAM_ROWS");
    lua_pushinteger(L, VLOCK_HISTOGRAM_CUTS);
    lua_setfield(L, -2, "HISTOGRAM_CUTS");
    return 1;
}
