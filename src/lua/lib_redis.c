/* The `redis` library of scripts: see lib_redis.h. */
#include "lua/lib_redis.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "task/guest_wait.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "lua/command_rules.h"
#include "net/link.h"
#include "lua/reply.h"
#include "task/scheduler.h"
#include "base/sha1.h"
#include "base/url.h"

#define CONNECTION_TYPE "vlock.connection"
#define URL_TYPE "vlock.url"
#define NOT_FROM_SCRIPTS "ERR This Redis command is not allowed from script"

/* A userdata: one link, and what its commands have made of it. */
struct connection {
    struct vlock_link *link;
    bool is_resp3;
    bool is_shared;      /* by all tasks: nothing may freeze it or change its state */
    bool is_stateful;    /* between WATCH or MULTI and their end */
    unsigned generation; /* of the link on which that state stands; 0: not there yet */
};

struct library {
    const struct vlock_redis_host *host; /* NULL when the state is being closed */
    struct vlock_scheduler *scheduler;
    struct vlock_buffer command; /* the command under way to its link */
};

static const char library_key = 0;

static struct library *library_of(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &library_key);
    struct library *library = lua_touserdata(L, -1);
    if (!library->host)
        luaL_error(L, "vlock is closed: its program ends");
    lua_pop(L, 1);
    return library;
}

/* ---- connections ---- */

static struct connection *check_connection(lua_State *L, int index)
{
    struct connection *connection = luaL_checkudata(L, index, CONNECTION_TYPE);
    if (!connection->link)
        luaL_error(L, "this connection is closed");
    return connection;
}

static int l_close(lua_State *L)
{
    struct connection *connection = luaL_checkudata(L, 1, CONNECTION_TYPE);
    vlock_link_free(connection->link);
    connection->link = NULL;
    return 0;
}

static int l_connection_text(lua_State *L)
{
    struct connection *connection = luaL_checkudata(L, 1, CONNECTION_TYPE);
    if (connection->link)
        lua_pushfstring(L, "connection to %s", vlock_link_name(connection->link));
    else
        lua_pushliteral(L, "connection (closed)");
    return 1;
}

static int l_traffic(lua_State *L)
{
    struct vlock_link_traffic traffic = vlock_link_traffic(check_connection(L, 1)->link);
    lua_pushinteger(L, traffic.commands);
    lua_pushinteger(L, traffic.replies);
    lua_pushinteger(L, traffic.writes);
    return 3;
}

/* At the state's end nobody would finalize what is made there. So the collector answers in a
 * finalizer, from Lua 5.4.4 on. */
static void refuse_in_finalizer(lua_State *L)
{
    if (lua_gc(L, LUA_GCCOUNT) < 0)
        luaL_error(L, "no connection can be made in a finalizer");
}

/* Pushes a new connection. The userdata comes first, empty, so that it is safe at every instant. */
static struct connection *push_connection_to(lua_State *L, const struct vlock_url *url,
                                             bool is_shared, bool is_resp3)
{
    struct library *library = library_of(L);
    refuse_in_finalizer(L);
    struct connection *connection = lua_newuserdatauv(L, sizeof *connection, 0);
    memset(connection, 0, sizeof *connection);
    luaL_setmetatable(L, CONNECTION_TYPE);
    connection->is_shared = is_shared;
    connection->is_resp3 = is_resp3;

    struct vlock_error error;
    struct vlock_link_options options = {
        .is_resp3 = is_resp3,
        .connect_timeout_ns = library->host->connect_timeout_ns,
        .reconnects = true,
    };
    connection->link =
        vlock_link_new(vlock_scheduler_links(library->scheduler), url, &options, &error);
    if (!connection->link)
        luaL_error(L, "%s", error.message);
    return connection;
}

