/* Writes on what is kept of a cell: see kept_write.h. */
#include "lua/kept_write.h"

#include <lauxlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/slot.h"
#include "lua/chain_record.h"
#include "lua/kept_parts.h"
#include "lua/redis_command.h"
#include "lua/redis_connection.h"
#include "lua/reply.h"
#include "net/route.h"
#include "task/scheduler.h"

/* What stands on the stack of the task that writes. */
enum {
    KEPT = 1,
    EDITION,
    WRITING,
    SHA1,
    KEY,
    VERSION_KEY,
    TEXT,
    NAME,
    SEQUENCE,
    EXPIRE,
    RECEIPT,
    BASE
};

/* Makes the token, NAME.SEQUENCE, where there is room for it. */
static bool make_token(lua_State *L, struct vlock_kept *kept)
{
    size_t size;
    const char *name = lua_tolstring(L, NAME, &size);
    char digits[24], *end = digits + sizeof digits, *at = end;
    uint64_t sequence = (uint64_t)lua_tointeger(L, SEQUENCE);
    do
        *--at = (char)('0' + sequence % 10);
    while (sequence /= 10);
    *--at = '.';
    if (!name || size + (size_t)(end - at) > VLOCK_KEPT_TOKEN)
        return false;
    memcpy(kept->token, name, size);
    memcpy(kept->token + size, at, (size_t)(end - at));
    kept->token_size = (unsigned char)(size + (size_t)(end - at));
    return true;
}

static char *write_word(lua_State *L, char *at, int index)
{
    size_t size;
    const char *bytes = lua_tolstring(L, index, &size);
    return vlock_reply_write_word(at, bytes, size);
}

/* The call of lua/cas.lua that most writes are: over a value, without a lifetime of its own, asking
 * for a receipt. False: there is no memory for it. */
static bool encode(lua_State *L, const struct vlock_kept *kept, struct vlock_buffer *buffer)
{
    static const char head[] = "*13\r\n$7\r\nEVALSHA\r\n", two[] = "$1\r\n2\r\n",
                      receipt[] = "$7\r\nRECEIPT\r\n", present[] = "$2\r\nXX\r\n";
    size_t size = sizeof head + VLOCK_KEPT_TOKEN + VLOCK_KEPT_STAMP + 13 * VLOCK_REPLY_WORD;
    for (int i = SHA1; i <= TEXT; i++)
        size += lua_rawlen(L, i);
    vlock_buffer_reset(buffer);
    if (vlock_buffer_reserve(buffer, size) != 0)
        return false;
    char *at = buffer->data;
    at = (char *)memcpy(at, head, sizeof head - 1) + sizeof head - 1;
    at = write_word(L, at, SHA1);
    at = (char *)memcpy(at, two, sizeof two - 1) + sizeof two - 1;
    at = write_word(L, at, KEY);
    at = write_word(L, at, VERSION_KEY);
    at = write_word(L, at, TEXT);
    at = vlock_reply_write_number(at, kept->made_version);
    at = vlock_reply_write_number(at, lua_tointeger(L, EXPIRE));
    at = vlock_reply_write_word(at, kept->token, kept->token_size);
    at = vlock_reply_write_word(at, kept->stamp, kept->stamp_size);
    at = (char *)memcpy(at, receipt, sizeof receipt - 1) + sizeof receipt - 1;
    at = vlock_reply_write_number(at, lua_tointeger(L, RECEIPT));
    at = (char *)memcpy(at, present, sizeof present) + sizeof present - 1;
    buffer->length = (size_t)(at - buffer->data);
    return true;
}

/* Whether a stamp is one of this version. */
static bool is_of_version(const char *stamp, size_t size, int64_t version)
{
    int64_t found = 0;
    size_t at = 0;
    for (; at < size && stamp[at] >= '0' && stamp[at] <= '9' && at < 18; at++)
        found = found * 10 + (stamp[at] - '0');
    return at > 0 && at < size && stamp[at] == ':' && found == version;
}

/* Whether the reply says that the write is committed, in the usual words; then its stamp is
 * taken. */
