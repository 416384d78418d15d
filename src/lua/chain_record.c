/* Chains of commits as Lua values: see chain_record.h. */
#include "lua/chain_record.h"

#include <lauxlib.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define CHAIN_TYPE "vlock.chain"

struct vlock_chain_record *vlock_chain_record_check(lua_State *L, int index)
{
    return luaL_checkudata(L, index, CHAIN_TYPE);
}

static struct vlock_chain *check_chain(lua_State *L, int index)
{
    return vlock_chain_record_check(L, index)->chain;
}

/* Stands for a value: never as an absent one. */
static uint32_t content_of(const char *bytes, size_t count)
{
    return (uint32_t)vlock_chain_id(bytes, count) | 1;
}

uint32_t vlock_chain_record_content(struct vlock_growth_value value)
{
    return value.bytes ? content_of(value.bytes, value.count) : 0;
}

/* A state of the cell, from two arguments: the text that names it, and its content, a text, nil
 * (absent) or true (not known). */
static struct vlock_chain_state check_state(lua_State *L, int index)
{
    size_t length;
    const char *name = luaL_checklstring(L, index, &length);
    struct vlock_chain_state state = {vlock_chain_id(name, length), 0};
    if (lua_isboolean(L, index + 1)) {
        state.content = VLOCK_CHAIN_ANY;
    } else if (!lua_isnoneornil(L, index + 1)) {
        const char *content = luaL_checklstring(L, index + 1, &length);
        state.content = content_of(content, length);
    }
    return state;
}

/* id(text): 16 hexadecimal digits that stand for it. */
static int l_id(lua_State *L)
{
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    char digits[17];
    snprintf(digits, sizeof digits, "%016llx", (unsigned long long)vlock_chain_id(text, length));
    lua_pushstring(L, digits);
    return 1;
}

/* chain(is_counter): an empty one, for one key. */
static int l_chain(lua_State *L)
{
    bool is_counter = lua_toboolean(L, 1);
    struct vlock_chain_record *record = lua_newuserdatauv(L, sizeof *record, 0);
    memset(record, 0, sizeof *record);
    record->is_counter = is_counter;
    luaL_setmetatable(L, CHAIN_TYPE);
    record->chain = vlock_chain_new();
    if (!record->chain)
        return luaL_error(L, "out of memory");
    return 1;
}

/* When something was, on the clock of the run: seconds, kept in nanoseconds. What a history says
 * may be anything: beyond a hundred years it is as good as never. */
static int64_t check_time(lua_State *L, int index)
{
    double most = 100.0 * 366 * 86400, seconds = luaL_checknumber(L, index);
    return (int64_t)llround(fmax(fmin(seconds, most), -most) * VLOCK_NS_PER_SECOND);
}

static struct vlock_chain_span check_span(lua_State *L, int index)
{
    return (struct vlock_chain_span){check_time(L, index), check_time(L, index + 1)};
}

static int added(lua_State *L, int status)
{
    if (status != 0)
        return luaL_error(L, "out of memory");
    return 0;
}

/* c:commit(base, base's content, made, made's content, begin, end): a commit that somebody was told
 * of; when it was sent, and when its reply was there. */
static int l_commit(lua_State *L)
{
    return added(L, vlock_chain_commit(check_chain(L, 1), check_state(L, 2), check_state(L, 4),
                                       check_span(L, 6)));
}

int vlock_chain_record_commit(struct vlock_chain_record *record, uint64_t base_id,
                              struct vlock_growth_value base, uint64_t made_id,
                              struct vlock_growth_value made, struct vlock_chain_span span)
{
    struct vlock_chain_state from = {base_id, vlock_chain_record_content(base)};
    struct vlock_chain_state to = {made_id, vlock_chain_record_content(made)};
    if (vlock_chain_commit(record->chain, from, to, span) != 0)
        return -1;
    if (record->is_counter)
        vlock_growth_add(&record->growth, base, made);
    return 0;
}

static struct vlock_growth_value check_value(lua_State *L, int index)
{
    struct vlock_growth_value value = {NULL, 0};
    if (!lua_isnil(L, index))
        value.bytes = luaL_checklstring(L, index, &value.count);
    return value;
}

/* c:grow(base's value, made's value): what a commit adds to the counter; nil: absent; true: not
 * known. */
static int l_grow(lua_State *L)
{
    struct vlock_growth *growth = &vlock_chain_record_check(L, 1)->growth;
    if (lua_isboolean(L, 2) || lua_isboolean(L, 3))
        growth->is_unknown = true;
    else
        vlock_growth_add(growth, check_value(L, 2), check_value(L, 3));
    return 0;
}

