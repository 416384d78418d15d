/* Commands on connections: see redis_command.h. */
#include "lua/redis_command.h"

#include <string.h>

#include "base/clock.h"
#include "lua/command_keys.h"
#include "lua/command_rules.h"
#include "lua/redis_connection.h"
#include "lua/reply.h"
#include "lua/sim_world.h"
#include "net/link.h"
#include "net/route.h"
#include "task/guest_wait.h"
#include "task/scheduler.h"

#define NOT_FROM_SCRIPTS "ERR This Redis command is not allowed from script"

/* How the reply of a command reaches its caller: errors returned, as a table, or raised; or as that
 * of a commit, see l_commit. */
enum manner { RETURNS, RAISES, COMMITS };

/* The context of a parked command: its deadline (0: none), how often it was sent on to another
 * server, and its manner. */
static lua_KContext context_of(int64_t deadline_ns, int redirections, enum manner manner)
{
    return ((lua_KContext)deadline_ns * 8 + redirections) * 4 + (lua_KContext)manner;
}

static enum manner manner_of(lua_KContext context)
{
    return (enum manner)(context & 3);
}

static int redirections_of(lua_KContext context)
{
    return (int)(context >> 2 & 7);
}

static int64_t deadline_of(lua_KContext context)
{
    return context >> 5;
}

/* What is marked on a task that waits for its reply. */
enum { IS_RESP3 = VLOCK_REDIS_RESP3, IS_COMMIT = VLOCK_REDIS_COMMIT };

/* In the place of an outcome: the reply came, and there was no memory to make a Lua value of it. */
#define UNREAD (-1)

struct arrival {
    lua_State *stack;
    int mark;
    enum vlock_link_outcome outcome;
    const struct redisReply *reply;
    const char *message;
};

/* Runs protected: puts the outcome and the reply, or the message, on the waiting task's stack. */
static int l_deliver(lua_State *L)
{
    struct arrival *arrival = lua_touserdata(L, 1);
    const char *status;
    size_t length;
    luaL_checkstack(L, 4, NULL);
    if (!lua_checkstack(arrival->stack, 4))
        return luaL_error(L, "out of memory");
    lua_pushinteger(L, arrival->outcome);
    if (!arrival->reply)
        lua_pushstring(L, arrival->message);
    else if (arrival->mark & IS_COMMIT && (status = vlock_reply_status(arrival->reply, &length)))
        lua_pushlstring(L, status, length);
    else
        vlock_reply_push(L, arrival->reply, arrival->mark & IS_RESP3);
    lua_xmove(L, arrival->stack, 2);
    return 0;
}

void vlock_redis_command_arrive(void *user, enum vlock_link_outcome outcome,
                                const struct redisReply *reply, const char *message)
{
    struct vlock_task *task = user;
    struct arrival arrival = {vlock_task_stack(task), vlock_task_mark(task), outcome, reply,
                              message};
    lua_State *L = vlock_task_main_state(task);
    lua_pushcfunction(L, l_deliver);
    lua_pushlightuserdata(L, &arrival);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        lua_pop(L, 1);
        lua_pushinteger(arrival.stack, outcome == VLOCK_LINK_REPLY ? UNREAD : (int)outcome);
        lua_pushnil(arrival.stack);
    }
    vlock_task_wake(task, 2);
}

static int arrived(lua_State *L, int status, lua_KContext context);

/* Where the words of a commit have the token, behind the connection: see l_commit. */
#define TOKEN_INDEX 10