/* The same from the text of a URL; `password` is used where it holds none, and may be NULL. */
static void push_connection(lua_State *L, const char *text, const char *password, bool is_shared)
{
    struct vlock_error error;
    refuse_in_finalizer(L);
    /* It is cleared when it is forgotten, errors or not. */
    struct vlock_url *url = lua_newuserdatauv(L, sizeof *url, 0);
    memset(url, 0, sizeof *url);
    luaL_setmetatable(L, URL_TYPE);
    if (vlock_url_parse(text, url, &error) != 0)
        luaL_error(L, "%s", error.message);
    if (password && *password && !url->password)
        url->password = strdup(password);
    push_connection_to(L, url, is_shared, false);
    vlock_url_clear(url);
    lua_remove(L, -2);
}

static int l_url_gc(lua_State *L)
{
    vlock_url_clear(luaL_checkudata(L, 1, URL_TYPE));
    return 0;
}

static void push_unreachable(lua_State *L, const char *message)
{
    lua_pushfstring(L, "UNREACHABLE %s", message);
    vlock_reply_push_error(L, lua_tostring(L, -1), "unreachable");
    lua_remove(L, -2);
}

/* Pushes a connection to the server that scripts talk to. */
static void push_server_connection(lua_State *L, bool is_shared)
{
    const struct vlock_redis_host *host = library_of(L)->host;
    struct vlock_error error;
    const char *url = host->server_url(host->engine, false, &error);
    if (!url) {
        push_unreachable(L, error.message);
        lua_error(L);
    }
    push_connection(L, url, host->server_password(host->engine), is_shared);
}

/* redis.connect([url]): a connection of one's own; where no url is given, to the server that this
 * task's commands go to. Closed with :close() or when it is forgotten. It connects at the first
 * command. */
static int l_connect(lua_State *L)
{
    if (!lua_isnoneornil(L, 1)) {
        push_connection(L, luaL_checkstring(L, 1), NULL, false);
        return 1;
    }
    vlock_task_push_local(library_of(L)->scheduler, L);
    if (lua_isnil(L, -1))
        push_server_connection(L, false);
    else
        push_connection_to(L, vlock_link_url(check_connection(L, -1)->link), false, false);
    return 1;
}

/* Pushes the connection that the running task's commands use: its own, or the one that is
 * shared. */
static void push_present_connection(lua_State *L, struct library *library)
{
    vlock_task_push_local(library->scheduler, L);
    if (!lua_isnil(L, -1))
        return;
    lua_pop(L, 1);
    if (lua_getfield(L, LUA_REGISTRYINDEX, CONNECTION_TYPE ".shared") != LUA_TNIL)
        return;
    lua_pop(L, 1);

    push_server_connection(L, true);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, CONNECTION_TYPE ".shared");
}

/* resp3(): a connection that all tasks may share, to the server of this task's commands, and that
 * speaks RESP3. */
static int l_resp3(lua_State *L)
{
    if (!vlock_link_has_resp3())
        return luaL_error(L, "redis.setresp(3) needs hiredis 1.0 or later; this is %s",
                          vlock_link_library());
    push_present_connection(L, library_of(L));
    push_connection_to(L, vlock_link_url(check_connection(L, -1)->link), true, true);
    return 1;
}

/* local_connection(): what use() set for this task, or nil. */
static int l_local_connection(lua_State *L)
{
    vlock_task_push_local(library_of(L)->scheduler, L);
    return 1;
}

/* use(connection or nil): commands of this task, and of those it spawns from now on, go there. */
static int l_use(lua_State *L)
{
    if (!lua_isnoneornil(L, 1))
        check_connection(L, 1)->is_shared = true; /* by what calls redis.call, whoever wrote that */
    lua_settop(L, 1);
    vlock_task_set_local(L);
    return 0;
}

/* ---- commands ---- */

/* The context of a parked command: its deadline (0: none) and whether errors are raised. */
static lua_KContext context_of(int64_t deadline_ns, bool raises)
{
    return (lua_KContext)deadline_ns * 2 + raises;
}

struct arrival {
    lua_State *stack;
    bool is_resp3;
    enum vlock_link_outcome outcome;
    const struct redisReply *reply;
    const char *message;
};

