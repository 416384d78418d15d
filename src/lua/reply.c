/* Replies between the wire and Lua: see reply.h. */
#include "lua/reply.h"

#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "base/buffer.h"

#define DEPTH_LIMIT 1000
#define ERROR_TYPE "vlock.error"

/* ---- the server's replies, as Lua values ---- */

static int l_error_text(lua_State *L)
{
    lua_getfield(L, 1, "err");
    return 1;
}

static void push_error(lua_State *L, const char *text, size_t length, const char *outcome)
{
    lua_createtable(L, 0, 2);
    lua_pushlstring(L, text, length);
    lua_setfield(L, -2, "err");
    if (outcome) {
        lua_pushstring(L, outcome);
        lua_setfield(L, -2, "outcome");
    }
    luaL_setmetatable(L, ERROR_TYPE);
}

/* The fields that tell what a table is as a reply. Their names are kept in the registry, by these
 * addresses: to look one up needs no memory. */
static const char *const field_names[] = {"err", "ok",         "double",          "map",
                                          "set", "big_number", "verbatim_string", "string"};
enum field {
    FIELD_ERR,
    FIELD_OK,
    FIELD_DOUBLE,
    FIELD_MAP,
    FIELD_SET,
    FIELD_BIG_NUMBER,
    FIELD_VERBATIM,
    FIELD_STRING
};

void vlock_reply_register(lua_State *L)
{
    luaL_newmetatable(L, ERROR_TYPE);
    lua_pushcfunction(L, l_error_text);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
    for (size_t i = 0; i < sizeof field_names / sizeof *field_names; i++) {
        lua_pushstring(L, field_names[i]);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &field_names[i]);
    }
}

void vlock_reply_push_error(lua_State *L, const char *text, const char *outcome)
{
    push_error(L, text, strlen(text), outcome);
}

static void push_array(lua_State *L, const redisReply *reply, bool is_resp3)
{
    lua_createtable(L, (int)reply->elements, 0);
    for (size_t i = 0; i < reply->elements; i++) {
        vlock_reply_push(L, reply->element[i], is_resp3);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

#ifdef REDIS_REPLY_MAP
/* Whether the value at this index can be a key of a table: a null cannot, nor what is no number. */
static bool can_be_key(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TNUMBER)
        return !lua_isnil(L, index);
    lua_Number number = lua_tonumber(L, index);
    return number == number;
}

/* Sets the key below the top of the stack to the value on top, in the table below; takes both away.
 * What can be no key is left out. */
static void set_field(lua_State *L)
{
    if (can_be_key(L, -2))
        lua_rawset(L, -3);
    else
        lua_pop(L, 2);
}

/* A RESP3 aggregate as Redis shows it to scripts: {map = {…}}, {set = {member = true …}}. */
static void push_map(lua_State *L, const redisReply *reply, bool is_resp3)
{
    lua_createtable(L, 0, 1);
    lua_createtable(L, 0, (int)(reply->elements / 2));
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        vlock_reply_push(L, reply->element[i], is_resp3);
        vlock_reply_push(L, reply->element[i + 1], is_resp3);
        set_field(L);
    }
    lua_setfield(L, -2, "map");
}

static void push_set(lua_State *L, const redisReply *reply, bool is_resp3)
{
    lua_createtable(L, 0, 1);
    lua_createtable(L, 0, (int)reply->elements);
    for (size_t i = 0; i < reply->elements; i++) {
        vlock_reply_push(L, reply->element[i], is_resp3);
        lua_pushboolean(L, 1);
        set_field(L);
    }
    lua_setfield(L, -2, "set");
}

static void push_verbatim(lua_State *L, const redisReply *reply)
{
    lua_createtable(L, 0, 1);
    lua_createtable(L, 0, 2);
    lua_pushlstring(L, reply->str, reply->len);
    lua_setfield(L, -2, "string");
    lua_pushlstring(L, reply->vtype, strnlen(reply->vtype, 3));
    lua_setfield(L, -2, "format");
    lua_setfield(L, -2, "verbatim_string");
}
#endif

static void push_tagged(lua_State *L, const char *tag, const redisReply *reply)
{
    lua_createtable(L, 0, 1);
    lua_pushlstring(L, reply->str, reply->len);
    lua_setfield(L, -2, tag);
}

