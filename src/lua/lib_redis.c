/* The `redis` library of scripts: see lib_redis.h. */
#include "lua/lib_redis.h"

#include <lauxlib.h>
#include <string.h>

#include "base/sha1.h"
#include "lua/kept.h"
#include "lua/kept_write.h"
#include "lua/redis_command.h"
#include "lua/redis_replica.h"
#include "lua/redis_connection.h"
#include "net/link.h"
#include "net/route.h"
#include "task/scheduler.h"

static int l_error_reply(lua_State *L)
{
    if (lua_gettop(L) != 1 || lua_type(L, 1) != LUA_TSTRING)
        return vlock_redis_give_error(L, "ERR wrong number or type of arguments", false);
    const char *text = lua_tostring(L, 1);
    if (text[0] == '-')
        lua_pushstring(L, text + 1);
    else if (strchr(text, ' '))
        lua_pushstring(L, text);
    else
        lua_pushfstring(L, "ERR %s", text);
    return vlock_redis_give_error(L, lua_tostring(L, -1), false);
}

static int l_status_reply(lua_State *L)
{
    if (lua_gettop(L) != 1 || lua_type(L, 1) != LUA_TSTRING)
        return vlock_redis_give_error(L, "ERR wrong number or type of arguments", false);
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
        return vlock_redis_give_error(L, "ERR wrong number of arguments", true);
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
    const struct vlock_redis_host *host = vlock_redis_library(L)->host;
    host->log(host->engine, (int)level, lua_tostring(L, -1));
    return 0;
}

/* commands_sent(): by all connections of this engine, since it was opened. */
static int l_commands_sent(lua_State *L)
{
    lua_pushinteger(L, vlock_scheduler_links(vlock_redis_library(L)->scheduler)->commands);
    return 1;
}

/* distrust(): ends the connection of this task's commands, whose replies have been mixed up. */
static int l_distrust(lua_State *L)
{
    vlock_connection_push_present(L, vlock_redis_library(L));
    struct vlock_connection *connection = vlock_connection_check(L, -1);
    if (connection->route)
        vlock_route_distrust(connection->route);
    return 0;
}

/* private_server(): the URL of the engine's private server, which is started if need be; or nil and
 * a message. */
static int l_private_server(lua_State *L)
{
    const struct vlock_redis_host *host = vlock_redis_library(L)->host;
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

int vlock_lib_redis_open(lua_State *L, const struct vlock_redis_host *host)
{
    static const luaL_Reg functions[] = {
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
    vlock_connection_register(L, host, vlock_redis_command_methods);
    luaL_newlib(L, functions);
    vlock_connection_add_functions(L);
    vlock_redis_command_add_functions(L);
    vlock_redis_replica_add_functions(L);
    vlock_kept_push_functions(L);
    vlock_kept_write_add_functions(L);
    lua_setfield(L, -2, "kept");
    for (int level = VLOCK_LUA_LOG_DEBUG; level <= VLOCK_LUA_LOG_WARNING; level++) {
        lua_pushinteger(L, level);
        lua_setfield(L, -2, levels[level]);
    }
    return 1;
}
