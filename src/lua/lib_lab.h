/* `vlock.lab_core`: histograms and chains of commits for the lab, bindings only. */
#ifndef VLOCK_LIB_LAB_H
#define VLOCK_LIB_LAB_H

#include <lua.h>

/* Pushes the library's table. */
int vlock_lib_lab_open(lua_State *L);

#endif
