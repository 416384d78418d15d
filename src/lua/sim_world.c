/* The world of a simulation: see sim_world.h. */
#include "lua/sim_world.h"

#include <lauxlib.h>
#include <string.h>

#include "lua/reply.h"
#include "net/link.h"
#include "net/sim.h"
#include "task/scheduler.h"

#define WORLD_TYPE "vlock.sim_world"

/* References in the registry: two tables by the messages' slots, and texts that are ready, since
 * where they are needed nothing may raise. */
enum { WORDS, WAITERS, LATE_TEXT, CUT_TEXT, REFERENCES };

struct vlock_sim_world {
    struct vlock_sim *sim; /* NULL: it has ended */
    struct vlock_scheduler *scheduler;
    lua_State *L; /* the engine's */
    struct vlock_event_source source;
    struct vlock_clock clock;  /* of the network: follows the scheduler's */
    struct vlock_task *server; /* where it waits for a command, else NULL */
    struct vlock_sim_message *held;
    struct vlock_task *waiter; /* a task that takes what happens itself, where it waits; or NULL */
    int64_t waiter_ns;         /* by when it wants to go on */
    int64_t sleeps;            /* that have ended unseen by the scheduler */
    int references[REFERENCES];
};

static void push_reference(lua_State *L, const struct vlock_sim_world *world, int which)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, world->references[which]);
}

/* Pushes what stands at the slot of one of the tables, and takes it out there. */
static void take(lua_State *L, const struct vlock_sim_world *world, int which, int slot)
{
    push_reference(L, world, which);
    lua_rawgeti(L, -1, slot);
    lua_pushnil(L);
    lua_rawseti(L, -3, slot);
    lua_remove(L, -2);
}

/* Puts the value on top of the stack there (popped). May raise. */
static void put(lua_State *L, const struct vlock_sim_world *world, int which, int slot)
{
    push_reference(L, world, which);
    lua_insert(L, -2);
    lua_rawseti(L, -2, slot);
    lua_pop(L, 1);
}

/* ---- events: nothing in here may raise ---- */

static int64_t next_ns(void *user)
{
    const struct vlock_sim_world *world = user;
    int64_t next_ns = vlock_sim_next_ns(world->sim);
    return world->waiter && world->waiter_ns < next_ns ? world->waiter_ns : next_ns;
}

/* Wakes who waits for this message, if anybody does any more. */
static void tell(struct vlock_sim_world *world, struct vlock_sim_message *message,
                 enum vlock_sim_event event)
{
    lua_State *L = world->L;
    take(L, world, WAITERS, message->slot);
    bool is_alive = lua_type(L, -1) == LUA_TUSERDATA && vlock_task_is_alive(L, -1);
    struct vlock_task *task = lua_touserdata(L, -1);
    if (is_alive) {
        lua_pushinteger(L, event == VLOCK_SIM_REPLY ? VLOCK_LINK_REPLY : VLOCK_LINK_AMBIGUOUS);
        if (event == VLOCK_SIM_REPLY)
            take(L, world, WORDS, message->slot);
        else
            push_reference(L, world, event == VLOCK_SIM_TIMEOUT ? LATE_TEXT : CUT_TEXT);
        lua_xmove(L, vlock_task_stack(task), 2);
        vlock_task_wake(task, 2);
    }
    lua_pop(L, 1);
    vlock_sim_forget(world->sim, message);
}

/* Wakes the server, with the command's words or, where there is none, with false. */
static void tell_server(struct vlock_sim_world *world, struct vlock_sim_message *message)
{
    struct vlock_task *server = world->server;
    lua_State *L = world->L;
    if (!server) { /* it has failed, and the run ends */
        if (message)
            vlock_sim_forget(world->sim, message);
        return;
    }
    world->held = message;
    world->server = NULL;
    if (message)
        take(L, world, WORDS, message->slot);
    else
        lua_pushboolean(L, 0);
    lua_xmove(L, vlock_task_stack(server), 1);
    vlock_task_wake(server, 1);
}

