/* Reads that a replica may answer: see redis_replica.h. */
#include "lua/redis_replica.h"

#include <string.h>

#include "base/clock.h"
#include "lua/redis_command.h"
#include "lua/redis_connection.h"
#include "lua/reply.h"
#include "net/route.h"
#include "task/guest_wait.h"
#include "task/scheduler.h"

#define PATIENCE_NS (1000 * 1000 * 1000LL) /* with a replica: there is another way */

/* Whether the reply on top of the stack is what the replica was asked for, or tells what is missing
 * there. */
static bool is_answer(lua_State *L)
{
    if (lua_type(L, -1) != LUA_TTABLE)
        return true;
    bool is_error = lua_getfield(L, -1, "err") == LUA_TSTRING;
    bool is_unknown_script = is_error && strncmp(lua_tostring(L, -1), "NOSCRIPT ", 9) == 0;
    lua_pop(L, 1);
    return !is_error || is_unknown_script;
}

/* How often a read is sent: it waits until the servers are known, until it is connected, and may
 * meet the end of a connection. */
#define MOST_TRIES 4

/* The context of a read that waits: how often it was sent, and the number of the reader, of which
 * there are fewer than READERS. */
#define READERS 32000
static lua_KContext context_of(int tries, int reader)
{
    return (lua_KContext)tries * READERS + reader + 1; /* VLOCK_NO_READER is -1 */
}

static int perform(lua_State *L, int tries);

/* Stack: 1 the connection, 2 … the command, outcome, reply or message. */
static int answered(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct vlock_connection *connection = lua_touserdata(L, 1);
    int tries = (int)(context / READERS), reader = (int)(context % READERS) - 1;
    if (lua_tointeger(L, -2) == VLOCK_LINK_REPLY && is_answer(L))
        return 1;
    bool is_sent = lua_tointeger(L, -2) != VLOCK_LINK_NOT_SENT;
    lua_pop(L, 2);
    if (!is_sent && tries < MOST_TRIES)
        return perform(L, tries);
    if (reader != VLOCK_NO_READER && connection->route)
        vlock_route_avoid(connection->route, reader);
    return vlock_redis_pcall(L);
}

/* Stack: 1 the connection, 2 … the command. Sends it to a replica, where one is known, and
 * parks. */
static int perform(lua_State *L, int tries)
{
    struct vlock_redis_library *library = vlock_redis_library(L);
    struct vlock_connection *connection = vlock_connection_check(L, 1);
    int last = lua_gettop(L), reader = VLOCK_NO_READER;
    bool crossing = false;
    if (!vlock_route_has_topology(connection->route) || connection->is_stateful)
        return vlock_redis_pcall(L);
    int slot = vlock_redis_command_slot(L, connection, last, &crossing);
    lua_settop(L, last);
    struct vlock_link *link =
        crossing ? NULL : vlock_route_reader(connection->route, slot, &reader);
    if (!link)
        return vlock_redis_pcall(L);
    struct vlock_task *task = vlock_scheduler_current(library->scheduler);
    vlock_buffer_reset(&library->command);
    vlock_reply_encode_command(L, 2, last, &library->command, "redis.pcall()");
    struct vlock_request *request = vlock_link_send(
        link, library->command.data, library->command.length, vlock_clock_now() + PATIENCE_NS,
        vlock_scheduler_limit(library->scheduler), vlock_redis_command_arrive, task);
    if (!request)
        return luaL_error(L, "out of memory");
    vlock_task_await(task, request, connection->is_resp3 ? VLOCK_REDIS_RESP3 : 0);
    return vlock_scheduler_park(L, context_of(tries + 1, reader), answered);
}

static int l_perform(lua_State *L)
{
    struct vlock_redis_library *library = vlock_redis_library(L);
    if (vlock_guest_is_needed(library->scheduler, L, "redis.pcall"))
        return vlock_guest_call(library->scheduler, L, l_perform);
    return perform(L, 0);
}

static int l_pcall_replica(lua_State *L)
{
    vlock_connection_push_present(L, vlock_redis_library(L));
    lua_insert(L, 1);
    return l_perform(L);
}

void vlock_redis_replica_add_functions(lua_State *L)
{
    static const luaL_Reg functions[] = {{"pcall_replica", l_pcall_replica}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
