/* `vlock.sim_core`: see lib_sim.h. What a model may say is checked in lua/vlock/sim/model.lua. */
#include "lua/lib_sim.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "lua/crowd.h"
#include "lua/redis_connection.h"
#include "lua/sim_world.h"
#include "net/sim.h"

#define LONGEST_SECONDS 1e9

/* ---- settings ---- */

/* A field of the table on top of the stack, a number; 0 where it is absent. */
static double number_in(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    double number = luaL_optnumber(L, -1, 0);
    lua_pop(L, 1);
    return number;
}

/* The same of seconds, in nanoseconds. */
static double ns_in(lua_State *L, const char *name)
{
    return number_in(L, name) * VLOCK_NS_PER_SECOND;
}

static int64_t time_in(lua_State *L, const char *name)
{
    return (int64_t)llround(fmin(number_in(L, name), LONGEST_SECONDS) * VLOCK_NS_PER_SECOND);
}

static void read_quantiles(lua_State *L, struct vlock_distribution *distribution)
{
    lua_getfield(L, -1, "quantiles");
    luaL_checktype(L, -1, LUA_TTABLE);
    lua_Integer count = luaL_len(L, -1);
    double *quantiles = count >= 2 ? malloc((size_t)count * sizeof *quantiles) : NULL;
    if (!quantiles)
        luaL_error(L, "out of memory, or fewer than two quantiles");
    for (lua_Integer i = 0; i < count; i++) {
        lua_rawgeti(L, -1, i + 1);
        quantiles[i] = lua_tonumber(L, -1) * VLOCK_NS_PER_SECOND;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    distribution->quantiles = quantiles;
    distribution->count = (size_t)count;
}

/* The field `name` of the table on top of the stack: a distribution of seconds, by its kind. */
static void read_distribution(lua_State *L, const char *name,
                              struct vlock_distribution *distribution)
{
    static const char *const kinds[] = {"constant",  "uniform",     "normal",    "folded",
                                        "lognormal", "exponential", "quantiles", NULL};
    if (lua_getfield(L, -1, name) == LUA_TTABLE) {
        lua_getfield(L, -1, "kind");
        distribution->kind = (enum vlock_distribution_kind)luaL_checkoption(L, -1, NULL, kinds);
        lua_pop(L, 1);
        distribution->a = ns_in(L, "a");
        distribution->b = distribution->kind == VLOCK_LOGNORMAL ? number_in(L, "b") : ns_in(L, "b");
        distribution->minimum = ns_in(L, "minimum");
        if (distribution->kind == VLOCK_QUANTILES)
            read_quantiles(L, distribution);
    }
    lua_pop(L, 1);
}

static void read_outage(lua_State *L, const char *name, struct vlock_sim_outage *outage)
{
    if (lua_getfield(L, -1, name) == LUA_TTABLE) {
        outage->at_ns = time_in(L, "at");
        outage->every_ns = time_in(L, "every");
        outage->takes_ns = time_in(L, "takes");
    }
    lua_pop(L, 1);
}

/* begin(settings): a world, whose time is 0. settings: seed; delay and lateness, each { kind, a, b,
 * minimum, quantiles }; ordered; timeout; the probabilities lost_request, lost_reply, cut_request,
 * cut_reply, late_request; stall and failover, each { at, every, takes }. Times in seconds. */
static int l_begin(lua_State *L)
{
    struct vlock_sim_settings settings;
    memset(&settings, 0, sizeof settings);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_getfield(L, 1, "seed");
    settings.seed = (uint64_t)luaL_checkinteger(L, -1);
    lua_getfield(L, 1, "ordered");
    settings.is_ordered = lua_toboolean(L, -1);
    lua_settop(L, 1);
    settings.timeout_ns = time_in(L, "timeout");
    settings.lost_request = number_in(L, "lost_request");
    settings.lost_reply = number_in(L, "lost_reply");
    settings.cut_request = number_in(L, "cut_request");
    settings.cut_reply = number_in(L, "cut_reply");
    settings.late_request = number_in(L, "late_request");
    read_outage(L, "stall", &settings.stall);
    read_outage(L, "failover", &settings.failover);
    read_distribution(L, "lateness", &settings.lateness);
    read_distribution(L, "delay", &settings.delay);
    vlock_sim_world_new(L, &settings);
    return 1;
}

/* w:finish(): its time ends, and that of the system goes on. */
static int l_finish(lua_State *L)
{
    vlock_sim_world_end(vlock_sim_world_check(L, 1));
    return 0;
}

/* w:connect(is_direct): a connection, as redis.connect makes them. */
static int l_connect(lua_State *L)
{
    vlock_connection_push_simulated(L, 1, lua_toboolean(L, 2));
    return 1;
}

/* w:crowd(settings): its clients, all of them (see crowd.h). settings: workers, cells,
 * connections, per_worker or commits or neither (their numbers); deadline, until when updates
 * begin; is_own, whether worker i keeps to cell i mod cells, else each update has one at random;
 * is_unchanged(), given where one policy serves all; seed; read_time, write_time, how long they
 * take the server; latencies, a histogram. And functions: open_record(cell) returns a chain;
 * new_policy() returns a policy's retry (nil: it always goes on) and backoff; new_conflict(worker,
 * cell, random) returns the table that they are asked about. Times in seconds. Its field
 * `give_up_reason` is set to the first reason why an update was given up. */
static int l_crowd(lua_State *L)
{
    vlock_crowd_push(L);
    return 1;
}

/* ---- the server's side ---- */

/* w:receive(): waits for a command; its words, a list of texts; false: another server has taken
 * over. */
static int l_receive(lua_State *L)
{
    return vlock_sim_world_receive(L, vlock_sim_world_check(L, 1));
}

/* w:serve(seconds): when what has arrived will be done, in nanoseconds of virtual time, an
 * integer. */
static int l_serve(lua_State *L)
{
    struct vlock_sim_world *world = vlock_sim_world_check(L, 1);
    int64_t ns = (int64_t)llround(luaL_checknumber(L, 2) * VLOCK_NS_PER_SECOND);
    lua_pushinteger(L, vlock_sim_world_serve(world, ns));
    return 1;
}

/* w:answer(done, reply): of `serve`, and as scripts see replies. */
static int l_answer(lua_State *L)
{
    lua_settop(L, 3);
    vlock_sim_world_answer(L, vlock_sim_world_check(L, 1), luaL_checkinteger(L, 2));
    return 0;
}

/* w:counts(): what has happened so far; travelling: commands that are still under way to the
 * server. */
static int l_counts(lua_State *L)
{
    int64_t timers;
    const struct vlock_sim_counts *counts =
        vlock_sim_world_counts(vlock_sim_world_check(L, 1), &timers);
    const struct {
        const char *name;
        int64_t count;
    } all[] = {
        {"events", counts->events + timers},
        {"commands", counts->commands},
        {"lost", counts->lost},
        {"cut", counts->cut},
        {"late", counts->late},
        {"timeouts", counts->timeouts},
        {"failovers", counts->failovers},
        {"travelling", counts->travelling},
    };
    lua_createtable(L, 0, (int)(sizeof all / sizeof *all));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        lua_pushinteger(L, all[i].count);
        lua_setfield(L, -2, all[i].name);
    }
    return 1;
}

int vlock_lib_sim_open(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"finish", l_finish}, {"connect", l_connect}, {"receive", l_receive}, {"serve", l_serve},
        {"answer", l_answer}, {"counts", l_counts},   {"crowd", l_crowd},     {NULL, NULL},
    };
    vlock_sim_world_register(L, methods);
    vlock_crowd_register(L);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_begin);
    lua_setfield(L, -2, "begin");
    return 1;
}
