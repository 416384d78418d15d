/* What the clients of a crowd ask their policies: `retry` and `backoff`, with a conflict in the
 * form in which lua/vlock/cell/update.lua shows it. See crowd.h.
 *
 * A conflict holds the figures that change each time; the rest of it is made when somebody looks
 * at it, which is rare, and there may be a million conflicts at once. Who looks at one that is not
 * that which its policy is asked about has kept it: a crowd does not suit him. */
#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "lua/crowd_parts.h"
#include "lua/sim_world.h"
#include "task/scheduler.h"

static int number_of(const struct vlock_crowd *crowd, const struct vlock_crowd_client *client)
{
    return (int)(client - crowd->clients) + 1;
}

bool vlock_crowd_is_unsuited(const struct vlock_crowd *crowd)
{
    return crowd->is_unsuited ||
           vlock_scheduler_refusals(vlock_sim_world_scheduler(crowd->world)) != crowd->refusals;
}

/* ---- conflicts ---- */

/* Fields that are made late, in the order of `names`. What comes behind STATE is made at once. */
enum late { BASE, MINE, THEIRS, RANDOM, WORKER, STATE, OTHERS, NONE }; /* NONE: at most 8 */
static const char *const names[] = {"base",  "mine", "theirs", "random", "worker",
                                    "state", "key",  "codec",  "now",    "cause"};

static enum late late_field(lua_State *L, int index)
{
    const char *name = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return i < OTHERS ? (enum late)i : OTHERS;
    return NONE;
}

static struct vlock_crowd *crowd_of_method(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* Whose conflict is at slot 1; NULL: nobody's who is asked now. */
static struct vlock_crowd_client *shown_to(lua_State *L)
{
    struct vlock_crowd *crowd = crowd_of_method(L);
    if (crowd->asked && lua_topointer(L, 1) == crowd->asked_conflict)
        return crowd->asked;
    crowd->is_unsuited = true;
    return NULL;
}

static void push_value(lua_State *L, int64_t version)
{
    if (version > 0)
        lua_pushfstring(L, "%I", (LUAI_UACINT)version);
    else
        lua_pushnil(L);
}

/* Fills in the conflict at slot 1. */
static void show(lua_State *L, struct vlock_crowd_client *client)
{
    lua_createtable(L, 0, 2);
    push_value(L, client->base.version);
    lua_setfield(L, -2, "value");
    lua_pushinteger(L, client->base.version);
    lua_setfield(L, -2, "version");
    lua_pushliteral(L, "base");
    lua_insert(L, -2);
    lua_rawset(L, 1);
    lua_pushliteral(L, "mine");
    push_value(L, client->base.version + 1);
    lua_rawset(L, 1);
    client->is_shown = true;
}

static int l_random(lua_State *L)
{
    lua_pushnumber(L, vlock_random_unit(lua_touserdata(L, lua_upvalueindex(1))));
    return 1;
}

static void push_random(lua_State *L, struct vlock_crowd_client *client)
{
    lua_pushlightuserdata(L, &client->random);
    lua_getiuservalue(L, lua_upvalueindex(1), VLOCK_CROWD_CLIENTS); /* in which it lies */
    lua_pushcclosure(L, l_random, 2);
}

/* Gives the conflict at slot 1 all that it would have had from the beginning. */
static void fill(lua_State *L, struct vlock_crowd_client *client)
{
    const struct vlock_crowd *crowd = crowd_of_method(L);
    lua_getiuservalue(L, lua_upvalueindex(1), VLOCK_CROWD_SETTINGS);
    lua_getfield(L, -1, "new_conflict");
    lua_pushinteger(L, number_of(crowd, client));
    lua_pushinteger(L, client->cell + 1);
    push_random(L, client);
    lua_call(L, 3, 1);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        bool is_taken = client->made & 1 << late_field(L, -2); /* away, by the policy */
        lua_pushvalue(L, -2);
        if (lua_rawget(L, 1) == LUA_TNIL && !is_taken) {
            lua_pushvalue(L, -3);
            lua_pushvalue(L, -3);
            lua_rawset(L, 1);
        }
        lua_pop(L, 2);
    }
    lua_pop(L, 2);
    client->made |= 1 << RANDOM | 1 << WORKER | 1 << STATE | 1 << OTHERS;
}

