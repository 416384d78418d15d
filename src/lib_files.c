/* What Lua's io library does not tell of files: see lib_files.h. */
#include "lib_files.h"

#include <fcntl.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *kind_of(mode_t mode)
{
    if (S_ISREG(mode))
        return "file";
    if (S_ISDIR(mode))
        return "folder";
    if (S_ISFIFO(mode))
        return "pipe";
    return "device";
}

/* identify(path): its kind, "file", "folder", "pipe" or "device", and a text that no other file has; nil where there is none. */
static int l_identify(lua_State *L)
{
    struct stat status;
    if (stat(luaL_checkstring(L, 1), &status) != 0)
        return 0;
    lua_pushstring(L, kind_of(status.st_mode));
    lua_pushfstring(L, "%I:%I", (LUAI_UACINT)status.st_dev, (LUAI_UACINT)status.st_ino);
    return 2;
}

/* real(path): where the file lies that this path leads to; nil where there is none. */
static int l_real(lua_State *L)
{
    char *path = realpath(luaL_checkstring(L, 1), NULL);
    lua_pushstring(L, path);
    free(path);
    return 1;
}

/* has_reader(path): whether somebody reads from this pipe, so that opening it does not wait. The pipe stays open until this process ends: its
 * reader is not to see an end before there is anything to read. */
static int l_has_reader(lua_State *L)
{
    lua_pushboolean(L, open(luaL_checkstring(L, 1), O_WRONLY | O_NONBLOCK | O_CLOEXEC) >= 0);
    return 1;
}

/* close_on_exec(file): programs that are started from here on do not get this open file. Returns it. */
static int l_close_on_exec(lua_State *L)
{
    luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    if (stream->closef)
        fcntl(fileno(stream->f), F_SETFD, FD_CLOEXEC);
    lua_settop(L, 1);
    return 1;
}

int vlock_lib_files_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"identify", l_identify}, {"real", l_real}, {"has_reader", l_has_reader}, {"close_on_exec", l_close_on_exec}, {NULL, NULL},
    };
    luaL_newlib(L, functions);
    return 1;
}
