/* What a Lua value is as a reply, for our own Lua: a field of `vlock.core`. */
#ifndef VLOCK_LIB_REPLY_H
#define VLOCK_LIB_REPLY_H

#include <lua.h>

/* Adds to the table on top of the stack: as_reply(value), which returns a tree of { kind, content
 * }: "nil"; "string", "status" and "error" with a text; "integer" with a number; "array" with a
 * list of such. nil where it is nested too deeply. The rules are those of reply.h. */
void vlock_lib_reply_add(lua_State *L);

#endif