/* Makes the field whose name is at slot 2 in the conflict at slot 1. */
static void make_field(lua_State *L, struct vlock_crowd_client *client, enum late field)
{
    if (field <= THEIRS) {
        if (!client->is_shown)
            show(L, client);
        return;
    }
    if (client->made & 1 << field)
        return; /* and taken away by the policy */
    if (field == OTHERS) {
        fill(L, client);
        return;
    }
    client->made |= (unsigned char)(1 << field);
    lua_pushvalue(L, 2);
    if (field == RANDOM)
        push_random(L, client);
    else if (field == WORKER)
        lua_pushinteger(L, number_of(crowd_of_method(L), client));
    else
        lua_newtable(L);
    lua_rawset(L, 1);
}

static int l_conflict_index(lua_State *L)
{
    enum late field = late_field(L, 2);
    struct vlock_crowd_client *client = field != NONE ? shown_to(L) : NULL;
    if (!client)
        return 0;
    make_field(L, client, field);
    lua_rawget(L, 1);
    return 1;
}

/* What a policy writes stays; of base, mine and theirs, until the next conflict. */
static int l_conflict_newindex(lua_State *L)
{
    enum late field = late_field(L, 2);
    struct vlock_crowd_client *client = field <= THEIRS ? shown_to(L) : NULL;
    if (client && !client->is_shown)
        show(L, client);
    lua_rawset(L, 1);
    return 0;
}

/* As Lua's own, whatever a script calls `next`. */
static int l_next(lua_State *L)
{
    lua_settop(L, 2);
    if (lua_next(L, 1))
        return 2;
    lua_pushnil(L);
    return 1;
}

