/* `vlock.sim_core`, for lua/vlock/sim: worlds of simulations, and the server's side of them. */
#ifndef VLOCK_LIB_SIM_H
#define VLOCK_LIB_SIM_H

#include <lua.h>

/* Pushes the library's table. */
int vlock_lib_sim_open(lua_State *L);

#endif
