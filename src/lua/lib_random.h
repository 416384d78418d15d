/* Random numbers for our own Lua: fields of `vlock.core`. */
#ifndef VLOCK_LIB_RANDOM_H
#define VLOCK_LIB_RANDOM_H

#include <stdint.h>

#include <lua.h>

/* Adds them to the table on top of the stack: stream(seed, index) entropy(bytes), the seed, and
 * random(), the first stream of it. */
void vlock_lib_random_add(lua_State *L, uint64_t seed);

#endif