static void happen(void *user)
{
    struct vlock_sim_world *world = user;
    struct vlock_sim_message *message;
    struct vlock_task *waiter = world->waiter;
    world->clock.virtual_ns = vlock_scheduler_now(world->scheduler);
    if (waiter) {
        world->waiter = NULL;
        vlock_task_wake(waiter, 0);
        return;
    }
    enum vlock_sim_event event = vlock_sim_take(world->sim, &message);
    if (event == VLOCK_SIM_ARRIVAL || event == VLOCK_SIM_FAILOVER)
        tell_server(world, message);
    else if (event != VLOCK_SIM_NOTHING)
        tell(world, message, event);
    if (event == VLOCK_SIM_CUT || event == VLOCK_SIM_FAILOVER)
        while ((message = vlock_sim_next_cut(world->sim)))
            tell(world, message, VLOCK_SIM_CUT);
}

/* ---- clients ---- */

bool vlock_sim_world_is_on(const struct vlock_sim_world *world)
{
    return world && world->sim;
}

struct vlock_sim_wire *vlock_sim_world_connect(lua_State *L, struct vlock_sim_world *world,
                                               bool is_direct)
{
    struct vlock_sim_wire *wire = vlock_sim_wire_new(world->sim, is_direct);
    if (!wire)
        luaL_error(L, "out of memory");
    return wire;
}

int vlock_sim_world_send(lua_State *L, struct vlock_sim_world *world, struct vlock_sim_wire *wire,
                         int first, int64_t limit_ns, bool is_commit, lua_KContext context,
                         lua_KFunction k)
{
    vlock_reply_push_words(L, first, lua_gettop(L));
    world->clock.virtual_ns = vlock_scheduler_now(world->scheduler);
    struct vlock_sim_message *message = vlock_sim_send(world->sim, wire, limit_ns);
    if (!message)
        return luaL_error(L, "out of memory");
    message->mark = is_commit;
    put(L, world, WORDS, message->slot);
    vlock_task_push_current(L);
    put(L, world, WAITERS, message->slot);
    vlock_scheduler_links(world->scheduler)->commands++;
    return vlock_scheduler_park(L, context, k);
}

/* ---- the server ---- */

static int received(lua_State *L, int status, lua_KContext context)
{
    (void)L, (void)status, (void)context;
    return 1;
}

int vlock_sim_world_receive(lua_State *L, struct vlock_sim_world *world)
{
    world->server = vlock_scheduler_current(world->scheduler);
    return vlock_scheduler_park(L, 0, received);
}

int64_t vlock_sim_world_serve(const struct vlock_sim_world *world, int64_t service_ns)
{
    return world->held ? vlock_sim_serve(world->sim, world->held, service_ns)
                       : world->clock.virtual_ns;
}

/* The reply on top of the stack as its client will find it. */
static void finish_reply(lua_State *L, bool is_commit)
{
    if (lua_type(L, -1) != LUA_TTABLE)
        return;
    lua_pushliteral(L, "err");
    if (lua_rawget(L, -2) == LUA_TSTRING) {
        vlock_reply_push_error(L, lua_tostring(L, -1), NULL);
        lua_replace(L, -3);
    }
    lua_pop(L, 1);
    if (!is_commit)
        return;
    lua_pushliteral(L, "ok");
    if (lua_rawget(L, -2) == LUA_TSTRING)
        lua_replace(L, -2);
    else
        lua_pop(L, 1);
}

void vlock_sim_world_answer(lua_State *L, struct vlock_sim_world *world, int64_t done_ns)
{
    struct vlock_sim_message *message = world->held;
    if (!message)
        luaL_error(L, "there is no command to answer");
    int slot = message->slot;
    finish_reply(L, message->mark);
    put(L, world, WORDS, slot);
    world->held = NULL;
    if (!vlock_sim_answer(world->sim, message, done_ns)) {
        take(L, world, WORDS, slot);
        lua_pop(L, 1);
    }
}

/* ---- a task that is all of the clients ---- */

struct vlock_scheduler *vlock_sim_world_scheduler(const struct vlock_sim_world *world)
{
    return world->scheduler;
}

int64_t vlock_sim_world_now(const struct vlock_sim_world *world)
{
    return vlock_scheduler_now(world->scheduler);
}

struct vlock_sim *vlock_sim_world_network(struct vlock_sim_world *world)
{
    world->clock.virtual_ns = vlock_scheduler_now(world->scheduler);
    return world->sim;
}