/* Runs protected: puts the outcome and the reply, or the message, on the waiting task's stack. */
static int l_deliver(lua_State *L)
{
    struct arrival *arrival = lua_touserdata(L, 1);
    luaL_checkstack(L, 4, NULL);
    if (!lua_checkstack(arrival->stack, 4))
        return luaL_error(L, "out of memory");
    lua_pushinteger(L, arrival->outcome);
    if (arrival->reply)
        vlock_reply_push(L, arrival->reply, arrival->is_resp3);
    else
        lua_pushstring(L, arrival->message);
    lua_xmove(L, arrival->stack, 2);
    return 0;
}

static void on_outcome(void *user, enum vlock_link_outcome outcome, const struct redisReply *reply,
                       const char *message)
{
    struct vlock_task *task = user;
    struct arrival arrival = {vlock_task_stack(task), vlock_task_mark(task), outcome, reply,
                              message};
    lua_State *L = vlock_task_main_state(task);
    lua_pushcfunction(L, l_deliver);
    lua_pushlightuserdata(L, &arrival);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        lua_pop(L, 1);
        lua_pushinteger(arrival.stack,
                        outcome == VLOCK_LINK_REPLY ? VLOCK_LINK_AMBIGUOUS : outcome);
        lua_pushnil(arrival.stack);
    }
    vlock_task_wake(task, 2);
}

static int arrived(lua_State *L, int status, lua_KContext context);

/* Stack: 1 the connection, 2 … the command. Sends it and parks. */
static int send_and_park(lua_State *L, struct library *library, lua_KContext context)
{
    struct connection *connection = check_connection(L, 1);
    struct vlock_task *task = vlock_scheduler_current(library->scheduler);
    vlock_buffer_reset(&library->command);
    vlock_reply_encode_command(L, 2, lua_gettop(L), &library->command, "redis.call()");
    struct vlock_request *request =
        vlock_link_send(connection->link, library->command.data, library->command.length,
                        context / 2, on_outcome, task);
    if (!request)
        return luaL_error(L, "out of memory");
    vlock_task_await(task, request, connection->is_resp3);
    return vlock_scheduler_park(L, context, arrived);
}

/* The error value on top of the stack: raised, or returned as pcall does. */
static int give_error(lua_State *L, bool raises)
{
    return raises ? lua_error(L) : 1;
}

static int give_text_error(lua_State *L, const char *text, bool raises)
{
    vlock_reply_push_error(L, text, NULL);
    return give_error(L, raises);
}

static bool has_lost_state(const struct connection *connection)
{
    return connection->is_stateful && connection->generation && connection->link &&
           connection->generation != vlock_link_generation(connection->link);
}

static int give_lost_state(lua_State *L, struct connection *connection, bool raises)
{
    connection->is_stateful = false;
    return give_text_error(L,
                           "VLOCK the connection was lost since WATCH or MULTI, and what they "
                           "stood for with it: begin again",
                           raises);
}

/* Stack: 1 the connection, 2 … the command, outcome, reply or message. */
static int arrived(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    bool raises = context & 1;
    struct connection *connection = luaL_checkudata(L, 1, CONNECTION_TYPE);
    enum vlock_link_outcome outcome = (enum vlock_link_outcome)lua_tointeger(L, -2);
    const char *message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "out of memory";

    switch (outcome) {
    case VLOCK_LINK_REPLY:
        if (connection->is_stateful && !connection->generation && connection->link)
            connection->generation = vlock_link_generation(connection->link);
        /* Only errors have one. */
        if (raises && lua_type(L, -1) == LUA_TTABLE && lua_getmetatable(L, -1)) {
            lua_pop(L, 1);
            return lua_error(L);
        }
        return 1;
    case VLOCK_LINK_NOT_SENT:
        if (has_lost_state(connection))
            return give_lost_state(L, connection, raises);
        lua_pop(L, 2);
        return send_and_park(L, library_of(L), context);
    case VLOCK_LINK_FAILED:
        push_unreachable(L, message);
        return give_error(L, raises);
    default:
        lua_pushfstring(L, "UNKNOWN %s: whether the command ran is unknown", message);
        vlock_reply_push_error(L, lua_tostring(L, -1), "unknown");
        return give_error(L, raises);
    }
}

