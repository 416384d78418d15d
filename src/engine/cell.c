/* Cells for C programs: vlock_get(), vlock_compare_and_set() and vlock_update() of vlock.h. The
 * work is done by lua/vlock/engine/c_interface.lua. */
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "engine/engine.h"

enum verb { VERB_GET, VERB_COMPARE_AND_SET, VERB_UPDATE };

/* One call, on its way to Lua and back. */
struct call {
    vlock_engine *engine;
    enum verb verb;
    const char *key;
    size_t key_size;
    const struct vlock_cell_options *options;
    const char *value; /* compare_and_set */
    size_t size;
    const struct vlock_state *expected;
    vlock_update_callback *callback; /* update */
    void *user;
    bool has_begun;          /* what happens from here on may apply it */
    int64_t commands_before; /* handed to connections */
    enum vlock_outcome outcome;
    struct vlock_state *state; /* may be NULL */
    struct vlock_error *error;
};

void vlock_state_clear(struct vlock_state *state)
{
    free(state->value);
    free(state->stamp);
    memset(state, 0, sizeof *state);
}

/* ---- to Lua ---- */

static void push_embedding(lua_State *L, const char *name)
{
    vlock_engine_push_core(L, "require");
    lua_pushliteral(L, "vlock.engine.c_interface");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}

static void push_seconds(lua_State *L, double seconds)
{
    if (seconds != 0) /* what makes no sense is refused there */
        lua_pushnumber(L, seconds);
    else
        lua_pushnil(L);
}

static void push_options(lua_State *L, const struct vlock_cell_options *options)
{
    static const struct vlock_cell_options defaults;
    if (!options)
        options = &defaults;
    push_embedding(L, "options");
    lua_pushstring(L, options->retry); /* NULL pushes nil */
    lua_pushstring(L, options->backoff);
    lua_pushstring(L, options->merge);
    lua_pushstring(L, options->policy);
    lua_pushstring(L, options->store);
    lua_pushstring(L, options->version_key);
    push_seconds(L, options->expire);
    push_seconds(L, options->ttl);
    push_seconds(L, options->deadline);
    push_seconds(L, options->receipts < 0 ? -1 : options->receipts);
    lua_call(L, 10, 1);
}

/* fn(value, version) of an update: asks the C callback. */
static int l_compute(lua_State *L)
{
    struct call *call = lua_touserdata(L, lua_upvalueindex(1));
    struct vlock_update update = {.version = (int64_t)lua_tointeger(L, 2)};
    if (lua_type(L, 1) == LUA_TSTRING)
        update.present = lua_tolstring(L, 1, &update.present_size);
    vlock_engine_call_out(call->engine, true);
    enum vlock_decision decision = call->callback(call->user, &update);
    vlock_engine_call_out(call->engine, false);
    if (vlock_engine_is_interrupted(call->engine)) /* then nothing is sent any more */
        return luaL_error(L, "interrupted");
    switch (decision) {
    case VLOCK_WRITE:
        if (!update.value)
            return luaL_error(L, "the callback returned VLOCK_WRITE without a value");
        lua_pushlstring(L, update.value, update.size);
        return 1;
    case VLOCK_DELETE:
        push_embedding(L, "DELETE");
        return 1;
    case VLOCK_LEAVE:
        return 0;
    default:
        push_embedding(L, "ABORT");
        return lua_error(L);
    }
}

/* Called when key, options, policy and store have been found to make sense. */
static int l_begin(lua_State *L)
{
    struct call *call = lua_touserdata(L, lua_upvalueindex(1));
    call->has_begun = true;
    return 0;
}

/* Nothing of a policy or a store runs in here: only a task's code can be interrupted. */
static int l_prepare(lua_State *L)
{
    static const char *const names[] = {"get", "compare_and_set", "update"};
    struct call *call = lua_touserdata(L, 1);
    push_embedding(L, names[call->verb]);
    lua_pushlightuserdata(L, call);
    lua_pushcclosure(L, l_begin, 1);
    lua_pushlstring(L, call->key, call->key_size);
    push_options(L, call->options);
    if (call->verb == VERB_UPDATE) {
        lua_pushlightuserdata(L, call);
        lua_pushcclosure(L, l_compute, 1);
    } else if (call->verb == VERB_COMPARE_AND_SET) {
        if (call->value)
            lua_pushlstring(L, call->value, call->size);
        else
            lua_pushnil(L);
        if (call->expected && call->expected->stamp)
            lua_pushstring(L, call->expected->stamp);
        else
            lua_pushinteger(L, call->expected ? (lua_Integer)call->expected->version : 0);
        lua_pushboolean(L, call->expected && call->expected->value);
    }
    return lua_gettop(L) - 1;
}

/* ---- and back ---- */

static char *copy_bytes(const char *bytes, size_t size)
{
    char *copy = malloc(size + 1);
    if (copy) {
        memcpy(copy, bytes, size);
        copy[size] = '\0';
    }
    return copy;
}

/* What lua/vlock/engine/c_interface.lua calls them. */
static const struct {
    const char *name;
    enum vlock_outcome outcome;
    enum vlock_code code;
} failures[] = {
    {"gave_up", VLOCK_GAVE_UP, VLOCK_ERR_GAVE_UP},
    {"unknown", VLOCK_UNKNOWN, VLOCK_ERR_AMBIGUOUS},
    {"history_lost", VLOCK_HISTORY_LOST, VLOCK_ERR_AMBIGUOUS},
    {"aborted", VLOCK_FAILED, VLOCK_ERR_GAVE_UP},
    {"refused", VLOCK_FAILED, VLOCK_ERR_REPLY},
    {"unreachable", VLOCK_FAILED, VLOCK_ERR_UNREACHABLE},
    {"memory", VLOCK_FAILED, VLOCK_ERR_MEMORY},
    {"failed", VLOCK_FAILED, VLOCK_ERR_SCRIPT},
    {"misuse", VLOCK_FAILED, VLOCK_ERR_USAGE},
};