bool vlock_sim_world_go_on_to(struct vlock_sim_world *world, int64_t when_ns)
{
    bool goes_on = vlock_scheduler_go_on_to(world->scheduler, when_ns);
    world->clock.virtual_ns = vlock_scheduler_now(world->scheduler);
    return goes_on;
}

int vlock_sim_world_await(lua_State *L, struct vlock_sim_world *world, int64_t when_ns,
                          lua_KFunction k)
{
    world->waiter = vlock_scheduler_current(world->scheduler);
    world->waiter_ns = when_ns;
    return vlock_scheduler_park(L, 0, k);
}

void vlock_sim_world_count(struct vlock_sim_world *world, int64_t commands, int64_t sleeps)
{
    vlock_scheduler_links(world->scheduler)->commands += commands;
    world->sleeps += sleeps;
}

const struct vlock_sim_counts *vlock_sim_world_counts(const struct vlock_sim_world *world,
                                                      int64_t *timers)
{
    *timers = vlock_scheduler_virtual_timers(world->scheduler) + world->sleeps;
    return vlock_sim_counts(world->sim);
}

/* ---- life ---- */

struct vlock_sim_world *vlock_sim_world_check(lua_State *L, int index)
{
    struct vlock_sim_world *world = luaL_checkudata(L, index, WORLD_TYPE);
    if (!world->sim)
        luaL_error(L, "this simulation has ended");
    return world;
}

void vlock_sim_world_end(struct vlock_sim_world *world)
{
    if (!world->sim)
        return;
    vlock_scheduler_end_virtual(world->scheduler);
    vlock_sim_free(world->sim);
    world->sim = NULL;
    world->server = world->waiter = NULL;
    world->held = NULL;
    for (int i = 0; i < REFERENCES; i++)
        luaL_unref(world->L, LUA_REGISTRYINDEX, world->references[i]);
}

static int l_world_gc(lua_State *L)
{
    vlock_sim_world_end(luaL_checkudata(L, 1, WORLD_TYPE));
    return 0;
}

void vlock_sim_world_register(lua_State *L, const luaL_Reg *methods)
{
    luaL_newmetatable(L, WORLD_TYPE);
    lua_pushcfunction(L, l_world_gc);
    lua_setfield(L, -2, "__gc");
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

/* Puts the value on top of the stack (popped) among the references. */
static void refer(lua_State *L, struct vlock_sim_world *world, int which)
{
    world->references[which] = luaL_ref(L, LUA_REGISTRYINDEX);
}

struct vlock_sim_world *vlock_sim_world_new(lua_State *L, const struct vlock_sim_settings *settings)
{
    struct vlock_sim_settings with_clock = *settings;
    vlock_scheduler_check_can_wait(vlock_scheduler_of(L), L, "a simulation");
    struct vlock_sim_world *world = lua_newuserdatauv(L, sizeof *world, 1);
    memset(world, 0, sizeof *world);
    for (int i = 0; i < REFERENCES; i++)
        world->references[i] = LUA_NOREF;
    luaL_setmetatable(L, WORLD_TYPE);
    world->scheduler = vlock_scheduler_of(L);
    world->L = vlock_task_main_state(vlock_scheduler_current(world->scheduler));
    world->clock.is_virtual = true;
    world->source = (struct vlock_event_source){next_ns, happen, world};
    with_clock.clock = &world->clock;
    world->sim = vlock_sim_new(&with_clock);
    if (!world->sim)
        luaL_error(L, "out of memory");
    lua_newtable(L);
    refer(L, world, WORDS);
    lua_newtable(L);
    refer(L, world, WAITERS);
    lua_pushliteral(L, "no reply from the simulated server in time");
    refer(L, world, LATE_TEXT);
    lua_pushliteral(L, "the connection to the simulated server was lost");
    refer(L, world, CUT_TEXT);
    if (vlock_scheduler_is_virtual(world->scheduler) ||
        !vlock_scheduler_begin_virtual(world->scheduler, &world->source)) {
        vlock_sim_free(world->sim);
        world->sim = NULL;
        luaL_error(L, "a simulation cannot begin while another one goes on, or a task sleeps");
    }
    return world;
}
