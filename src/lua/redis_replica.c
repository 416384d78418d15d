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

/* With a replica, as there is another way: at most so long, and half of what is left to the caller;
 * where that is less than the least, none is asked. */
#define MOST_PATIENCE_NS (1000 * 1000 * 1000LL)
#define LEAST_PATIENCE_NS (100 * 1000 * 1000LL)

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

/* Whether the reply on top of the stack says that this replica is of no use, whatever it is
 * asked. */
static bool is_of_no_use(lua_State *L)
{
    static const char *const beginnings[] = {"LOADING ", "MASTERDOWN ", "MOVED ", "CLUSTERDOWN ",
                                             "NOPERM "};
    bool is_useless = false;
    if (lua_type(L, -1) != LUA_TTABLE)
        return false;
    if (lua_getfield(L, -1, "err") == LUA_TSTRING)
        for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
            is_useless |= !strncmp(lua_tostring(L, -1), beginnings[i], strlen(beginnings[i]));
    lua_pop(L, 1);
    return is_useless;
}

static int perform(lua_State *L, int tries);

/* Stack: 1 the connection, 2 … the command, outcome, reply or message. */
static int answered(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct vlock_connection *connection = lua_touserdata(L, 1);
    int tries = (int)(context / READERS), reader = (int)(context % READERS) - 1;
    lua_Integer outcome = lua_tointeger(L, -2);
    bool has_replied = outcome == VLOCK_LINK_REPLY;
    if (reader != VLOCK_NO_READER && connection->route && outcome != VLOCK_LINK_NOT_SENT &&
        (!has_replied || is_of_no_use(L)))
        vlock_route_avoid(connection->route, reader);
    if (has_replied)
        return 1;
    lua_pop(L, 2);
    if (outcome == VLOCK_LINK_NOT_SENT && tries < MOST_TRIES)
        return perform(L, tries);
    return 0;
}

static int64_t patience_until(int64_t limit_ns)
{
    int64_t now = vlock_clock_now(), patience = MOST_PATIENCE_NS;
    if (limit_ns && (limit_ns - now) / 2 < patience)
        patience = (limit_ns - now) / 2;
    return patience < LEAST_PATIENCE_NS ? 0 : now + patience;
}

/* Stack: 1 the connection, 2 … the command. Sends it to a replica, where one is known, and
 * parks. */
static int perform(lua_State *L, int tries)
{
    struct vlock_redis_library *library = vlock_redis_library(L);
    struct vlock_connection *connection = vlock_connection_check(L, 1);
    int64_t until_ns = patience_until(vlock_scheduler_limit(library->scheduler));
    int last = lua_gettop(L), reader;
    bool crossing;
    if (!vlock_route_has_topology(connection->route) || connection->is_stateful || !until_ns)
        return 0;
    int slot = vlock_redis_command_slot(L, connection, last, &crossing);
    lua_settop(L, last);
    struct vlock_link *link =
        crossing ? NULL : vlock_route_reader(connection->route, slot, &reader);
    if (!link)
        return 0;
    struct vlock_task *task = vlock_scheduler_current(library->scheduler);
    vlock_buffer_reset(&library->command);
    vlock_reply_encode_command(L, 2, last, &library->command, "ask_replica");
    struct vlock_request *request =
        vlock_link_send(link, library->command.data, library->command.length, until_ns, 0,
                        vlock_redis_command_arrive, task);
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

static int l_ask_replica(lua_State *L)
{
    const char *command = luaL_checkstring(L, 1);
    luaL_argcheck(L, strcmp(command, "EVALSHA") == 0 || strcmp(command, "EVAL") == 0, 1,
                  "EVALSHA or EVAL");
    vlock_connection_push_present(L, vlock_redis_library(L));
    lua_insert(L, 1);
    return l_perform(L);
}

void vlock_redis_replica_add_functions(lua_State *L)
{
    static const luaL_Reg functions[] = {{"ask_replica", l_ask_replica}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
