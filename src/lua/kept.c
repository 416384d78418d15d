/* What a session keeps of a cell: see kept.h. */
#include "lua/kept.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "lua/kept_parts.h"
#include "task/scheduler.h"
#include "task/task.h"

#define KEPT_TYPE "vlock.kept"

static const char type_mark = 0;

/* Without the name of its type, which would have to be looked up each time. */
struct vlock_kept *vlock_kept_check(lua_State *L, int index)
{
    struct vlock_kept *kept =
        lua_rawlen(L, index) == sizeof *kept ? lua_touserdata(L, index) : NULL;
    if (!kept || kept->type != &type_mark)
        luaL_typeerror(L, index, KEPT_TYPE);
    return kept;
}

bool vlock_kept_is_written(lua_State *L, int index, struct vlock_kept *kept)
{
    if (!kept->writer)
        return false;
    lua_getiuservalue(L, index, VLOCK_KEPT_WRITER);
    bool is_alive = vlock_task_is_alive(L, -1);
    lua_pop(L, 1);
    if (!is_alive) {
        kept->writer = NULL;
        if (kept->is_settling)
            kept->is_settling = kept->has_last = kept->pace.has_base = false;
    }
    return is_alive;
}

static int64_t now_ns(lua_State *L)
{
    return vlock_scheduler_now(vlock_scheduler_of(L));
}

/* The argument: seconds, in nanoseconds. */
static int64_t time_at(lua_State *L, int index)
{
    return (int64_t)(luaL_checknumber(L, index) * VLOCK_NS_PER_SECOND);
}

/* new(record or nil): of a cell of which nothing is known. */
static int l_new(lua_State *L)
{
    lua_settop(L, 1);
    struct vlock_kept *kept = lua_newuserdatauv(L, sizeof *kept, VLOCK_KEPT_VALUES);
    memset(kept, 0, sizeof *kept);
    kept->type = &type_mark;
    luaL_setmetatable(L, KEPT_TYPE);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, VLOCK_KEPT_RECORD);
    return 1;
}

/* ---- the state ---- */

/* The number in a field of the table on top of the stack; NAN: there is none. */
static double number_field(lua_State *L, const char *name)
{
    bool is_number = lua_getfield(L, -1, name) == LUA_TNUMBER;
    double number = is_number ? lua_tonumber(L, -1) : NAN;
    lua_pop(L, 1);
    return number;
}

/* Whether the state on top of the stack has a value and a stamp that fit in here, which are then on
 * top of the stack. */
static bool push_parts(lua_State *L)
{
    int state = lua_gettop(L);
    size_t size = 0;
    if (lua_getfield(L, state, "version") == LUA_TNUMBER && lua_isinteger(L, -1) &&
        lua_getfield(L, state, "value") == LUA_TSTRING &&
        lua_getfield(L, state, "stamp") == LUA_TSTRING)
        lua_tolstring(L, -1, &size);
    if (size > 0 && size <= VLOCK_KEPT_STAMP)
        return true;
    lua_settop(L, state);
    return false;
}

/* remember(kept, state, took): after a commit that took so many seconds; the state that it made, as
 * of vlock.cell.state, with told_until. */
static int l_remember(lua_State *L)
{
    struct vlock_kept *kept = vlock_kept_check(L, 1);
    size_t size;
    luaL_checktype(L, 2, LUA_TTABLE);
    int64_t now = now_ns(L), took = time_at(L, 3);
    lua_settop(L, 2);
    double expires_at = number_field(L, "expires_at"), told_until = number_field(L, "told_until");
    bool is_loose = vlock_kept_is_written(L, 1, kept) || !push_parts(L);
    if (!is_loose) {
        const char *stamp = lua_tolstring(L, -1, &size);
        memcpy(kept->stamp, stamp, size);
        kept->stamp_size = (unsigned char)size;
        kept->version = lua_tointeger(L, -3);
        lua_pop(L, 1); /* the value is on top */
    }
    lua_setiuservalue(L, 1, VLOCK_KEPT_VALUE);
    kept->is_loose = is_loose;
    kept->expires_at = expires_at;
    kept->told_until = told_until;
    kept->has_last = true;
    kept->edition++;
    vlock_pace_committed(&kept->pace, !isnan(expires_at), now - took, now);
    return 0;
}