/* Stack: 1 the connection, 2 … the command. Sends it by this link and parks. */
static int send_by(lua_State *L, struct vlock_redis_library *library, struct vlock_link *link,
                   lua_KContext context)
{
    struct vlock_connection *connection = lua_touserdata(L, 1);
    struct vlock_task *task = vlock_scheduler_current(library->scheduler);
    int64_t limit_ns = vlock_scheduler_limit(library->scheduler);
    vlock_buffer_reset(&library->command);
    vlock_reply_encode_command(L, 2, lua_gettop(L), &library->command, "redis.call()");
    struct vlock_request *request =
        vlock_link_send(link, library->command.data, library->command.length, deadline_of(context),
                        limit_ns, vlock_redis_command_arrive, task);
    if (!request)
        return luaL_error(L, "out of memory");
    vlock_task_await(task, request,
                     (connection->is_resp3 ? IS_RESP3 : 0) |
                         (manner_of(context) == COMMITS ? IS_COMMIT : 0));
    return vlock_scheduler_park(L, context, arrived);
}

int vlock_redis_command_slot(lua_State *L, const struct vlock_connection *connection, int last,
                             bool *crossing)
{
    int one, other;
    *crossing = false;
    if (!vlock_route_is_cluster(connection->route))
        return VLOCK_NO_SLOT;
    int slot = vlock_command_slot(L, 2, last, &one, &other);
    if (slot != VLOCK_SLOTS_CROSS)
        return slot;
    *crossing = true;
    lua_pushfstring(L,
                    "CROSSSLOT the keys '%s' and '%s' are in different slots of the cluster, and "
                    "one command cannot have both: give them one hash tag, as {%s}:a and {%s}:b",
                    luaL_tolstring(L, one, NULL), luaL_tolstring(L, other, NULL),
                    lua_tostring(L, one), lua_tostring(L, one));
    return VLOCK_NO_SLOT;
}

/* Stack: 1 the connection, 2 … the command. Sends it and parks. was_turned_away: see
 * vlock_route_link(). */
static int send_and_park(lua_State *L, struct vlock_redis_library *library, lua_KContext context,
                         bool was_turned_away)
{
    struct vlock_connection *connection = vlock_connection_check(L, 1);
    bool crossing;
    if (connection->world)
        return vlock_sim_world_send(L, connection->world, connection->wire, 2,
                                    vlock_scheduler_limit(library->scheduler),
                                    manner_of(context) == COMMITS, context, arrived);
    int slot = vlock_redis_command_slot(L, connection, lua_gettop(L), &crossing);
    if (crossing)
        return vlock_redis_give_error(L, lua_tostring(L, -1), manner_of(context) == RAISES);
    bool is_pinned = connection->is_stateful || slot == VLOCK_NO_SLOT;
    struct vlock_link *link = is_pinned ? connection->pinned : NULL;
    if (!link)
        link = vlock_route_link(connection->route, slot, was_turned_away);
    if (!link)
        return luaL_error(L, "out of memory");
    if (connection->is_stateful && vlock_route_is_known(connection->route))
        connection->pinned = link;
    return send_by(L, library, link, context);
}

/* The error value on top of the stack: raised, or returned as pcall does. */
static int give_error(lua_State *L, bool raises)
{
    return raises ? lua_error(L) : 1;
}

int vlock_redis_give_error(lua_State *L, const char *text, bool raises)
{
    vlock_reply_push_error(L, text, NULL);
    return give_error(L, raises);
}

static bool has_lost_state(const struct vlock_connection *connection)
{
    return connection->is_stateful && connection->generation && connection->route &&
           connection->pinned &&
           connection->generation != vlock_link_generation(connection->pinned);
}

static int give_lost_state(lua_State *L, struct vlock_connection *connection, bool raises)
{
    connection->is_stateful = false;
    return vlock_redis_give_error(
        L,
        "VLOCK the connection was lost since WATCH or MULTI, and what they "
        "stood for with it: begin again",
        raises);
}

bool vlock_redis_is_commit(const char *status, size_t length, const char *token,
                           size_t token_length)
{
    return length > token_length + 3 && memcmp(status, "OK ", 3) == 0 &&
           memcmp(status + length - token_length, token, token_length) == 0;
}