static int l_connection_call(lua_State *L);
static int l_connection_pcall(lua_State *L);

/* Stack: 1 the connection, 2 … the command. */
static int perform(lua_State *L, struct library *library, bool raises)
{
    struct connection *connection = check_connection(L, 1);
    const char *instead = NULL;
    int64_t deadline_ns = vlock_clock_now() + library->host->command_timeout_ns;
    int last = lua_gettop(L);
    if (last < 2)
        return give_text_error(
            L, "ERR Please specify at least one argument for this redis lib call", raises);
    if (vlock_guest_is_needed(library->scheduler, L, raises ? "redis.call" : "redis.pcall"))
        return vlock_guest_call(library->scheduler, L,
                                raises ? l_connection_call : l_connection_pcall);

    enum vlock_command_rule rule = vlock_command_rule(L, 2, last, &instead);
    if (rule == VLOCK_COMMAND_CHANGES) {
        lua_pushfstring(L, NOT_FROM_SCRIPTS ": %s", instead);
        return give_text_error(L, lua_tostring(L, -1), raises);
    }
    if (rule != VLOCK_COMMAND_ALLOWED && connection->is_shared)
        return give_text_error(L,
                               NOT_FROM_SCRIPTS
                               ": it would freeze or change the connection that all tasks share; "
                               "use redis.connect",
                               raises);
    if (has_lost_state(connection))
        return give_lost_state(L, connection, raises);
    if (rule == VLOCK_COMMAND_BLOCKS)
        deadline_ns = 0;
    if (rule == VLOCK_COMMAND_ENTERS) {
        if (!connection->is_stateful)
            connection->generation = 0;
        connection->is_stateful = true;
    } else if (rule == VLOCK_COMMAND_LEAVES) {
        connection->is_stateful = false;
    }
    return send_and_park(L, library, context_of(deadline_ns, raises));
}

static int l_connection_call(lua_State *L)
{
    return perform(L, library_of(L), true);
}

static int l_connection_pcall(lua_State *L)
{
    return perform(L, library_of(L), false);
}

static int l_call(lua_State *L)
{
    struct library *library = library_of(L);
    push_present_connection(L, library);
    lua_insert(L, 1);
    return perform(L, library, true);
}

static int l_pcall(lua_State *L)
{
    struct library *library = library_of(L);
    push_present_connection(L, library);
    lua_insert(L, 1);
    return perform(L, library, false);
}

/* ---- the rest ---- */

static int l_error_reply(lua_State *L)
{
    if (lua_gettop(L) != 1 || lua_type(L, 1) != LUA_TSTRING)
        return give_text_error(L, "ERR wrong number or type of arguments", false);
    const char *text = lua_tostring(L, 1);
    if (text[0] == '-')
        lua_pushstring(L, text + 1);
    else if (strchr(text, ' '))
        lua_pushstring(L, text);
    else
        lua_pushfstring(L, "ERR %s", text);
    return give_text_error(L, lua_tostring(L, -1), false);
}

static int l_status_reply(lua_State *L)
{
    if (lua_gettop(L) != 1 || lua_type(L, 1) != LUA_TSTRING)
        return give_text_error(L, "ERR wrong number or type of arguments", false);
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "ok");
    return 1;
}

static int l_sha1hex(lua_State *L)
{
    size_t length;
    char hex[41];
    if (lua_gettop(L) != 1)
        return give_text_error(L, "ERR wrong number of arguments", true);
    const char *bytes = luaL_checklstring(L, 1, &length);
    vlock_sha1_hex(bytes, length, hex);
    lua_pushlstring(L, hex, 40);
    return 1;
}

