/*
 * Replies between the wire and Lua, by the conversion rules that Redis documents for its own
 * scripts (https://redis.io/docs/latest/develop/programmability/lua-api/, "Data type conversion").
 *
 * Server to Lua: integer -> integer; bulk string -> string; array -> table; status -> {ok = …};
 * error -> {err = …}; null -> false. Lua to reply: string -> bulk string; number -> integer (a
 * float is truncated); true -> 1; false and nil -> null; a table with `ok` -> status, with `err` ->
 * error, with `double`, `map`, `set`, `big_number` or `verbatim_string` -> what RESP2 has for it;
 * any other table -> array that ends before its first nil.
 */
#ifndef VLOCK_REPLY_H
#define VLOCK_REPLY_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vlock_reply.h"

struct redisReply;
struct vlock_buffer;

/* Pushes one value. A null is false, or nil where the reply came by RESP3, as in Redis. May raise a
 * Lua error (out of memory): call it protected. */
void vlock_reply_push(lua_State *L, const struct redisReply *reply, bool is_resp3);

/* To be called once in a Lua state, before all else in here. May raise. */
void vlock_reply_register(lua_State *L);

/* The text of a status, as long as the reply is there; NULL where it is none. */
const char *vlock_reply_status(const struct redisReply *reply, size_t *length);

/* The text of an error; as above. */
const char *vlock_reply_error(const struct redisReply *reply);

/* Pushes an error as scripts see it: a table {err = text} that prints as its text. `outcome` NULL,
 * or what is stored in the table's field `outcome`. May raise. */
void vlock_reply_push_error(lua_State *L, const char *text, const char *outcome);

/* Appends the command that stands in L's stack slots first … last to `buffer`, as RESP, with a NUL
 * behind it that its length does not count. Strings and numbers only: raises a Lua error, in Redis'
 * words, at anything else, and where there is nothing. `origin` names the function in the
 * message. */
void vlock_reply_encode_command(lua_State *L, int first, int last, struct vlock_buffer *buffer,
                                const char *origin);

/* What a word of a command takes beside its bytes, and more than a number takes in all. */
#define VLOCK_REPLY_WORD 48

/* Write one word of a command, and behind it the NUL that its length does not count; where the word
 * ends. */
char *vlock_reply_write_word(char *at, const char *bytes, size_t length);
char *vlock_reply_write_number(char *at, int64_t number);

/* Pushes the same as a list of the texts that would be sent. May raise, as above. */
void vlock_reply_push_words(lua_State *L, int first, int last);

/* The reply that the Lua value at `index` stands for, as a tree that the caller frees with
 * vlock_reply_free(). NULL when out of memory or nested deeper than 1000. Runs none of the script's
 * code; may raise only for lack of memory. */
struct vlock_reply *vlock_reply_from_lua(lua_State *L, int index);
void vlock_reply_free(struct vlock_reply *reply);

#endif