/* On top of the stack the status that a commit was answered with, at token_index its token.
 * "committed" and the stamp, where it is that of this commit; else as any status. */
static int give_status(lua_State *L, int token_index)
{
    size_t length, token_length;
    const char *status = lua_tolstring(L, -1, &length);
    const char *token = lua_tolstring(L, token_index, &token_length);
    if (vlock_redis_is_commit(status, length, token, token_length)) {
        lua_pushliteral(L, "committed");
        lua_pushlstring(L, status + 3, length - 3);
        return 2;
    }
    lua_createtable(L, 0, 1);
    lua_insert(L, -2);
    lua_setfield(L, -2, "ok");
    return 1;
}

/* On top of the stack an outcome that is no reply, and its message: the error that says so. */
static int give_failure(lua_State *L, bool raises)
{
    const char *message =
        lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "not enough memory to say why";
    switch (lua_tointeger(L, -2)) {
    case UNREAD:
        lua_pushfstring(L, "UNREAD the command was answered, but the answer cannot be read: %s",
                        vlock_scheduler_shortage(vlock_redis_library(L)->scheduler));
        vlock_reply_push_error(L, lua_tostring(L, -1), "unread");
        break;
    case VLOCK_LINK_FAILED:
        vlock_connection_push_unreachable(L, message);
        break;
    default:
        lua_pushfstring(L, "UNKNOWN %s: whether the command ran is unknown", message);
        vlock_reply_push_error(L, lua_tostring(L, -1), "unknown");
    }
    return give_error(L, raises);
}

/* What WATCH and MULTI stood for is over, at the server too. */
static void forget_state(struct vlock_connection *connection)
{
    if (connection->is_stateful && connection->pinned)
        vlock_link_distrust(connection->pinned);
    connection->is_stateful = false;
    connection->pinned = NULL;
}

/* Pushes an error for a command that did not run, and may run later. */
static void push_try_again(lua_State *L, const char *what, const char *why)
{
    lua_pushfstring(L, "TRYAGAIN %s: %s", what, why);
    vlock_reply_push_error(L, lua_tostring(L, -1), NULL);
}

/* Stack: as of `arrived`. Where the error that answered it means that another server is to be
 * asked: asks that one, and true; *result is what to return then. */
static bool follow(lua_State *L, struct vlock_connection *connection, lua_KContext context,
                   int *result)
{
    struct vlock_redis_library *library = vlock_redis_library(L);
    struct vlock_link *asked = NULL;
    bool crossing;
    if (lua_getfield(L, -1, "err") != LUA_TSTRING) {
        lua_pop(L, 1);
        return false;
    }
    const char *error = lua_tostring(L, -1); /* the table keeps it */
    lua_pop(L, 1);
    int slot = vlock_redis_command_slot(L, connection, lua_gettop(L) - 2, &crossing);
    enum vlock_route_advice advice = vlock_route_heed(connection->route, error, &asked);
    if (advice == VLOCK_ROUTE_ARRIVED)
        return false;
    bool is_stateful = connection->is_stateful || /* or it may be EXEC: */
                       (slot == VLOCK_NO_SLOT && vlock_route_is_cluster(connection->route));
    if (is_stateful || redirections_of(context) == VLOCK_MOST_REDIRECTIONS) {
        forget_state(connection);
        push_try_again(L,
                       is_stateful
                           ? "not there any more, and what WATCH and MULTI stood for with it"
                           : "it was sent from one server to another, and none took it",
                       error);
        lua_replace(L, -2); /* before the reply, which keeps the text */
        *result = give_error(L, manner_of(context) == RAISES);
        return true;
    }
    lua_pop(L, 2);
    context = context_of(deadline_of(context), redirections_of(context) + 1, manner_of(context));
    if (advice == VLOCK_ROUTE_ASK) {
        if (vlock_route_send_asking(asked, deadline_of(context)) != 0)
            luaL_error(L, "out of memory");
        *result = send_by(L, library, asked, context);
    } else {
        *result = send_and_park(L, library, context, advice == VLOCK_ROUTE_NO_PRIMARY);
    }
    return true;
}