/* redis.log(level, …): the texts, with a space between them. */
static int l_log(lua_State *L)
{
    int count = lua_gettop(L);
    if (count < 2)
        return luaL_error(L, "redis.log() requires two arguments or more.");
    if (!lua_isnumber(L, 1))
        return luaL_error(L, "First argument must be a number (log level).");
    lua_Integer level = (lua_Integer)lua_tonumber(L, 1);
    if (level < VLOCK_LUA_LOG_DEBUG || level > VLOCK_LUA_LOG_WARNING)
        return luaL_error(L, "Invalid log level.");
    luaL_Buffer text;
    luaL_buffinit(L, &text);
    for (int i = 2; i <= count; i++) {
        if (!lua_isstring(L, i))
            continue;
        if (i > 2)
            luaL_addchar(&text, ' ');
        lua_pushvalue(L, i);
        luaL_addvalue(&text);
    }
    luaL_pushresult(&text);
    const struct vlock_redis_host *host = library_of(L)->host;
    host->log(host->engine, (int)level, lua_tostring(L, -1));
    return 0;
}

/* commands_sent(): by all connections of this engine, since it was opened. */
static int l_commands_sent(lua_State *L)
{
    lua_pushinteger(L, vlock_scheduler_links(library_of(L)->scheduler)->commands);
    return 1;
}

/* distrust(): ends the connection of this task's commands, whose replies have been mixed up. */
static int l_distrust(lua_State *L)
{
    push_present_connection(L, library_of(L));
    struct connection *connection = check_connection(L, -1);
    vlock_link_distrust(connection->link);
    return 0;
}

/* private_server(): the URL of the engine's private server, which is started if need be; or nil and
 * a message. */
static int l_private_server(lua_State *L)
{
    const struct vlock_redis_host *host = library_of(L)->host;
    struct vlock_error error;
    const char *url = host->server_url(host->engine, true, &error);
    if (!url) {
        lua_pushnil(L);
        lua_pushstring(L, error.message);
        return 2;
    }
    lua_pushstring(L, url);
    return 1;
}

static int l_library_gc(lua_State *L)
{
    struct library *library = lua_touserdata(L, 1);
    vlock_buffer_free(&library->command);
    library->host = NULL;
    return 0;
}

static void register_connection_type(lua_State *L)
{
    static const luaL_Reg methods[] = {{"call", l_connection_call},
                                       {"pcall", l_connection_pcall},
                                       {"close", l_close},
                                       {"traffic", l_traffic},
                                       {NULL, NULL}};
    static const luaL_Reg events[] = {
        {"__gc", l_close}, {"__close", l_close}, {"__tostring", l_connection_text}, {NULL, NULL}};
    luaL_newmetatable(L, CONNECTION_TYPE);
    luaL_setfuncs(L, events, 0);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    luaL_newmetatable(L, URL_TYPE);
    lua_pushcfunction(L, l_url_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 2);
}

static void create_library(lua_State *L, const struct vlock_redis_host *host)
{
    struct library *library = lua_newuserdatauv(L, sizeof *library, 0);
    memset(library, 0, sizeof *library);
    library->host = host;
    library->scheduler = vlock_scheduler_of(L);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_library_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &library_key);
}

int vlock_lib_redis_open(lua_State *L, const struct vlock_redis_host *host)
{
    static const luaL_Reg functions[] = {
        {"call", l_call},
        {"pcall", l_pcall},
        {"connect", l_connect},
        {"use", l_use},
        {"local_connection", l_local_connection},
        {"resp3", l_resp3},
        {"error_reply", l_error_reply},
        {"status_reply", l_status_reply},
        {"sha1hex", l_sha1hex},
        {"log", l_log},
        {"commands_sent", l_commands_sent},
        {"distrust", l_distrust},
        {"private_server", l_private_server},
        {NULL, NULL},
    };
    static const char *const levels[] = {"LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING"};
    create_library(L, host);
    register_connection_type(L);
    luaL_newlib(L, functions);
    for (int level = VLOCK_LUA_LOG_DEBUG; level <= VLOCK_LUA_LOG_WARNING; level++) {
        lua_pushinteger(L, level);
        lua_setfield(L, -2, levels[level]);
    }
    return 1;
}