void vlock_reply_push(lua_State *L, const redisReply *reply, bool is_resp3)
{
    luaL_checkstack(L, 6, "a reply is nested too deeply");
    switch (reply->type) {
    case REDIS_REPLY_STRING:
        lua_pushlstring(L, reply->str, reply->len);
        break;
    case REDIS_REPLY_INTEGER:
        lua_pushinteger(L, reply->integer);
        break;
    case REDIS_REPLY_STATUS:
        push_tagged(L, "ok", reply);
        break;
    case REDIS_REPLY_ERROR:
        push_error(L, reply->str, reply->len, NULL);
        break;
    case REDIS_REPLY_ARRAY:
        push_array(L, reply, is_resp3);
        break;
#ifdef REDIS_REPLY_MAP
    case REDIS_REPLY_DOUBLE:
        lua_createtable(L, 0, 1);
        lua_pushnumber(L, reply->dval);
        lua_setfield(L, -2, "double");
        break;
    case REDIS_REPLY_BOOL:
        lua_pushboolean(L, reply->integer != 0);
        break;
    case REDIS_REPLY_MAP:
        push_map(L, reply, is_resp3);
        break;
    case REDIS_REPLY_SET:
        push_set(L, reply, is_resp3);
        break;
    case REDIS_REPLY_PUSH:
        push_array(L, reply, is_resp3);
        break;
    case REDIS_REPLY_BIGNUM:
        push_tagged(L, "big_number", reply);
        break;
    case REDIS_REPLY_VERB:
        push_verbatim(L, reply);
        break;
#endif
    default:
        if (is_resp3)
            lua_pushnil(L);
        else
            lua_pushboolean(L, 0);
        break;
    }
}

const char *vlock_reply_status(const redisReply *reply, size_t *length)
{
    *length = reply->len;
    return reply->type == REDIS_REPLY_STATUS ? reply->str : NULL;
}

const char *vlock_reply_error(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ERROR ? reply->str : NULL;
}

/* ---- commands ---- */

/* Writes the digits of a number so that they end before `end`; where they begin. */
static char *digits_before(char *end, unsigned long long number)
{
    do
        *--end = (char)('0' + number % 10);
    while (number /= 10);
    return end;
}

#define LONGEST_HEADER 32 /* bytes: a marker, a number, the line's end */

/* Writes `marker`, `number` in decimal and the line's end; where that ends. */
static char *write_header(char *at, char marker, size_t number)
{
    char text[LONGEST_HEADER], *end = text + sizeof text, *digits = digits_before(end, number);
    *at++ = marker;
    memcpy(at, digits, (size_t)(end - digits));
    at += end - digits;
    memcpy(at, "\r\n", 2);
    return at + 2;
}

/* Room for so many bytes behind what stands in the buffer. */
static char *room_for(lua_State *L, struct vlock_buffer *buffer, size_t count)
{
    if (vlock_buffer_reserve(buffer, count) != 0)
        luaL_error(L, "out of memory");
    return buffer->data + buffer->length;
}

/* The room up to here has been written. */
static void wrote_until(struct vlock_buffer *buffer, const char *at)
{
    buffer->length = (size_t)(at - buffer->data);
}

#define NO_ARGUMENT "Lua redis lib command arguments must be strings or integers"

char *vlock_reply_write_word(char *at, const char *bytes, size_t length)
{
    at = write_header(at, '$', length);
    memcpy(at, bytes, length);
    memcpy(at + length, "\r\n", 3);
    return at + length + 2;
}