/* Stack: as of `arrived`. The command did not run, as its server was not to be reached. */
static int arrived_nowhere(lua_State *L, struct vlock_connection *connection, lua_KContext context)
{
    struct vlock_redis_library *library = vlock_redis_library(L);
    const char *message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    int64_t limit_ns = vlock_scheduler_limit(library->scheduler), now = vlock_clock_now();
    bool raises = manner_of(context) == RAISES;
    bool is_late = limit_ns && now >= limit_ns;
    bool may_be_elsewhere = connection->route && vlock_route_has_topology(connection->route) &&
                            vlock_route_is_known(connection->route) &&
                            !strstr(message, "the server refused us: ");
    if (is_late || !may_be_elsewhere)
        return give_failure(L, raises);
    vlock_route_doubt(connection->route);
    if (connection->is_stateful || now >= deadline_of(context)) {
        forget_state(connection);
        push_try_again(L, "no server took it in time", message);
        return give_error(L, raises);
    }
    connection->pinned = NULL;
    lua_pop(L, 2);
    return send_and_park(L, library, context, true);
}

/* Stack: 1 the connection, 2 … the command, outcome, reply or message. */
static int arrived(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    bool raises = manner_of(context) == RAISES;
    struct vlock_connection *connection = lua_touserdata(L, 1);
    int result;

    switch (lua_tointeger(L, -2)) {
    case VLOCK_LINK_REPLY:
        if (connection->is_stateful && !connection->generation && connection->pinned)
            connection->generation = vlock_link_generation(connection->pinned);
        if (manner_of(context) == COMMITS && lua_type(L, -1) == LUA_TSTRING)
            return give_status(L, TOKEN_INDEX);
        /* Only errors have one. */
        if (lua_type(L, -1) != LUA_TTABLE || !lua_getmetatable(L, -1))
            return 1;
        lua_pop(L, 1);
        if (connection->route && vlock_route_has_topology(connection->route) &&
            follow(L, connection, context, &result))
            return result;
        return give_error(L, raises);
    case VLOCK_LINK_NOT_SENT:
        if (has_lost_state(connection))
            return give_lost_state(L, connection, raises);
        lua_pop(L, 2);
        return send_and_park(L, vlock_redis_library(L), context, false);
    case VLOCK_LINK_FAILED:
        return arrived_nowhere(L, connection, context);
    case VLOCK_LINK_AMBIGUOUS:
        if (connection->route)
            vlock_route_doubt(connection->route);
        return give_failure(L, raises);
    default:
        return give_failure(L, raises);
    }
}

static int l_connection_call(lua_State *L);
static int l_connection_pcall(lua_State *L);

static int l_connection_commit(lua_State *L);

/* Whether this begins a state of the connection, and nobody can say at which node of a cluster. */
static bool begins_nowhere(lua_State *L, const struct vlock_connection *connection, int last)
{
    bool crossing;
    return vlock_route_is_cluster(connection->route) && !connection->is_stateful &&
           vlock_redis_command_slot(L, connection, last, &crossing) == VLOCK_NO_SLOT && !crossing;
}

