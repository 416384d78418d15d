/* A crowd as a Lua value: see crowd.h. */
#include "lua/crowd.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/chain.h"
#include "base/clock.h"
#include "lua/crowd_parts.h"
#include "lua/lib_lab.h"
#include "lua/sim_world.h"
#include "net/sim.h"
#include "task/scheduler.h"

#define CROWD_TYPE "vlock.crowd"
/* Before others have their turn. */
#define STEP_EVENTS 16384
#define STEP_NS (50 * 1000 * 1000LL)

#define MOST 0x7fffffff /* of what is counted in an int */

static struct vlock_crowd *check(lua_State *L)
{
    return luaL_checkudata(L, 1, CROWD_TYPE);
}

/* The same, of a simulation that has not ended. */
static struct vlock_crowd *check_going_on(lua_State *L)
{
    struct vlock_crowd *crowd = check(L);
    if (!vlock_sim_world_is_on(crowd->world))
        luaL_error(L, "the simulation of this crowd has ended");
    crowd->sim = vlock_sim_world_network(crowd->world);
    crowd->L = L;
    return crowd;
}

/* ---- a step ---- */

/* A network that does this is none for a crowd; nor is a policy that sends commands itself. */
static void be_unsuited(struct vlock_crowd *crowd)
{
    crowd->is_unsuited = true;
    luaL_error(crowd->L, "a crowd does not suit this network");
}

static void take_event(struct vlock_crowd *crowd)
{
    struct vlock_sim_message *message;
    enum vlock_sim_event event = vlock_sim_take(crowd->sim, &message);
    if (event == VLOCK_SIM_NOTHING)
        return;
    struct vlock_crowd_client *client = message ? message->sender : NULL;
    if (!client || (event != VLOCK_SIM_ARRIVAL && event != VLOCK_SIM_REPLY))
        be_unsuited(crowd);
    if (event == VLOCK_SIM_ARRIVAL) {
        vlock_crowd_arrive(crowd, message);
        return;
    }
    vlock_sim_forget(crowd->sim, message);
    vlock_crowd_reply(crowd, client);
}

/* What happens to it next: the end of this pause, or, NULL, an event of the network; and when. Of
 * what happens at the same instant, the network's comes first: as of vlock_virtual_turn(). */
static struct vlock_timer *next(const struct vlock_crowd *crowd, int64_t *when_ns)
{
    struct vlock_timer *timer = vlock_timers_first(&crowd->timers);
    *when_ns = vlock_sim_next_ns(crowd->sim);
    if (!timer || *when_ns <= timer->when_ns)
        return NULL;
    *when_ns = timer->when_ns;
    return timer;
}

static void begin(struct vlock_crowd *crowd)
{
    crowd->active = crowd->client_count;
    for (int i = 0; i < crowd->client_count; i++)
        vlock_crowd_begin(crowd, &crowd->clients[i]);
}

/* Puts what it holds where a step has it: see crowd_parts.h. */
static void push_values(lua_State *L)
{
    luaL_checkstack(L, 2 * VLOCK_CROWD_VALUES + LUA_MINSTACK, NULL);
    lua_settop(L, 1);
    for (int i = 1; i <= VLOCK_CROWD_VALUES; i++)
        lua_getiuservalue(L, 1, i);
    vlock_crowd_push_names(L);
}

static int go_on(lua_State *L, int status, lua_KContext context)
{
    (void)status, (void)context;
    struct vlock_crowd *crowd = check_going_on(L);
    push_values(L);
    crowd->until_ns = vlock_clock_now() + STEP_NS;
    crowd->is_late = false;
    for (int i = 0; i < STEP_EVENTS && crowd->active > 0 && !crowd->is_late; i++) {
        int64_t when_ns;
        struct vlock_timer *timer = next(crowd, &when_ns);
        if (!vlock_sim_world_go_on_to(crowd->world, when_ns))
            break;
        crowd->now_ns = when_ns;
        if (!timer) {
            take_event(crowd);
        } else {
            vlock_timers_cancel(&crowd->timers, timer);
            vlock_crowd_wake(crowd, (struct vlock_crowd_client *)timer);
        }
    }
    vlock_sim_world_count(crowd->world, crowd->commands, crowd->sleeps);
    crowd->commands = crowd->sleeps = 0;
    lua_pushboolean(L, crowd->active > 0);
    return 1;
}

