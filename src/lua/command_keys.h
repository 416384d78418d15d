/* Where the keys of a command stand, and in which slot of a cluster they are. */
#ifndef VLOCK_COMMAND_KEYS_H
#define VLOCK_COMMAND_KEYS_H

#include <lua.h>

#define VLOCK_SLOTS_CROSS (-2)

/* The slot of the keys of the command in the stack slots first … last; VLOCK_NO_SLOT where there
 * are none; VLOCK_SLOTS_CROSS where they are in several slots, and then *one and *other are stack
 * slots of two keys that are. A command that is not known has its key behind its name. May raise,
 * for lack of memory. */
int vlock_command_slot(lua_State *L, int first, int last, int *one, int *other);

#endif