static void set_number(lua_State *L, const char *name, double number)
{
    lua_pushnumber(L, number);
    lua_setfield(L, -2, name);
}

/* Pushes a state as vlock.cell.state has it, with this version, in the place of its value. */
static void push_table(lua_State *L, const struct vlock_kept *kept, int64_t version,
                       double expires_at)
{
    lua_createtable(L, 0, 6);
    lua_insert(L, -2);
    lua_setfield(L, -2, "value");
    lua_pushboolean(L, true);
    lua_setfield(L, -2, "is_present");
    lua_pushlstring(L, kept->stamp, kept->stamp_size);
    lua_setfield(L, -2, "stamp");
    lua_pushinteger(L, version);
    lua_setfield(L, -2, "version");
    if (!isnan(expires_at))
        set_number(L, "expires_at", expires_at);
    set_number(L, "told_until", kept->told_until);
}

/* Pushes the state, a table; nil: there is none. */
static void push_state(lua_State *L, struct vlock_kept *kept)
{
    if (vlock_kept_is_written(L, 1, kept) && kept->is_settling && !kept->is_loose)
        lua_pushnil(L);
    else if (!kept->has_last)
        lua_pushnil(L);
    else if (lua_getiuservalue(L, 1, VLOCK_KEPT_VALUE) != LUA_TTABLE)
        push_table(L, kept, kept->version, kept->expires_at);
}

/* state(kept): the state that the last commit made, a table; nil: there is none. */
static int l_state(lua_State *L)
{
    push_state(L, vlock_kept_check(L, 1));
    return 1;
}

/* last(kept, stamp): the same, but nil where it is the state with this stamp, a text. */
static int l_last(lua_State *L)
{
    struct vlock_kept *kept = vlock_kept_check(L, 1);
    size_t size;
    const char *stamp = luaL_checklstring(L, 2, &size);
    if (!kept->is_loose && size == kept->stamp_size && memcmp(stamp, kept->stamp, size) == 0)
        return 0;
    push_state(L, kept);
    if (kept->is_loose && lua_istable(L, -1)) {
        lua_getfield(L, -1, "stamp");
        if (lua_rawequal(L, -1, 2))
            return 0;
        lua_pop(L, 1);
    }
    return 1;
}

/* base_of_write(kept, value): of the write that has just come to its end, the state it was made on,
 * which had this value. */
static int l_base_of_write(lua_State *L)
{
    struct vlock_kept *kept = vlock_kept_check(L, 1);
    luaL_checktype(L, 2, LUA_TSTRING);
    lua_settop(L, 2);
    push_table(L, kept, kept->made_version - 1, kept->base_expires_at);
    return 1;
}

static bool has_expired(lua_State *L, const struct vlock_kept *kept)
{
    return kept->expires_at != INFINITY &&
           kept->expires_at <= (double)now_ns(L) / VLOCK_NS_PER_SECOND;
}

/* Pushes the version, the value and the edition. */
static int push_base(lua_State *L, const struct vlock_kept *kept)
{
    lua_getiuservalue(L, 1, VLOCK_KEPT_VALUE);
    if (kept->is_loose) {
        lua_getfield(L, -1, "version");
        lua_getfield(L, -2, "value");
    } else {
        lua_pushinteger(L, kept->version);
        lua_insert(L, -2);
    }
    lua_pushinteger(L, kept->edition);
    return 3;
}

/* base(kept): version and value of the state to build on without a read, and its edition, for
 * `write`; nothing where there is none. */
static int l_base(lua_State *L)
{
    struct vlock_kept *kept = vlock_kept_check(L, 1);
    if (vlock_kept_is_written(L, 1, kept) && kept->is_settling)
        return 0;
    if (!kept->pace.has_base || has_expired(L, kept))
        return 0;
    return push_base(L, kept);
}

/* next(kept): the same for an update that begins now, or three times nil where it is to read; and
 * for how many round trips at most it is to rest first. After a rest the base may be another one:
 * `base` tells. */
