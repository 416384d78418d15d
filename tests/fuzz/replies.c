/* What a server sends: its bytes, through hiredis' reader as a link sets it up, into Lua values and
 * from those into what a program is handed. The replies are the same however the bytes are cut
 * into pieces, a Lua value holds what its reply held, and an array that is too long is refused
 * before memory is taken for it. The first byte of an input says how long the pieces are. */
#include "property.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "base/buffer.h"
#include "lua/reply.h"
#include "net/link_parts.h"
#include "net/route_answer.h"

#define MOST_REPLIES 4096

/* ---- a reply that tells of a cluster ---- */

static void require_range(void *user, const char *host, int port, int from, int to, bool is_replica)
{
    (void)user, (void)is_replica;
    REQUIRE(host && port > 0 && port < 65536, "a node at %d", port);
    REQUIRE(from >= 0 && from < 16384 && to >= 0 && to < 16384, "slots %d to %d", from, to);
}

/* ---- a reply and its Lua value ---- */

static void require_text(lua_State *L, int index, const redisReply *reply)
{
    size_t length = 0;
    REQUIRE(lua_type(L, index) == LUA_TSTRING, "a text became a %s", luaL_typename(L, index));
    const char *text = lua_tolstring(L, index, &length);
    REQUIRE(length == reply->len && memcmp(text, reply->str, length) == 0, "a text changed");
}

static void require_tagged(lua_State *L, const char *tag, const redisReply *reply)
{
    REQUIRE(lua_istable(L, -1), "%s became a %s", tag, luaL_typename(L, -1));
    lua_getfield(L, -1, tag);
    require_text(L, -1, reply);
    lua_pop(L, 1);
}

static void require_value(lua_State *L, const redisReply *reply, bool is_resp3);

static void require_elements(lua_State *L, const redisReply *reply, bool is_resp3)
{
    REQUIRE(lua_istable(L, -1), "an array became a %s", luaL_typename(L, -1));
    for (size_t i = 0; i < reply->elements; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        require_value(L, reply->element[i], is_resp3);
        lua_pop(L, 1);
    }
    lua_rawgeti(L, -1, (lua_Integer)reply->elements + 1);
    REQUIRE(lua_isnil(L, -1), "an array grew");
    lua_pop(L, 1);
}

/* That the value on top of the stack is this reply. */
static void require_value(lua_State *L, const redisReply *reply, bool is_resp3)
{
    luaL_checkstack(L, 4, NULL);
    switch (reply->type) {
    case REDIS_REPLY_STRING:
        require_text(L, -1, reply);
        break;
    case REDIS_REPLY_STATUS:
        require_tagged(L, "ok", reply);
        break;
    case REDIS_REPLY_ERROR:
        require_tagged(L, "err", reply);
        break;
    case REDIS_REPLY_INTEGER:
        REQUIRE(lua_isinteger(L, -1) && lua_tointeger(L, -1) == reply->integer, "a number changed");
        break;
    case REDIS_REPLY_ARRAY:
        require_elements(L, reply, is_resp3);
        break;
    case REDIS_REPLY_NIL:
        REQUIRE(is_resp3 ? lua_isnil(L, -1) : lua_isboolean(L, -1) && !lua_toboolean(L, -1),
                "a null became a %s", luaL_typename(L, -1));
        break;
    default: /* what only RESP3 has, and only hiredis 1.0 reads: no crash is what is asked */
        break;
    }
}

struct delivery {
    const redisReply *reply;
    bool is_resp3;
};

/* Runs protected, as a reply is delivered. */
static int l_deliver(lua_State *L)
{
    const struct delivery *delivery = lua_touserdata(L, 1);
    vlock_reply_push(L, delivery->reply, delivery->is_resp3);
    require_value(L, delivery->reply, delivery->is_resp3);
    vlock_topology_read_shards(delivery->reply, false, require_range, NULL);
    vlock_topology_read_slots(delivery->reply, require_range, NULL);
    struct vlock_reply *tree = vlock_reply_from_lua(L, lua_gettop(L));
    REQUIRE(tree, "what came from the wire is no reply");
    vlock_reply_free(tree);
    return 0;
}

static void deliver(lua_State *L, const redisReply *reply, bool is_resp3)
{
    struct delivery delivery = {reply, is_resp3};
    lua_pushcfunction(L, l_deliver);
    lua_pushlightuserdata(L, &delivery);
    int status = lua_pcall(L, 1, 0, 0);
    REQUIRE(status == LUA_OK, "a reply is no value: %s", lua_tostring(L, -1));
    REQUIRE(lua_gettop(L) == 0, "something is left on the stack");
}

/* ---- all that a server sends ---- */

/* What the replies are, as bytes that can be compared. */
static void note(struct vlock_buffer *seen, const redisReply *reply)
{
    char head[64];
    int length = snprintf(head, sizeof head, "%d %lld %zu %zu:", reply->type, reply->integer,
                          (size_t)reply->len, reply->elements);
    REQUIRE(vlock_buffer_append(seen, head, (size_t)length) == 0, "out of memory");
    if (reply->str)
        REQUIRE(vlock_buffer_append(seen, reply->str, reply->len) == 0, "out of memory");
    for (size_t i = 0; i < reply->elements; i++)
        note(seen, reply->element[i]);
}

/* Hands the bytes to a fresh reader in pieces of this size. Notes the replies, and how it ended. */
static void read_all(lua_State *L, const uint8_t *data, size_t size, size_t piece,
                     struct vlock_buffer *seen)
{
    redisAsyncContext context = {.c = {.reader = redisReaderCreate()}};
    struct vlock_link link = {.context = &context};
    bool is_broken = false;
    REQUIRE(context.c.reader, "out of memory");
    vlock_link_limit_replies(&link);
    for (size_t at = 0, count = 0; at < size && !is_broken; at += piece) {
        void *reply = NULL;
        redisReaderFeed(context.c.reader, (const char *)data + at,
                        size - at < piece ? size - at : piece);
        while (!is_broken && count < MOST_REPLIES) {
            is_broken = redisReaderGetReply(context.c.reader, &reply) != REDIS_OK;
            if (is_broken || !reply)
                break;
            note(seen, reply);
            deliver(L, reply, false);
            deliver(L, reply, true);
            freeReplyObject(reply);
            count++;
        }
    }
    REQUIRE(!link.is_oversized || is_broken, "an array that is too long was taken");
    REQUIRE(vlock_buffer_append(seen, is_broken ? "broken" : "open", 4) == 0, "out of memory");
    redisReaderFree(context.c.reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vlock_buffer whole = {0}, pieces = {0};
    if (size < 2)
        return 0;
    lua_State *L = luaL_newstate();
    REQUIRE(L, "out of memory");
    read_all(L, data + 1, size - 1, size, &whole);
    read_all(L, data + 1, size - 1, 1 + data[0] % 16, &pieces);
    REQUIRE(whole.length == pieces.length && memcmp(whole.data, pieces.data, whole.length) == 0,
            "in pieces of %d bytes it is something else", 1 + data[0] % 16);
    vlock_buffer_free(&whole);
    vlock_buffer_free(&pieces);
    lua_close(L);
    return 0;
}
