/* `vlock.lab_core`: histograms and chains of commits for the lab, bindings only. */
#ifndef VLOCK_LIB_LAB_H
#define VLOCK_LIB_LAB_H

#include <lua.h>

struct vlock_histogram;

/* Pushes the library's table. */
int vlock_lib_lab_open(lua_State *L);

/* The histogram at this index; raises where there is none. Its userdata's. */
struct vlock_histogram *vlock_lib_lab_histogram(lua_State *L, int index);

#endif
