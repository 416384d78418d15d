/*
 * The way of a write on what is kept of a cell (kept.h) by which nobody is disturbed: sent, waited
 * for, found committed by the reply that says so, and kept as the next base, without a Lua table or
 * string being made. Any other answer is handed to lua/vlock/cell/attempt.lua as it came: what it
 * means is said there and nowhere else.
 */
#ifndef VLOCK_KEPT_WRITE_H
#define VLOCK_KEPT_WRITE_H

#include <lua.h>

/* Adds write and recorded to the table of vlock_kept_push_functions(), on top of the stack. */
void vlock_kept_write_add_functions(lua_State *L);

#endif