char *vlock_reply_write_number(char *at, int64_t number)
{
    char room[VLOCK_REPLY_WORD], *end = room + sizeof room;
    char *digits = digits_before(end, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
    if (number < 0)
        *--digits = '-';
    return vlock_reply_write_word(at, digits, (size_t)(end - digits));
}

/* Numbers travel as Redis' own scripts send them: whole ones in digits, others with 17 significant
 * digits. The text stands in `room`; its length is stored. */
static const char *number_text(lua_State *L, int index, char room[64], size_t *length)
{
    int is_whole;
    lua_Integer whole = lua_tointegerx(L, index, &is_whole);
    if (!is_whole) {
        *length = (size_t)snprintf(room, 64, "%.17g", (double)lua_tonumber(L, index));
        return room;
    }
    char *at = digits_before(room + 64,
                             whole < 0 ? 0 - (unsigned long long)whole : (unsigned long long)whole);
    if (whole < 0)
        *--at = '-';
    *length = (size_t)(room + 64 - at);
    return at;
}

void vlock_reply_push_words(lua_State *L, int first, int last)
{
    lua_createtable(L, last - first + 1, 0);
    for (int i = first; i <= last; i++) {
        char room[64];
        size_t length;
        int type = lua_type(L, i);
        if (type == LUA_TSTRING) {
            lua_pushvalue(L, i);
        } else if (type == LUA_TNUMBER) {
            const char *bytes = number_text(L, i, room, &length);
            lua_pushlstring(L, bytes, length);
        } else {
            luaL_error(L, NO_ARGUMENT);
        }
        lua_rawseti(L, -2, i - first + 1);
    }
}

void vlock_reply_encode_command(lua_State *L, int first, int last, struct vlock_buffer *buffer,
                                const char *origin)
{
    if (last < first)
        luaL_error(L, "Please specify at least one argument for this %s call", origin);
    wrote_until(buffer,
                write_header(room_for(L, buffer, LONGEST_HEADER), '*', (size_t)(last - first + 1)));
    for (int i = first; i <= last; i++) {
        char room[64];
        const char *bytes = NULL;
        size_t length = 0;
        int type = lua_type(L, i);
        if (type == LUA_TSTRING)
            bytes = lua_tolstring(L, i, &length);
        else if (type == LUA_TNUMBER)
            bytes = number_text(L, i, room, &length);
        else
            luaL_error(L, NO_ARGUMENT);
        char *at = room_for(L, buffer, length + VLOCK_REPLY_WORD);
        wrote_until(buffer, vlock_reply_write_word(at, bytes, length));
    }
}

/* ---- what a script returned, as a reply ---- */

static struct vlock_reply *new_reply(enum vlock_reply_type type)
{
    struct vlock_reply *reply = calloc(1, sizeof *reply);
    if (reply)
        reply->type = type;
    return reply;
}

static struct vlock_reply *text_reply(enum vlock_reply_type type, const char *bytes, size_t length)
{
    struct vlock_reply *reply = new_reply(type);
    if (!reply)
        return NULL;
    reply->string = malloc(length + 1);
    if (!reply->string) {
        free(reply);
        return NULL;
    }
    memcpy(reply->string, bytes, length);
    reply->string[length] = '\0';
    reply->length = length;
    return reply;
}

static struct vlock_reply *integer_reply(long long integer)
{
    struct vlock_reply *reply = new_reply(VLOCK_REPLY_INTEGER);
    if (reply)
        reply->integer = integer;
    return reply;
}

static long long truncated(double number)
{
    if (isnan(number))
        return 0;
    if (number >= 9223372036854775807.0)
        return 9223372036854775807LL;
    if (number <= -9223372036854775808.0)
        return -9223372036854775807LL - 1;
    return (long long)number;
}

static struct vlock_reply *from_lua(lua_State *L, int index, int depth);

/* Raw access, without metamethods: nothing in here may raise, for want of memory either, or run the
 * script's code. */
static int raw_field(lua_State *L, int index, enum field field)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &field_names[field]);
    return lua_rawget(L, index);
}

static struct vlock_reply *tagged_reply(lua_State *L, int index, enum field tag,
                                        enum vlock_reply_type type)
{
    struct vlock_reply *reply = NULL;
    if (raw_field(L, index, tag) == LUA_TSTRING) {
        size_t length = 0;
        const char *bytes = lua_tolstring(L, -1, &length);
        reply = text_reply(type, bytes, length);
        if (reply)
            for (size_t i = 0; i < length; i++)
                if (reply->string[i] == '\r' || reply->string[i] == '\n')
                    reply->string[i] = ' '; /* a line of the protocol */
    }
    lua_pop(L, 1);
    return reply;
}

static bool add_element(struct vlock_reply *array, struct vlock_reply *element)
{
    if (!element)
        return false;
    if ((array->elements & (array->elements + 1)) == 0) { /* 0, 1, 3, 7 …: the room is used up */
        struct vlock_reply **grown =
            realloc(array->element, (array->elements * 2 + 1) * sizeof *grown);
        if (!grown) {
            vlock_reply_free(element);
            return false;
        }
        array->element = grown;
    }
    array->element[array->elements++] = element;
    return true;
}