/* Stack: 1 the connection, 2 … the command. */
static int perform(lua_State *L, struct vlock_redis_library *library, enum manner manner)
{
    static const lua_CFunction again[] = {l_connection_pcall, l_connection_call,
                                          l_connection_commit};
    bool raises = manner == RAISES;
    struct vlock_connection *connection = vlock_connection_check(L, 1);
    const char *instead = NULL;
    int64_t deadline_ns = vlock_clock_now() + library->host->command_timeout_ns;
    int last = lua_gettop(L);
    if (last < 2)
        return vlock_redis_give_error(
            L, "ERR Please specify at least one argument for this redis lib call", raises);
    if (vlock_guest_is_needed(library->scheduler, L, raises ? "redis.call" : "redis.pcall"))
        return vlock_guest_call(library->scheduler, L, again[manner]);

    enum vlock_command_rule rule =
        manner == COMMITS ? VLOCK_COMMAND_ALLOWED : vlock_command_rule(L, 2, last, &instead);
    if (rule == VLOCK_COMMAND_CHANGES) {
        lua_pushfstring(L, NOT_FROM_SCRIPTS ": %s", instead);
        return vlock_redis_give_error(L, lua_tostring(L, -1), raises);
    }
    if (rule != VLOCK_COMMAND_ALLOWED && connection->is_shared)
        return vlock_redis_give_error(
            L,
            NOT_FROM_SCRIPTS ": it would freeze or change the connection that all tasks share; "
                             "use redis.connect",
            raises);
    if (has_lost_state(connection))
        return give_lost_state(L, connection, raises);
    if (rule == VLOCK_COMMAND_ENTERS && begins_nowhere(L, connection, last))
        return vlock_redis_give_error(
            L,
            NOT_FROM_SCRIPTS ": of a cluster's transaction WATCH comes first, with a key, which "
                             "says to which node it goes",
            raises);
    if (rule == VLOCK_COMMAND_BLOCKS)
        deadline_ns = 0;
    if (rule == VLOCK_COMMAND_ENTERS) {
        if (!connection->is_stateful) {
            connection->generation = 0;
            connection->pinned = NULL;
        }
        connection->is_stateful = true;
    } else if (rule == VLOCK_COMMAND_LEAVES) {
        connection->is_stateful = false;
    }
    return send_and_park(L, library, context_of(deadline_ns, 0, manner), false);
}

static int l_connection_call(lua_State *L)
{
    return perform(L, vlock_redis_library(L), RAISES);
}

static int l_connection_pcall(lua_State *L)
{
    return perform(L, vlock_redis_library(L), RETURNS);
}

static int l_connection_commit(lua_State *L)
{
    return perform(L, vlock_redis_library(L), COMMITS);
}

static int l_call(lua_State *L)
{
    struct vlock_redis_library *library = vlock_redis_library(L);
    vlock_connection_push_present(L, library);
    lua_insert(L, 1);
    return perform(L, library, RAISES);
}

static int l_pcall(lua_State *L)
{
    struct vlock_redis_library *library = vlock_redis_library(L);
    vlock_connection_push_present(L, library);
    lua_insert(L, 1);
    return perform(L, library, RETURNS);
}

/* commit("EVALSHA", sha1, 2, key, version key, value, version, lifetime, token, …): as pcall, for a
 * call of the core script that has a token. Where it is committed, and the reply is the one to this
 * call, that is said at once: "committed" and the stamp. */
static int l_commit(lua_State *L)
{
    luaL_checktype(L, TOKEN_INDEX - 1, LUA_TSTRING);
    struct vlock_redis_library *library = vlock_redis_library(L);
    vlock_connection_push_present(L, library);
    lua_insert(L, 1);
    return perform(L, library, COMMITS);
}

/* told(token, outcome, reply or message): what commit() returns of a command with this token, sent
 * by another way, with which it has come to this: see kept.h. */
static int l_told(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TSTRING);
    lua_settop(L, 3);
    if (lua_tointeger(L, 2) != VLOCK_LINK_REPLY)
        return give_failure(L, false);
    return lua_type(L, 3) == LUA_TSTRING ? give_status(L, 1) : 1;
}

const luaL_Reg vlock_redis_command_methods[] = {
    {"call", l_connection_call}, {"pcall", l_connection_pcall}, {NULL, NULL}};

void vlock_redis_command_add_functions(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"call", l_call}, {"pcall", l_pcall}, {"commit", l_commit}, {"told", l_told}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
