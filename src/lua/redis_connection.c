/* Connections as Lua values: see redis_connection.h. */
#include "lua/redis_connection.h"

#include <stdlib.h>
#include <string.h>

#include "base/url.h"
#include "lua/reply.h"
#include "lua/sim_world.h"
#include "net/route.h"
#include "task/scheduler.h"

#define CONNECTION_TYPE "vlock.connection"
#define URL_TYPE "vlock.url"

static const char library_key = 0;

struct vlock_redis_library *vlock_redis_library(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &library_key);
    struct vlock_redis_library *library = lua_touserdata(L, -1);
    if (!library->host)
        luaL_error(L, "vlock is closed: its program ends");
    lua_pop(L, 1);
    return library;
}

struct vlock_connection *vlock_connection_check(lua_State *L, int index)
{
    struct vlock_connection *connection = luaL_checkudata(L, index, CONNECTION_TYPE);
    if (!connection->route && !vlock_sim_world_is_on(connection->world))
        luaL_error(L, "this connection is closed");
    return connection;
}

static int l_close(lua_State *L)
{
    struct vlock_connection *connection = luaL_checkudata(L, 1, CONNECTION_TYPE);
    vlock_route_close(connection->route);
    connection->route = NULL;
    connection->world = NULL;
    return 0;
}

/* Nobody waits for what nobody holds. */
static int l_collect(lua_State *L)
{
    struct vlock_connection *connection = luaL_checkudata(L, 1, CONNECTION_TYPE);
    vlock_route_free(connection->route);
    connection->route = NULL;
    return 0;
}

static int l_connection_text(lua_State *L)
{
    struct vlock_connection *connection = luaL_checkudata(L, 1, CONNECTION_TYPE);
    if (connection->route)
        lua_pushfstring(L, "connection to %s", vlock_route_name(connection->route));
    else if (vlock_sim_world_is_on(connection->world))
        lua_pushliteral(L, "connection to the simulated server");
    else
        lua_pushliteral(L, "connection (closed)");
    return 1;
}

static int l_traffic(lua_State *L)
{
    struct vlock_connection *connection = vlock_connection_check(L, 1);
    if (connection->world)
        return luaL_error(L, "traffic is not counted by connection in a simulation");
    struct vlock_link_traffic traffic = vlock_route_traffic(connection->route);
    lua_pushinteger(L, traffic.commands);
    lua_pushinteger(L, traffic.replies);
    lua_pushinteger(L, traffic.writes);
    return 3;
}

/* connection:nodes(): the servers of a cluster or a service to which anything was sent, a list of
 * { url =, commands = }; of one server it is empty. */
