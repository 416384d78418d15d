/* vlock.files: what Lua's io library does not tell of files. */
#ifndef VLOCK_LIB_FILES_H
#define VLOCK_LIB_FILES_H

#include <lua.h>

/* Pushes the library's table. */
int vlock_lib_files_open(lua_State *L);

#endif
