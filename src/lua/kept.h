/*
 * What a session keeps of a cell, as a Lua value: the state that its last commit made, whether the
 * next update can begin with it, and how much others were seen at work. Small: there are as many as
 * writers.
 */
#ifndef VLOCK_KEPT_H
#define VLOCK_KEPT_H

#include <lua.h>

/* Pushes the table of its functions. */
void vlock_kept_push_functions(lua_State *L);

#endif
