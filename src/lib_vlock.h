/*
 * `vlock.core`: time, tasks, random numbers, units and the built-in files, for what is written in Lua in lua/vlock/. Bindings only:
 * each function is a room of its own on a lower floor.
 */
#ifndef VLOCK_LIB_VLOCK_H
#define VLOCK_LIB_VLOCK_H

#include <lua.h>
#include <stdint.h>

/* Pushes the library's table. `seed` starts the streams of random numbers. */
int vlock_lib_vlock_open(lua_State *L, uint64_t seed);

#endif