/* c:step(): lets its clients go on for a while; whether any of them has more to do. Raises what a
 * policy raises. */
static int l_step(lua_State *L)
{
    struct vlock_crowd *crowd = check_going_on(L);
    crowd->asked = NULL;
    if (!crowd->has_begun) {
        push_values(L);
        crowd->has_begun = true;
        begin(crowd);
        lua_settop(L, 1);
    }
    if (crowd->active == 0) {
        lua_pushboolean(L, 0);
        return 1;
    }
    int64_t when_ns;
    next(crowd, &when_ns);
    if (when_ns == INT64_MAX)
        be_unsuited(crowd); /* each waits for what never comes */
    return vlock_sim_world_await(L, crowd->world, when_ns, go_on);
}

/* c:stop(): from here on no update is begun, nor tried again; attempts under way come to their
 * ends. After a step that has raised there are no more steps. */
static int l_stop(lua_State *L)
{
    struct vlock_crowd *crowd = check(L);
    crowd->asked = NULL;
    crowd->deadline = fmin(crowd->deadline, vlock_crowd_seconds(crowd->now_ns));
    return 0;
}

/* ---- what came of it ---- */

/* c:is_unsuited() */
static int l_is_unsuited(lua_State *L)
{
    lua_pushboolean(L, vlock_crowd_is_unsuited(check(L)));
    return 1;
}

/* c:counts(): commits, attempts, conflicts, gave_up, unfinished. */
static int l_counts(lua_State *L)
{
    const struct vlock_crowd *crowd = check(L);
    const struct {
        const char *name;
        int64_t count;
    } all[] = {
        {"commits", crowd->commits},       {"attempts", crowd->attempts},
        {"conflicts", crowd->conflicts},   {"gave_up", crowd->gave_up},
        {"unfinished", crowd->unfinished},
    };
    lua_createtable(L, 0, (int)(sizeof all / sizeof *all));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        lua_pushinteger(L, all[i].count);
        lua_setfield(L, -2, all[i].name);
    }
    return 1;
}

