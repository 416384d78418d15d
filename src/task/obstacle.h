/* What keeps Lua code from waiting: the C function, among those it was called from, across which
 * Lua cannot yield. */
#ifndef VLOCK_OBSTACLE_H
#define VLOCK_OBSTACLE_H

#include <lua.h>

/* Raises, on L, the error that `what` cannot wait, with the name of the library function in the way
 * on the stack of `blocked`, which may be L itself. closing: why variables are closed just now, as
 * "whose task was ended"; NULL: they are not. */
void vlock_obstacle_raise(lua_State *L, lua_State *blocked, const char *what, const char *closing);

#endif