/* Stack: 1 the call, 2 the outcome's name, 3 value, 4 version, 5 stamp; or 3 the reason. */
static int l_finish(lua_State *L)
{
    struct call *call = lua_touserdata(L, 1);
    const char *outcome = luaL_checkstring(L, 2);
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        if (strcmp(outcome, failures[i].name) == 0) {
            call->outcome = failures[i].outcome;
            vlock_error_set(call->error, failures[i].code, "%s", luaL_checkstring(L, 3));
            return 0;
        }
    }
    call->outcome = strcmp(outcome, "conflict") == 0 ? VLOCK_CONFLICT : VLOCK_COMMITTED;
    if (!call->state)
        return 0;
    struct vlock_state state = {.version = (int64_t)lua_tointeger(L, 4)};
    size_t stamp_size;
    const char *value = luaL_tolstring(L, 3, &state.size),
               *stamp = luaL_checklstring(L, 5, &stamp_size);
    state.stamp = copy_bytes(stamp, stamp_size);
    if (lua_isnil(L, 3))
        state.size = 0;
    else
        state.value = copy_bytes(value, state.size);
    if (!state.stamp || (!state.value && !lua_isnil(L, 3))) {
        vlock_state_clear(&state);
        return luaL_error(L, "out of memory");
    }
    *call->state = state;
    return 0;
}

/* Runs protected: 1 the call, 2 whether it was cut before it was sent, 3 whether no command was
 * sent at all. */
static int l_tell_fate(lua_State *L)
{
    struct call *call = lua_touserdata(L, 1);
    push_embedding(L, "fate");
    lua_pushlstring(L, call->key, call->key_size);
    push_options(L, call->options);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_remove(L, 3);
    lua_remove(L, 2);
    lua_call(L, 4, 4);
    if (lua_isnil(L, 2))
        call->outcome = VLOCK_FAILED;
    else if (strcmp(luaL_checkstring(L, 2), "committed") == 0)
        return l_finish(L);
    return 0;
}

/* What became of a call that was cut, or whose result could not be brought back. Where even that
 * cannot be told, nobody knows. */
static enum vlock_outcome outcome_of_cut(vlock_engine *engine, struct call *call)
{
    lua_State *L = vlock_engine_state(engine);
    if (!call->has_begun || call->verb == VERB_GET || !vlock_engine_is_ours(engine))
        return VLOCK_FAILED; /* a forked child has written nothing */
    call->outcome = VLOCK_UNKNOWN;
    lua_pushcfunction(L, l_tell_fate);
    lua_pushlightuserdata(L, call);
    lua_pushboolean(L, vlock_engine_was_cut_before_sending(engine));
    lua_pushboolean(L, vlock_engine_commands(engine) == call->commands_before);
    if (lua_pcall(L, 3, 0, 0) != LUA_OK)
        lua_pop(L, 1);
    return call->outcome;
}

static enum vlock_outcome run_call(vlock_engine *engine, struct call *call)
{
    struct vlock_error error;
    call->commands_before = vlock_engine_commands(engine);
    if (vlock_engine_call(engine, l_prepare, l_finish, call, &error) == 0)
        return call->outcome;
    enum vlock_outcome outcome = outcome_of_cut(engine, call);
    if (outcome == VLOCK_UNKNOWN)
        vlock_error_set(call->error, VLOCK_ERR_AMBIGUOUS,
                        "cut while an attempt was under way, which may have been applied: %.1900s",
                        error.message);
    else if (outcome == VLOCK_FAILED && call->error)
        *call->error = error;
    return outcome;
}

static enum vlock_outcome run(vlock_engine *engine, struct call *call)
{
    call->engine = engine;
    if (call->state)
        memset(call->state, 0, sizeof *call->state);
    if (vlock_engine_enter(engine, call->error) != 0)
        return VLOCK_FAILED;
    enum vlock_outcome outcome = run_call(engine, call);
    vlock_engine_leave(engine);
    return outcome;
}

int vlock_get(vlock_engine *engine, const char *key, size_t key_size,
              const struct vlock_cell_options *options, struct vlock_state *state,
              struct vlock_error *error)
{
    struct call call = {.verb = VERB_GET,
                        .key = key,
                        .key_size = key_size,
                        .options = options,
                        .state = state,
                        .error = error};
    return run(engine, &call) == VLOCK_COMMITTED ? 0 : -1;
}

enum vlock_outcome vlock_compare_and_set(vlock_engine *engine, const char *key, size_t key_size,
                                         const char *value, size_t size,
                                         const struct vlock_state *expected,
                                         const struct vlock_cell_options *options,
                                         struct vlock_state *now, struct vlock_error *error)
{
    struct call call = {.verb = VERB_COMPARE_AND_SET,
                        .key = key,
                        .key_size = key_size,
                        .options = options,
                        .value = value,
                        .size = size,
                        .expected = expected,
                        .state = now,
                        .error = error};
    return run(engine, &call);
}

enum vlock_outcome vlock_update(vlock_engine *engine, const char *key, size_t key_size,
                                vlock_update_callback *callback, void *user,
                                const struct vlock_cell_options *options, struct vlock_state *now,
                                struct vlock_error *error)
{
    struct call call = {.verb = VERB_UPDATE,
                        .key = key,
                        .key_size = key_size,
                        .options = options,
                        .callback = callback,
                        .user = user,
                        .state = now,
                        .error = error};
    return run(engine, &call);
}
