/* Words and numbers as people write and read them, for our own Lua: fields of `vlock.core`. */
#ifndef VLOCK_LIB_TEXT_H
#define VLOCK_LIB_TEXT_H

#include <lua.h>

/* Adds them to the table on top of the stack: duration(text) count(text) format_duration(seconds)
 * nearest(word, list) printable(text) hidden(text) sha1hex(text) */
void vlock_lib_text_add(lua_State *L);

#endif