static int l_conflict_pairs(lua_State *L)
{
    struct vlock_crowd_client *client = shown_to(L);
    if (client) {
        fill(L, client);
        if (!client->is_shown)
            show(L, client);
    }
    lua_pushcfunction(L, l_next);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

void vlock_crowd_push_conflict_type(lua_State *L, int index)
{
    static const luaL_Reg methods[] = {{"__index", l_conflict_index},
                                       {"__newindex", l_conflict_newindex},
                                       {"__pairs", l_conflict_pairs},
                                       {NULL, NULL}};
    lua_createtable(L, 0, 4);
    lua_pushvalue(L, index);
    luaL_setfuncs(L, methods, 1);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
}

static double elapsed_of(const struct vlock_crowd *crowd, const struct vlock_crowd_client *client)
{
    return vlock_crowd_seconds(crowd->now_ns) - vlock_crowd_seconds(client->began_ns);
}

#define CONFLICT_FIELDS 8 /* there is room for a few that are made late */

static void make_conflict(struct vlock_crowd *crowd, struct vlock_crowd_client *client)
{
    lua_State *L = crowd->L;
    lua_createtable(L, 0, CONFLICT_FIELDS);
    lua_pushvalue(L, VLOCK_CROWD_SLOT(VLOCK_CROWD_CONFLICT_TYPE));
    lua_setmetatable(L, -2);
    lua_pushvalue(L, VLOCK_CROWD_SLOT(VLOCK_CROWD_GAP));
    lua_pushinteger(L, 0);
    lua_rawset(L, -3);
    lua_rawseti(L, VLOCK_CROWD_SLOT(VLOCK_CROWD_CONFLICTS), number_of(crowd, client));
    client->has_conflict = true;
}

void vlock_crowd_push_names(lua_State *L)
{
    lua_pushliteral(L, "attempt");
    lua_pushliteral(L, "rtt");
    lua_pushliteral(L, "elapsed");
    lua_pushliteral(L, "gap");
}

/* Set a field of the conflict on top of the stack, whose name stands in there. */
static void set_number(lua_State *L, int name, double number)
{
    lua_pushvalue(L, VLOCK_CROWD_SLOT(name));
    lua_pushnumber(L, number);
    lua_rawset(L, -3);
}

static void set_integer(lua_State *L, int name, int64_t number)
{
    lua_pushvalue(L, VLOCK_CROWD_SLOT(name));
    lua_pushinteger(L, number);
    lua_rawset(L, -3);
}

/* Takes base, mine and theirs out of the conflict on top of the stack: they are over. */
static void hide(lua_State *L, struct vlock_crowd_client *client)
{
    for (int i = BASE; client->is_shown && i <= THEIRS; i++) {
        lua_pushstring(L, names[i]);
        lua_pushnil(L);
        lua_rawset(L, -3);
    }
    client->is_shown = false;
}

void vlock_crowd_note_read(struct vlock_crowd *crowd, struct vlock_crowd_client *client)
{
    lua_State *L = crowd->L;
    if (!client->has_conflict)
        return;
    lua_rawgeti(L, VLOCK_CROWD_SLOT(VLOCK_CROWD_CONFLICTS), number_of(crowd, client));
    set_integer(L, VLOCK_CROWD_GAP, client->found.version - client->base.version);
    hide(L, client);
    lua_pop(L, 1);
}

void vlock_crowd_note_commit(struct vlock_crowd *crowd, struct vlock_crowd_client *client)
{
    lua_State *L = crowd->L;
    if (!client->has_conflict)
        return;
    lua_rawgeti(L, VLOCK_CROWD_SLOT(VLOCK_CROWD_CONFLICTS), number_of(crowd, client));
    set_number(L, VLOCK_CROWD_ELAPSED, elapsed_of(crowd, client));
    lua_pop(L, 1);
}

/* Pushes the conflict, as it is now; returns what stands in it as elapsed. */
static double push_conflict(struct vlock_crowd *crowd, struct vlock_crowd_client *client)
{
    lua_State *L = crowd->L;
    double elapsed = elapsed_of(crowd, client);
    if (!client->has_conflict)
        make_conflict(crowd, client);
    lua_rawgeti(L, VLOCK_CROWD_SLOT(VLOCK_CROWD_CONFLICTS), number_of(crowd, client));
    set_integer(L, VLOCK_CROWD_ATTEMPT, client->attempt);
    set_number(L, VLOCK_CROWD_RTT, client->rtt);
    set_number(L, VLOCK_CROWD_ELAPSED, elapsed);
    hide(L, client);
    return elapsed;
}

void vlock_crowd_forget_conflict(struct vlock_crowd *crowd, struct vlock_crowd_client *client)
{
    if (!client->has_conflict)
        return;
    lua_pushnil(crowd->L);
    lua_rawseti(crowd->L, VLOCK_CROWD_SLOT(VLOCK_CROWD_CONFLICTS), number_of(crowd, client));
    client->has_conflict = client->is_shown = false;
    client->made = 0;
}

/* ---- policies ---- */

/* Where the functions of a client's policy stand among all. */
static int policy_of(const struct vlock_crowd *crowd, const struct vlock_crowd_client *client)
{
    return crowd->is_shared ? 1 : number_of(crowd, client);
}

static void make_policy(struct vlock_crowd *crowd, struct vlock_crowd_client *client)
{
    lua_State *L = crowd->L;
    client->has_policy = true;
    if (crowd->is_shared && crowd->has_policy)
        return;
    crowd->has_policy = true;
    lua_getfield(L, VLOCK_CROWD_SLOT(VLOCK_CROWD_SETTINGS), "new_policy");
    lua_call(L, 0, 2);
    lua_rawseti(L, VLOCK_CROWD_SLOT(VLOCK_CROWD_BACKOFFS), policy_of(crowd, client));
    lua_rawseti(L, VLOCK_CROWD_SLOT(VLOCK_CROWD_RETRIES), policy_of(crowd, client));
}

void vlock_crowd_forget_policy(struct vlock_crowd *crowd, struct vlock_crowd_client *client)
{
    if (!client->has_policy || crowd->is_shared)
        return;
    client->has_policy = false;
    lua_pushnil(crowd->L);
    lua_rawseti(crowd->L, VLOCK_CROWD_SLOT(VLOCK_CROWD_RETRIES), policy_of(crowd, client));
    lua_pushnil(crowd->L);
    lua_rawseti(crowd->L, VLOCK_CROWD_SLOT(VLOCK_CROWD_BACKOFFS), policy_of(crowd, client));
}

/* Calls a function of the policy, on top of the stack, with the conflict at this slot. */
static void call(struct vlock_crowd *crowd, int conflict, int results)
{
    lua_State *L = crowd->L;
    lua_pushvalue(L, conflict);
    lua_call(L, 1, results);
    if (vlock_crowd_is_unsuited(crowd))
        luaL_error(L, "a crowd does not suit this policy");
}

/* Notes a reason, on top of the stack, why an update was given up, if it is the first. */
static void note_reason(struct vlock_crowd *crowd)
{
    if (crowd->gave_up == 0)
        lua_setfield(crowd->L, VLOCK_CROWD_SLOT(VLOCK_CROWD_SETTINGS), "give_up_reason");
}

static void note_deadline(struct vlock_crowd *crowd, double limit)
{
    char text[24];
    vlock_units_format_duration((int64_t)llround(limit * VLOCK_NS_PER_SECOND), text);
    lua_pushfstring(crowd->L, "the deadline of %s would pass", text);
    note_reason(crowd);
}

/* Asks whether to try again: three results on top of the stack. */
static void ask_retry(struct vlock_crowd *crowd, struct vlock_crowd_client *client, int conflict)
{
    lua_State *L = crowd->L;
    lua_rawgeti(L, VLOCK_CROWD_SLOT(VLOCK_CROWD_RETRIES), policy_of(crowd, client));
    if (!lua_isnil(L, -1)) {
        call(crowd, conflict, 3);
        return;
    }
    lua_pop(L, 1);
    lua_pushboolean(L, true);
    lua_pushnil(L);
    lua_pushnil(L);
}

/* As `wait` in lua/vlock/cell/update.lua. */
static double ask(struct vlock_crowd *crowd, struct vlock_crowd_client *client, double *elapsed)
{
    lua_State *L = crowd->L;
    *elapsed = push_conflict(crowd, client);
    int conflict = lua_gettop(L);
    crowd->asked = client;
    crowd->asked_conflict = lua_topointer(L, conflict);
    ask_retry(crowd, client, conflict);
    int more = conflict + 2, take = conflict + 3;
    if (!lua_toboolean(L, conflict + 1)) {
        if (!lua_toboolean(L, more))
            lua_pushliteral(L, "the policy ended it");
        else
            lua_pushvalue(L, more);
        note_reason(crowd);
        return -1;
    }
    lua_rawgeti(L, VLOCK_CROWD_SLOT(VLOCK_CROWD_BACKOFFS), policy_of(crowd, client));
    call(crowd, conflict, 1);
    double seconds = lua_tonumber(L, -1);
    double limit = lua_isnoneornil(L, more) ? INFINITY : lua_tonumber(L, more);
    if (*elapsed + seconds > limit) {
        note_deadline(crowd, limit);
        return -1;
    }
    if (lua_toboolean(L, take)) {
        lua_pushvalue(L, take);
        lua_call(L, 0, 0);
    }
    return seconds;
}

/* After each of the first, and then now and then, a shared policy must be what it was. */
#define WATCHED_ASKS 256
#define RARELY 4096
/* So often one looks at the time: a policy may take its own. */
#define LOOK_ASKS 16

/* Whether the conflict at this slot is what the update loop would go on with: a policy may write
 * into it, and the loop reads these. */
static bool is_untouched(struct vlock_crowd *crowd, const struct vlock_crowd_client *client,
                         int conflict, double elapsed)
{
    lua_State *L = crowd->L;
    lua_pushvalue(L, VLOCK_CROWD_SLOT(VLOCK_CROWD_ATTEMPT));
    lua_rawget(L, conflict);
    bool is_same = lua_isinteger(L, -1) && lua_tointeger(L, -1) == client->attempt;
    lua_pushvalue(L, VLOCK_CROWD_SLOT(VLOCK_CROWD_ELAPSED));
    lua_rawget(L, conflict);
    is_same = is_same && lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) == elapsed;
    is_same = is_same && lua_getmetatable(L, conflict) &&
              lua_rawequal(L, -1, VLOCK_CROWD_SLOT(VLOCK_CROWD_CONFLICT_TYPE));
    return is_same;
}

/* Whether a policy that all share is what it was, as far as one looks. */
static bool is_unchanged(struct vlock_crowd *crowd)
{
    lua_State *L = crowd->L;
    if (!crowd->is_shared || (crowd->asks > WATCHED_ASKS && crowd->asks % RARELY != 0))
        return true;
    lua_getfield(L, VLOCK_CROWD_SLOT(VLOCK_CROWD_SETTINGS), "is_unchanged");
    lua_call(L, 0, 1);
    return lua_toboolean(L, -1);
}

double vlock_crowd_ask(struct vlock_crowd *crowd, struct vlock_crowd_client *client)
{
    int top = lua_gettop(crowd->L);
    if (!client->has_policy)
        make_policy(crowd, client);
    double elapsed, seconds = ask(crowd, client, &elapsed);
    crowd->asks++;
    if (crowd->asks % LOOK_ASKS == 0 && vlock_clock_now() > crowd->until_ns)
        crowd->is_late = true;
    if (!is_untouched(crowd, client, top + 1, elapsed) || !is_unchanged(crowd)) {
        crowd->is_unsuited = true;
        luaL_error(crowd->L, "a crowd does not suit this policy");
    }
    crowd->asked = NULL;
    lua_settop(crowd->L, top);
    return seconds;
}