/* c:growth(): by how much the counter must have grown; nil: by values that are no numbers. */
static int l_growth(lua_State *L)
{
    const struct vlock_growth *growth = &vlock_chain_record_check(L, 1)->growth;
    if (growth->is_unknown)
        lua_pushnil(L);
    else
        lua_pushinteger(L, growth->sum);
    return 1;
}

/* c:count(): how many commits and writes of unknown outcome there are. */
static int l_count(lua_State *L)
{
    lua_pushinteger(L, vlock_chain_count(check_chain(L, 1)));
    return 1;
}

/* number(value): the number that a counter's value begins with, 0 where it is absent; nil where it
 * begins with none, or with one of 2^63 and more. */
static int l_number(lua_State *L)
{
    int64_t number;
    lua_settop(L, 1);
    if (!vlock_growth_number(check_value(L, 1), &number))
        return 0;
    lua_pushinteger(L, number);
    return 1;
}

/* c:unknown(base, base's content, made or nil, made's content, begin): a write of which nobody
 * knows whether it was applied; made nil: nor which state it would have made. */
static int l_unknown(lua_State *L)
{
    struct vlock_chain *chain = check_chain(L, 1);
    struct vlock_chain_state base = check_state(L, 2);
    int64_t begin = check_time(L, 6);
    return added(L, lua_isnil(L, 4) ? vlock_chain_unplaced(chain, base, begin)
                                    : vlock_chain_unknown(chain, base, check_state(L, 4), begin));
}

/* c:read(found, its content, begin, end): a read, and what it found. */
static int l_read(lua_State *L)
{
    return added(L, vlock_chain_read(check_chain(L, 1), check_state(L, 2), check_span(L, 4)));
}

static void set_count(lua_State *L, const char *name, int64_t count)
{
    lua_pushinteger(L, count);
    lua_setfield(L, -2, name);
}

/* Numbers of commits count from 1, as they were added, and so do those of reads. */
static void push_culprit(lua_State *L, const struct vlock_chain_culprit *culprit)
{
    static const char *const faults[] = {"lost",    "duplicated",   "unreported", "altered",
                                         "missing", "out_of_order", "stale"};
    lua_createtable(L, 0, 3);
    lua_pushstring(L, faults[culprit->fault]);
    lua_setfield(L, -2, "fault");
    if (culprit->commit != VLOCK_CHAIN_NOBODY)
        set_count(L, culprit->is_read ? "read" : "commit", culprit->commit + 1);
    if (culprit->other != VLOCK_CHAIN_NOBODY)
        set_count(L, culprit->is_other_read ? "other_read" : "other", culprit->other + 1);
}

/* c:check(first, its content, last, its content): what stood at the beginning and what stands at
 * the end; returns the findings as a table: see chain.h. culprits: a list of {fault, commit
 * or read, other or other_read}. */
static int l_check(lua_State *L)
{
    struct vlock_chain_result result;
    if (vlock_chain_check(check_chain(L, 1), check_state(L, 2), check_state(L, 4), &result) != 0)
        return luaL_error(L, "out of memory");
    lua_createtable(L, 0, 11);
    set_count(L, "commits", result.commits);
    set_count(L, "lost_updates", result.lost_updates);
    set_count(L, "duplicated", result.duplicated);
    set_count(L, "unreported", result.unreported);
    set_count(L, "altered", result.altered);
    set_count(L, "missing", result.missing);
    set_count(L, "unknown_applied", result.unknown_applied);
    set_count(L, "out_of_order", result.out_of_order);
    set_count(L, "stale_reads", result.stale_reads);
    lua_pushboolean(L, result.whole);
    lua_setfield(L, -2, "whole");
    lua_createtable(L, (int)result.culprit_count, 0);
    for (size_t i = 0; i < result.culprit_count; i++) {
        push_culprit(L, &result.culprits[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "culprits");
    return 1;
}

static int l_chain_gc(lua_State *L)
{
    struct vlock_chain_record *record = vlock_chain_record_check(L, 1);
    vlock_chain_free(record->chain);
    record->chain = NULL;
    return 0;
}

static void register_type(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"commit", l_commit}, {"unknown", l_unknown}, {"read", l_read},   {"grow", l_grow},
        {"growth", l_growth}, {"count", l_count},     {"check", l_check}, {NULL, NULL}};
    luaL_newmetatable(L, CHAIN_TYPE);
    lua_pushcfunction(L, l_chain_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

void vlock_chain_record_add_functions(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"chain", l_chain}, {"id", l_id}, {"number", l_number}, {NULL, NULL}};
    register_type(L);
    luaL_setfuncs(L, functions, 0);
}
