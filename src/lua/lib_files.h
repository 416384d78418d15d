/*
 * vlock.files: what Lua's io library does not tell of files, its open, popen and tmpfile so that
 * programs which are started inherit none of their descriptors, and the Lua files that are built
 * in.
 */
#ifndef VLOCK_LIB_FILES_H
#define VLOCK_LIB_FILES_H

#include <lua.h>

/* Pushes the library's table. */
int vlock_lib_files_open(lua_State *L);

#endif
