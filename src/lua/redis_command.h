/* Commands on connections (redis_connection.h): sent, waited for, and how their replies reach the
 * script. */
#ifndef VLOCK_REDIS_COMMAND_H
#define VLOCK_REDIS_COMMAND_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

#include "net/link.h"

struct vlock_connection;

/* The mark (see vlock_task_await) of a commit: the text of a status is delivered as it is. */
#define VLOCK_REDIS_COMMIT 2
/* The mark of a command whose reply is RESP3's. */
#define VLOCK_REDIS_RESP3 1

/* The callback of commands: user, the task that waits, is woken with the outcome and the reply, as
 * a Lua value, or the message on top of its stack. */
void vlock_redis_command_arrive(void *user, enum vlock_link_outcome outcome,
                                const struct redisReply *reply, const char *message);

/* Whether this status says that the write with this token is committed: "OK STAMP", of which the
 * token is the end. */
bool vlock_redis_is_commit(const char *status, size_t length, const char *token,
                           size_t token_length);

/* The slot of the command in the stack slots 2 … last, where slots matter; *crossing: its keys are
 * in several, and the error that says so is pushed. */
int vlock_redis_command_slot(lua_State *L, const struct vlock_connection *connection, int last,
                             bool *crossing);

/* Methods of a connection: call and pcall. */
extern const luaL_Reg vlock_redis_command_methods[];
/* Adds call, pcall and commit, on the present connection, and told to the table on top of the
 * stack. */
void vlock_redis_command_add_functions(lua_State *L);

/* Raises, or returns as pcall does, an error with this text. */
int vlock_redis_give_error(lua_State *L, const char *text, bool raises);

#endif