static struct vlock_reply *array_reply(lua_State *L, int index, int depth)
{
    struct vlock_reply *array = new_reply(VLOCK_REPLY_ARRAY);
    if (!array)
        return NULL;
    for (lua_Integer i = 1;; i++) {
        bool ended = lua_rawgeti(L, index, i) == LUA_TNIL;
        bool added = ended || add_element(array, from_lua(L, lua_gettop(L), depth + 1));
        lua_pop(L, 1);
        if (!added) {
            vlock_reply_free(array);
            return NULL;
        }
        if (ended)
            return array;
    }
}

/* {map = {key = value …}} and {set = {member = true …}}, flattened to an array as RESP2 sends them.
 * NULL and *found false: the table is no such thing. */
static struct vlock_reply *aggregate_reply(lua_State *L, int index, enum field tag,
                                           bool with_values, int depth, bool *found)
{
    *found = raw_field(L, index, tag) == LUA_TTABLE;
    if (!*found) {
        lua_pop(L, 1);
        return NULL;
    }
    int inner = lua_gettop(L);
    struct vlock_reply *array = new_reply(VLOCK_REPLY_ARRAY);
    lua_pushnil(L);
    while (array && lua_next(L, inner)) {
        bool added = add_element(array, from_lua(L, lua_gettop(L) - 1, depth + 1)) &&
                     (!with_values || add_element(array, from_lua(L, lua_gettop(L), depth + 1)));
        if (!added) {
            vlock_reply_free(array);
            array = NULL;
        }
        lua_pop(L, 1);
    }
    lua_settop(L, inner - 1);
    return array;
}

/* Redis' order of looking at a table's fields. */
static struct vlock_reply *table_reply(lua_State *L, int index, int depth)
{
    struct vlock_reply *reply;
    bool found;
    if ((reply = tagged_reply(L, index, FIELD_ERR, VLOCK_REPLY_ERROR)) ||
        (reply = tagged_reply(L, index, FIELD_OK, VLOCK_REPLY_STATUS)))
        return reply;
    if (raw_field(L, index, FIELD_DOUBLE) == LUA_TNUMBER) {
        char text[64];
        int length = snprintf(text, sizeof text, "%.17g", (double)lua_tonumber(L, -1));
        lua_pop(L, 1);
        return text_reply(VLOCK_REPLY_STRING, text, (size_t)length);
    }
    lua_pop(L, 1);
    if ((reply = aggregate_reply(L, index, FIELD_MAP, true, depth, &found)), found)
        return reply;
    if ((reply = aggregate_reply(L, index, FIELD_SET, false, depth, &found)), found)
        return reply;
    if ((reply = tagged_reply(L, index, FIELD_BIG_NUMBER, VLOCK_REPLY_STRING)))
        return reply;
    if (raw_field(L, index, FIELD_VERBATIM) == LUA_TTABLE) {
        int inner = lua_gettop(L);
        size_t length = 0;
        if (raw_field(L, inner, FIELD_STRING) == LUA_TSTRING) {
            const char *bytes = lua_tolstring(L, -1, &length);
            reply = text_reply(VLOCK_REPLY_STRING, bytes, length);
            lua_pop(L, 2);
            return reply;
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return array_reply(L, index, depth);
}

static struct vlock_reply *from_lua(lua_State *L, int index, int depth)
{
    size_t length;
    const char *bytes;
    if (depth > DEPTH_LIMIT || !lua_checkstack(L, 8))
        return NULL;
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        bytes = lua_tolstring(L, index, &length);
        return text_reply(VLOCK_REPLY_STRING, bytes, length);
    case LUA_TBOOLEAN:
        return lua_toboolean(L, index) ? integer_reply(1) : new_reply(VLOCK_REPLY_NIL);
    case LUA_TNUMBER:
        return integer_reply(lua_isinteger(L, index) ? (long long)lua_tointeger(L, index)
                                                     : truncated(lua_tonumber(L, index)));
    case LUA_TTABLE:
        return table_reply(L, index, depth);
    default:
        return new_reply(VLOCK_REPLY_NIL);
    }
}

struct vlock_reply *vlock_reply_from_lua(lua_State *L, int index)
{
    return from_lua(L, lua_absindex(L, index), 0);
}

void vlock_reply_free(struct vlock_reply *reply)
{
    if (!reply)
        return;
    for (size_t i = 0; i < reply->elements; i++)
        vlock_reply_free(reply->element[i]);
    free(reply->element);
    free(reply->string);
    free(reply);
}