static bool take_commit(struct vlock_kept *kept, const struct redisReply *reply)
{
    size_t length;
    const char *status = vlock_reply_status(reply, &length);
    if (!status || !vlock_redis_is_commit(status, length, kept->token, kept->token_size) ||
        length - 3 > VLOCK_KEPT_STAMP || !is_of_version(status + 3, length - 3, kept->made_version))
        return false;
    memcpy(kept->stamp, status + 3, length - 3);
    kept->stamp_size = (unsigned char)(length - 3);
    return true;
}

/* Whether the server says that another one is in charge: then it did not run. */
static bool is_redirection(const struct redisReply *reply)
{
    static const char *const beginnings[] = {"MOVED ", "ASK ", "READONLY ", "MASTERDOWN "};
    const char *error = vlock_reply_error(reply);
    for (size_t i = 0; error && i < sizeof beginnings / sizeof *beginnings; i++)
        if (strncmp(error, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    return false;
}

/* Neither allocates nor raises where the write is committed. Where it did not run, and another
 * server is to be found, that is left to the way of all commands. */
static void on_outcome(void *user, enum vlock_link_outcome outcome, const struct redisReply *reply,
                       const char *message)
{
    struct vlock_kept *kept = user;
    struct vlock_task *task = kept->writer;
    if (outcome == VLOCK_LINK_REPLY && take_commit(kept, reply)) {
        kept->is_settling = true;
        vlock_task_wake(task, 0);
    } else if (kept->is_routed && (outcome == VLOCK_LINK_FAILED ||
                                   (outcome == VLOCK_LINK_REPLY && is_redirection(reply)))) {
        vlock_redis_command_arrive(task, VLOCK_LINK_NOT_SENT, NULL, "");
    } else {
        vlock_redis_command_arrive(task, outcome, reply, message);
    }
}

static struct vlock_growth_value value_at(lua_State *L, int index)
{
    struct vlock_growth_value value;
    value.bytes = lua_tolstring(L, index, &value.count);
    return value;
}

/* The lab's record of the cell, on top of the stack; NULL: there is none. */
static struct vlock_chain_record *push_record(lua_State *L)
{
    return lua_getiuservalue(L, KEPT, VLOCK_KEPT_RECORD) == LUA_TNIL ? NULL : lua_touserdata(L, -1);
}

/* Runs when the task goes on: what the commit made is kept, and written down. False: there is no
 * memory to write it down. */
static bool settle(lua_State *L, struct vlock_redis_library *library, struct vlock_kept *kept,
                   int64_t now_ns)
{
    kept->is_settling = kept->is_loose = false;
    kept->version = kept->made_version;
    kept->expires_at = kept->base_expires_at; /* SET keeps the lifetime */
    kept->edition++;
    kept->told_until =
        (double)kept->sent_ns / VLOCK_NS_PER_SECOND + (double)lua_tointeger(L, RECEIPT) / 1000;
    kept->has_last = true;
    vlock_pace_committed(&kept->pace, true, kept->sent_ns, now_ns);
    lua_pushvalue(L, TEXT);
    lua_setiuservalue(L, KEPT, VLOCK_KEPT_VALUE);
    struct vlock_chain_record *record = push_record(L);
    if (!record)
        return true;
    library->recorded++;
    struct vlock_chain_span span = {kept->sent_ns, now_ns};
    return vlock_chain_record_commit(record, kept->base_id, value_at(L, BASE),
                                     vlock_chain_id(kept->stamp, kept->stamp_size),
                                     value_at(L, TEXT), span) == 0;
}

/* What l_write says of a commit that could not be written down, in the place of an outcome. */
#define UNRECORDED (-2)

static int written(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct vlock_redis_library *library = (void *)context; /* to find it might raise */
    struct vlock_kept *kept = lua_touserdata(L, KEPT);
    int64_t now_ns = vlock_clock_now();
    bool is_committed = kept->is_settling;
    kept->writer = NULL;
    lua_pushnil(L);
    lua_setiuservalue(L, KEPT, VLOCK_KEPT_WRITER);
    if (!is_committed && lua_tointeger(L, -2) == VLOCK_LINK_NOT_SENT)
        return 0;
    if (is_committed && settle(L, library, kept, now_ns)) {
        lua_pushinteger(L, kept->made_version);
        lua_pushnumber(L, (lua_Number)(now_ns - kept->sent_ns) / VLOCK_NS_PER_SECOND);
        return 2;
    }
    if (is_committed) {
        lua_pushinteger(L, UNRECORDED);
        lua_pushnil(L);
    }
    lua_pushnil(L);
    lua_pushnumber(L, (lua_Number)kept->sent_ns / VLOCK_NS_PER_SECOND);
    lua_rotate(L, -4, 2);
    return 4;
}

/* The link to the server of the cell; NULL when out of memory. */
static struct vlock_link *link_for_key(lua_State *L, struct vlock_route *route)
{
    size_t size;
    const char *key = lua_tolstring(L, KEY, &size);
    int slot = key && vlock_route_is_cluster(route) ? vlock_slot_of(key, size) : VLOCK_NO_SLOT;
    return vlock_route_link(route, slot, false);
}

/* Slots: so that lua/vlock/cell/attempt.lua, once the write was sent, can call pcall without need
 * of memory. */
#define STACK_AFTERWARDS (LUA_MINSTACK + 10)

/* write(kept, edition, writing, sha1, key, version key, text, name, sequence, expire, receipt):
 * writes the text over the base of this edition, by the core script with this SHA-1, under the
 * token NAME.SEQUENCE. writing: the session's, where the task is entered as the one that writes the
 * cell; it stays there.
 *
 * Returns the version and the seconds that it took where it is committed. Nothing: nothing was
 * sent, and the rest is to be done in Lua. Else nil, when it was sent, and an outcome with its
 * reply or message, for connections.told. Once it was sent it never raises. */
static int l_write(lua_State *L)
{
    struct vlock_kept *kept = vlock_kept_check(L, KEPT);
    struct vlock_redis_library *library = vlock_redis_library(L);
    struct vlock_scheduler *scheduler = library->scheduler;
    lua_settop(L, RECEIPT);
    luaL_checktype(L, WRITING, LUA_TTABLE);
    if (vlock_kept_is_written(L, KEPT, kept) || !kept->pace.has_base || kept->is_loose ||
        kept->edition != (unsigned)lua_tointeger(L, EDITION) || kept->version == INT64_MAX ||
        lua_type(L, TEXT) != LUA_TSTRING || !vlock_scheduler_can_park(scheduler, L) ||
        !lua_checkstack(L, STACK_AFTERWARDS) || !make_token(L, kept))
        return 0;
    kept->made_version = kept->version + 1;
    lua_getiuservalue(L, KEPT, VLOCK_KEPT_VALUE);
    lua_pushvalue(L, VERSION_KEY);
    vlock_task_push_current(L);
    lua_rawset(L, WRITING);
    struct vlock_connection *connection = vlock_connection_at_hand(L, library);
    struct vlock_link *link = connection ? link_for_key(L, connection->route) : NULL;
    if (!link || !encode(L, kept, &library->command))
        return 0;
    kept->is_routed = vlock_route_has_topology(connection->route);
    if (push_record(L))
        kept->base_id = vlock_chain_id(kept->stamp, kept->stamp_size);
    kept->base_expires_at = kept->expires_at;
    lua_pushvalue(L, KEPT);
    vlock_task_hold(L);
    vlock_task_push_current(L);
    lua_setiuservalue(L, KEPT, VLOCK_KEPT_WRITER);
    struct vlock_task *task = vlock_scheduler_current(scheduler);
    kept->sent_ns = vlock_clock_now();
    struct vlock_request *request =
        vlock_link_send(link, library->command.data, library->command.length,
                        kept->sent_ns + library->host->command_timeout_ns,
                        vlock_scheduler_limit(scheduler), on_outcome, kept);
    if (!request)
        return 0;
    kept->writer = task;
    vlock_task_await(task, request, VLOCK_REDIS_COMMIT);
    return vlock_scheduler_park(L, (lua_KContext)library, written);
}

/* recorded(): how many commits `write` has written down, of this engine. */
static int l_recorded(lua_State *L)
{
    lua_pushinteger(L, vlock_redis_library(L)->recorded);
    return 1;
}

void vlock_kept_write_add_functions(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"write", l_write}, {"recorded", l_recorded}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