static int l_nodes(lua_State *L)
{
    struct vlock_connection *connection = vlock_connection_check(L, 1);
    const struct vlock_link *link;
    lua_newtable(L);
    for (lua_Integer i = 0; (link = vlock_route_used(connection->route, (size_t)i)); i++) {
        lua_createtable(L, 0, 2);
        lua_pushstring(L, vlock_link_name(link));
        lua_setfield(L, -2, "url");
        lua_pushinteger(L, vlock_link_traffic(link).commands);
        lua_setfield(L, -2, "commands");
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* At the state's end nobody would finalize what is made there. So the collector answers in a
 * finalizer, from Lua 5.4.4 on. */
static void refuse_in_finalizer(lua_State *L)
{
    if (lua_gc(L, LUA_GCCOUNT) < 0)
        luaL_error(L, "no connection can be made in a finalizer");
}

/* Pushes a new connection. The userdata comes first, empty, so that it is safe at every instant. */
static struct vlock_connection *push_connection_to(lua_State *L, const struct vlock_url *url,
                                                   bool is_shared, bool is_resp3)
{
    struct vlock_redis_library *library = vlock_redis_library(L);
    refuse_in_finalizer(L);
    struct vlock_connection *connection = lua_newuserdatauv(L, sizeof *connection, 0);
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
    if (url->is_tls)
        options.tls = library->host->tls(library->host->engine, &error);
    if (url->is_tls && !options.tls)
        luaL_error(L, "%s", error.message);
    connection->route =
        vlock_route_new(vlock_scheduler_links(library->scheduler), url, &options, &error);
    if (!connection->route)
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

void vlock_connection_push_unreachable(lua_State *L, const char *message)
{
    lua_pushfstring(L, "UNREACHABLE %s", message);
    vlock_reply_push_error(L, lua_tostring(L, -1), "unreachable");
    lua_remove(L, -2);
}

void vlock_connection_push_simulated(lua_State *L, int index, bool is_direct)
{
    struct vlock_sim_world *world = vlock_sim_world_check(L, index);
    lua_pushvalue(L, index);
    struct vlock_connection *connection = lua_newuserdatauv(L, sizeof *connection, 1);
    memset(connection, 0, sizeof *connection);
    luaL_setmetatable(L, CONNECTION_TYPE);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, 1); /* the world lasts as long */
    connection->wire = vlock_sim_world_connect(L, world, is_direct);
    connection->world = world;
}

static void refuse_in_simulation(lua_State *L, const char *what)
{
    if (vlock_scheduler_is_virtual(vlock_redis_library(L)->scheduler))
        luaL_error(L, "%s: in a simulation there is no server but the simulated one", what);
}

/* Pushes a connection to the server that scripts talk to. */
static void push_server_connection(lua_State *L, bool is_shared)
{
    refuse_in_simulation(L, "redis");
    const struct vlock_redis_host *host = vlock_redis_library(L)->host;
    struct vlock_error error;
    const char *url = host->server_url(host->engine, false, &error);
    if (!url) {
        vlock_connection_push_unreachable(L, error.message);
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
        refuse_in_simulation(L, "redis.connect");
        push_connection(L, luaL_checkstring(L, 1), NULL, false);
        return 1;
    }
    vlock_task_push_local(vlock_redis_library(L)->scheduler, L);
    struct vlock_connection *present =
        lua_isnil(L, -1) ? NULL : vlock_connection_check(L, -1);
    if (!present)
        push_server_connection(L, false);
    else if (present->world && lua_getiuservalue(L, -1, 1))
        vlock_connection_push_simulated(L, -1, false);
    else
        push_connection_to(L, vlock_route_url(present->route), false, false);
    return 1;
}

/* Pushes the connection that the running task's commands use: its own, or the one that is
 * shared. */
void vlock_connection_push_present(lua_State *L, struct vlock_redis_library *library)
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

struct vlock_connection *vlock_connection_at_hand(lua_State *L, struct vlock_redis_library *library)
{
    vlock_task_push_local(library->scheduler, L);
    if (lua_isnil(L, -1))
        lua_getfield(L, LUA_REGISTRYINDEX, CONNECTION_TYPE ".shared");
    struct vlock_connection *connection = lua_touserdata(L, -1);
    return connection && connection->route && !connection->is_stateful && !connection->is_resp3
               ? connection
               : NULL;
}

/* resp3(): a connection that all tasks may share, to the server of this task's commands, and that
 * speaks RESP3. */
static int l_resp3(lua_State *L)
{
    if (!vlock_link_has_resp3())
        return luaL_error(L, "redis.setresp(3) needs hiredis 1.0 or later; this is %s",
                          vlock_link_library());
    refuse_in_simulation(L, "redis.setresp(3)");
    vlock_connection_push_present(L, vlock_redis_library(L));
    push_connection_to(L, vlock_route_url(vlock_connection_check(L, -1)->route), true, true);
    return 1;
}

/* local_connection(): what use() set for this task, or nil. */
static int l_local_connection(lua_State *L)
{
    vlock_task_push_local(vlock_redis_library(L)->scheduler, L);
    return 1;
}

/* use(connection or nil): commands of this task, and of those it spawns from now on, go there. */
static int l_use(lua_State *L)
{
    if (!lua_isnoneornil(L, 1))
        vlock_connection_check(L, 1)->is_shared =
            true; /* by what calls redis.call, whoever wrote that */
    lua_settop(L, 1);
    vlock_task_set_local(L);
    return 0;
}

/* is_cluster([connection]): whether the keys of its commands, or else of this task's, are spread
 * over several servers. */
static int l_is_cluster(lua_State *L)
{
    if (lua_isnoneornil(L, 1))
        vlock_connection_push_present(L, vlock_redis_library(L));
    else
        lua_settop(L, 1);
    lua_pushboolean(L, vlock_route_is_cluster(vlock_connection_check(L, -1)->route));
    return 1;
}

static int l_library_gc(lua_State *L)
{
    struct vlock_redis_library *library = lua_touserdata(L, 1);
    vlock_buffer_free(&library->command);
    library->host = NULL;
    return 0;
}

static void register_type(lua_State *L, const luaL_Reg *commands)
{
    static const luaL_Reg methods[] = {
        {"close", l_close}, {"traffic", l_traffic}, {"nodes", l_nodes}, {NULL, NULL}};
    static const luaL_Reg events[] = {
        {"__gc", l_collect}, {"__close", l_close}, {"__tostring", l_connection_text}, {NULL, NULL}};
    luaL_newmetatable(L, CONNECTION_TYPE);
    luaL_setfuncs(L, events, 0);
    luaL_newlib(L, methods);
    luaL_setfuncs(L, commands, 0);
    lua_setfield(L, -2, "__index");
    luaL_newmetatable(L, URL_TYPE);
    lua_pushcfunction(L, l_url_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 2);
}

static void create_library(lua_State *L, const struct vlock_redis_host *host)
{
    struct vlock_redis_library *library = lua_newuserdatauv(L, sizeof *library, 0);
    memset(library, 0, sizeof *library);
    library->host = host;
    library->scheduler = vlock_scheduler_of(L);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_library_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &library_key);
}

void vlock_connection_register(lua_State *L, const struct vlock_redis_host *host,
                               const luaL_Reg *commands)
{
    create_library(L, host);
    register_type(L, commands);
}

void vlock_connection_add_functions(lua_State *L)
{
    static const luaL_Reg functions[] = {{"connect", l_connect},
                                         {"use", l_use},
                                         {"local_connection", l_local_connection},
                                         {"resp3", l_resp3},
                                         {"is_cluster", l_is_cluster},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