/* c:rates(): a list of each client's commits a second, while it ran. */
static int l_rates(lua_State *L)
{
    const struct vlock_crowd *crowd = check(L);
    lua_createtable(L, crowd->client_count, 0);
    for (int i = 0; i < crowd->client_count; i++) {
        const struct vlock_crowd_client *client = &crowd->clients[i];
        double seconds = vlock_crowd_seconds(client->ended_ns - crowd->began_ns);
        lua_pushnumber(L, seconds > 0 ? client->commits / seconds : 0);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* c:versions(): a list of how often each cell was written. */
static int l_versions(lua_State *L)
{
    const struct vlock_crowd *crowd = check(L);
    lua_createtable(L, crowd->cell_count, 0);
    for (int i = 0; i < crowd->cell_count; i++) {
        lua_pushinteger(L, crowd->cells[i].now.version);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* ---- life ---- */

/* A field of the table at slot 2: a whole number of at least `least`. */
static int64_t integer_in(lua_State *L, const char *name, int64_t least)
{
    lua_getfield(L, 2, name);
    lua_Integer number = luaL_optinteger(L, -1, -1);
    lua_pop(L, 1);
    if (number < least)
        luaL_error(L, "a crowd's %s: at least %d", name, (int)least);
    return number;
}

static int count_in(lua_State *L, const char *name, int least)
{
    int64_t count = integer_in(L, name, least);
    if (count > MOST)
        luaL_error(L, "a crowd's %s: at most %d", name, MOST);
    return (int)count;
}

/* The same: a number of seconds, in nanoseconds. */
static int64_t time_in(lua_State *L, const char *name)
{
    lua_getfield(L, 2, name);
    double seconds = luaL_checknumber(L, -1);
    lua_pop(L, 1);
    return (int64_t)llround(seconds * VLOCK_NS_PER_SECOND);
}

static void read_settings(lua_State *L, struct vlock_crowd *crowd)
{
    crowd->client_count = count_in(L, "workers", 1);
    crowd->cell_count = count_in(L, "cells", 1);
    crowd->wire_count = count_in(L, "connections", 1);
    crowd->per_worker = integer_in(L, "per_worker", -1);
    crowd->left = integer_in(L, "commits", -1);
    crowd->seed = (uint64_t)integer_in(L, "seed", INT64_MIN);
    crowd->read_ns = time_in(L, "read_time");
    crowd->write_ns = time_in(L, "write_time");
    lua_getfield(L, 2, "deadline");
    crowd->deadline = luaL_optnumber(L, -1, INFINITY);
    lua_getfield(L, 2, "is_own");
    crowd->is_own = lua_toboolean(L, -1);
    lua_getfield(L, 2, "is_unchanged");
    crowd->is_shared = lua_toboolean(L, -1);
    lua_getfield(L, 2, "latencies");
    crowd->latencies = vlock_lib_lab_histogram(L, -1); /* the settings hold it */
    lua_pop(L, 4);
}

static void *new_array(lua_State *L, int count, size_t size)
{
    void *array = calloc((size_t)count, size);
    if (!array)
        luaL_error(L, "out of memory");
    return array;
}

static void make_cells(lua_State *L, struct vlock_crowd *crowd)
{
    crowd->cells = new_array(L, crowd->cell_count, sizeof *crowd->cells);
    for (int i = 0; i < crowd->cell_count; i++)
        crowd->cells[i].now.id = vlock_chain_id("0", 1);
}

static void make_clients(lua_State *L, struct vlock_crowd *crowd)
{
    size_t size = (size_t)crowd->client_count * sizeof *crowd->clients;
    crowd->clients = lua_newuserdatauv(L, size, 0);
    memset(crowd->clients, 0, size);
    lua_setiuservalue(L, 3, VLOCK_CROWD_CLIENTS);
    for (int i = 0; i < crowd->client_count; i++)
        vlock_random_seed(&crowd->clients[i].random, crowd->seed, (uint64_t)i + 1);
    if (!vlock_timers_reserve(&crowd->timers, crowd->client_count))
        luaL_error(L, "out of memory");
    crowd->wires = new_array(L, crowd->wire_count, sizeof(struct vlock_sim_wire *));
    for (int i = 0; i < crowd->wire_count; i++)
        crowd->wires[i] = vlock_sim_world_connect(L, crowd->world, false);
}

void vlock_crowd_push(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    struct vlock_sim_world *world = vlock_sim_world_check(L, 1);
    struct vlock_crowd *crowd = lua_newuserdatauv(L, sizeof *crowd, VLOCK_CROWD_VALUES);
    memset(crowd, 0, sizeof *crowd);
    luaL_setmetatable(L, CROWD_TYPE);
    crowd->world = world;
    read_settings(L, crowd);
    make_cells(L, crowd);
    make_clients(L, crowd);
    crowd->refusals = vlock_scheduler_refusals(vlock_sim_world_scheduler(world));
    crowd->began_ns = crowd->now_ns = vlock_sim_world_now(world);
    for (int i = 1; i <= VLOCK_CROWD_VALUES; i++) {
        if (i == VLOCK_CROWD_CLIENTS)
            continue;
        if (i == VLOCK_CROWD_SETTINGS)
            lua_pushvalue(L, 2);
        else if (i == VLOCK_CROWD_WORLD)
            lua_pushvalue(L, 1);
        else if (i == VLOCK_CROWD_CONFLICT_TYPE)
            vlock_crowd_push_conflict_type(L, 3);
        else
            lua_newtable(L);
        lua_setiuservalue(L, 3, i);
    }
}

static int l_gc(lua_State *L)
{
    struct vlock_crowd *crowd = check(L);
    vlock_timers_free(&crowd->timers);
    free(crowd->cells);
    free(crowd->wires);
    crowd->asked = NULL;
    crowd->cells = NULL;
    crowd->wires = NULL;
    crowd->client_count = crowd->cell_count = 0;
    return 0;
}

void vlock_crowd_register(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"step", l_step},     {"stop", l_stop},   {"is_unsuited", l_is_unsuited},
        {"counts", l_counts}, {"rates", l_rates}, {"versions", l_versions},
        {NULL, NULL},
    };
    luaL_newmetatable(L, CROWD_TYPE);
    lua_pushcfunction(L, l_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