static int l_next(lua_State *L)
{
    struct vlock_kept *kept = vlock_kept_check(L, 1);
    enum vlock_pace_start start = vlock_pace_begin(&kept->pace, now_ns(L));
    bool builds = start != VLOCK_PACE_READS && start != VLOCK_PACE_RESTS_AND_READS;
    if (!builds || l_base(L) == 0) {
        lua_settop(L, 1);
        lua_pushnil(L);
        lua_pushnil(L);
        lua_pushnil(L);
    }
    lua_pushinteger(L, vlock_pace_rest(start));
    return 4;
}

/* base_of(kept, edition): the base of this edition, a table; nil where there is another by now. */
static int l_base_of(lua_State *L)
{
    struct vlock_kept *kept = vlock_kept_check(L, 1);
    if (!kept->pace.has_base || kept->edition != (unsigned)luaL_checkinteger(L, 2))
        return 0;
    push_state(L, kept);
    return 1;
}

/* forget(kept, took): after a conflict, or what may have been one, of a write that took so many
 * seconds. */
static int l_forget(lua_State *L)
{
    struct vlock_kept *kept = vlock_kept_check(L, 1);
    int64_t now = now_ns(L);
    vlock_pace_disturbed(&kept->pace, now - time_at(L, 2), now);
    return 0;
}

/* forget_last(kept): the state is not to be asked about any more. */
static int l_forget_last(lua_State *L)
{
    struct vlock_kept *kept = vlock_kept_check(L, 1);
    kept->has_last = kept->pace.has_base = false;
    kept->edition++;
    lua_pushnil(L);
    lua_setiuservalue(L, 1, VLOCK_KEPT_VALUE);
    return 0;
}

/* begin_turn(kept): after a commit that kept nobody out. */
static int l_begin_turn(lua_State *L)
{
    vlock_kept_check(L, 1)->pace.turn = 0;
    return 0;
}

/* see(kept, stamp or nil); seen(kept): the stamp of the value that was read last. */
static int l_see(lua_State *L)
{
    vlock_kept_check(L, 1);
    lua_settop(L, 2);
    lua_setiuservalue(L, 1, VLOCK_KEPT_SEEN);
    return 0;
}

static int l_seen(lua_State *L)
{
    vlock_kept_check(L, 1);
    lua_getiuservalue(L, 1, VLOCK_KEPT_SEEN);
    return 1;
}

/* vlock_kept_is_written(kept): whether a task writes by `write`. */
static int l_is_written(lua_State *L)
{
    lua_pushboolean(L, vlock_kept_is_written(L, 1, vlock_kept_check(L, 1)));
    return 1;
}

/* kept.version, kept.stamp, kept.value: of its state, for who is told what an update made, and
 * looks before the next one. */
static int l_index(lua_State *L)
{
    struct vlock_kept *kept = vlock_kept_check(L, 1);
    const char *name = luaL_checkstring(L, 2);
    lua_getiuservalue(L, 1, VLOCK_KEPT_VALUE);
    if (kept->is_loose && lua_istable(L, -1))
        lua_getfield(L, -1, name);
    else if (strcmp(name, "version") == 0)
        lua_pushinteger(L, kept->version);
    else if (strcmp(name, "stamp") == 0)
        lua_pushlstring(L, kept->stamp, kept->stamp_size);
    else if (strcmp(name, "value") != 0)
        lua_pushnil(L);
    return 1;
}

void vlock_kept_push_functions(lua_State *L)
{
    static const luaL_Reg functions[] = {{"new", l_new},
                                         {"remember", l_remember},
                                         {"state", l_state},
                                         {"last", l_last},
                                         {"base", l_base},
                                         {"base_of", l_base_of},
                                         {"next", l_next},
                                         {"forget", l_forget},
                                         {"forget_last", l_forget_last},
                                         {"begin_turn", l_begin_turn},
                                         {"see", l_see},
                                         {"seen", l_seen},
                                         {"is_written", l_is_written},
                                         {"base_of_write", l_base_of_write},
                                         {NULL, NULL}};
    luaL_newmetatable(L, KEPT_TYPE);
    lua_pushcfunction(L, l_index);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
}
