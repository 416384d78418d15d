/* Files for our own Lua: see lib_files.h. */
#include "lua/lib_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lua/built_in.h"

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

/* identify(path): its kind, "file", "folder", "pipe" or "device", and a text that no other file
 * has; nil where there is none. */
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

/* has_reader(path): whether somebody reads from this pipe, so that opening it does not wait. The
 * pipe stays open until this process ends: its reader is not to see an end before there is anything
 * to read. */
static int l_has_reader(lua_State *L)
{
    lua_pushboolean(L, open(luaL_checkstring(L, 1), O_WRONLY | O_NONBLOCK | O_CLOEXEC) >= 0);
    return 1;
}

/* ---- Lua files: those that are built in, and those in a folder ---- */

/* built_in("backoff/full_jitter.lua"): the text of a built-in file, or nil. */
static int l_built_in(lua_State *L)
{
    const struct vlock_built_in *file = vlock_built_in_find(luaL_checkstring(L, 1));
    if (!file)
        return 0;
    lua_pushlstring(L, (const char *)file->data, file->length);
    return 1;
}

/* built_ins(): the names of the built-in files, sorted. */
static int l_built_ins(lua_State *L)
{
    lua_createtable(L, (int)vlock_built_in_count, 0);
    for (size_t i = 0; i < vlock_built_in_count; i++) {
        lua_pushstring(L, vlock_built_in_files[i].name);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool ends_in_lua(const char *name)
{
    size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, ".lua") == 0;
}

/* lua_files(folder): the names of the *.lua files in it, sorted; nil where there is no such
 * folder. */
static int l_lua_files(lua_State *L)
{
    DIR *list = opendir(luaL_checkstring(L, 1));
    if (!list)
        return 0;
    char **names = NULL;
    size_t count = 0;
    struct dirent *entry;
    while ((entry = readdir(list))) {
        if (!ends_in_lua(entry->d_name))
            continue;
        char **grown = realloc(names, (count + 1) * sizeof *names);
        char *copy = strdup(entry->d_name);
        if (grown)
            names = grown;
        if (!grown || !copy) {
            free(copy);
            break;
        }
        names[count++] = copy;
    }
    closedir(list);
    if (count)
        qsort(names, count, sizeof *names, compare_text);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushstring(L, names[i]);
        free(names[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    free(names);
    return 1;
}

/* make_folder(path): one level; fine where it is there already. */
static int l_make_folder(lua_State *L)
{
    lua_pushboolean(L, mkdir(luaL_checkstring(L, 1), 0777) == 0 || errno == EEXIST);
    return 1;
}

/* is_terminal(number): whether this file descriptor (1 output, 2 errors) is a terminal. */
static int l_is_terminal(lua_State *L)
{
    lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
    return 1;
}

/* ---- open, popen and tmpfile, as io has them: but no program that is started inherits what they
 * open ---- */

/* After a call that failed for want of descriptors, as errno says: collects the garbage, which may
 * hold open files. True: try once more. Keeps errno. */
static bool can_make_room(lua_State *L)
{
    int number = errno;
    if (number != EMFILE && number != ENFILE)
        return false;
    lua_gc(L, LUA_GCCOLLECT);
    errno = number;
    return true;
}

/* ---- the handle: as Lua's own library makes it, whose methods work on it ---- */

static int l_fclose(lua_State *L)
{
    luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    return luaL_fileresult(L, fclose(stream->f) == 0, NULL);
}

static int l_pclose(lua_State *L)
{
    luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    errno = 0;
    return luaL_execresult(L, pclose(stream->f));
}

static luaL_Stream *push_stream(lua_State *L)
{
    luaL_Stream *stream = lua_newuserdatauv(L, sizeof *stream, 0);
    *stream = (luaL_Stream){.closef = NULL}; /* it is closed */
    luaL_setmetatable(L, LUA_FILEHANDLE);
    return stream;
}

static int finish(lua_State *L, luaL_Stream *stream, lua_CFunction close, const char *name)
{
    if (!stream->f)
        return luaL_fileresult(L, 0, name);
    stream->closef = close;
    return 1;
}

/* ---- the functions ---- */

static bool is_mode(const char *mode)
{
    if (!*mode || !strchr("rwa", *mode))
        return false;
    mode += 1 + (mode[1] == '+');
    return strspn(mode, "b") == strlen(mode);
}

static int l_open(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1), *mode = luaL_optstring(L, 2, "r");
    luaL_argcheck(L, is_mode(mode), 2, "invalid mode");
    const char *with_exec_closed = lua_pushfstring(L, "%se", mode);
    luaL_Stream *stream = push_stream(L);
    stream->f = fopen(name, with_exec_closed);
    if (!stream->f && can_make_room(L))
        stream->f = fopen(name, with_exec_closed);
    return finish(L, stream, l_fclose, name);
}

static int l_popen(lua_State *L)
{
    const char *command = luaL_checkstring(L, 1), *mode = luaL_optstring(L, 2, "r");
    luaL_argcheck(L, strcmp(mode, "r") == 0 || strcmp(mode, "w") == 0, 2, "invalid mode");
    const char *with_exec_closed = *mode == 'r' ? "re" : "we";
    luaL_Stream *stream = push_stream(L);
    fflush(NULL);
    errno = 0;
    stream->f = popen(command, with_exec_closed);
    if (!stream->f && can_make_room(L))
        stream->f = popen(command, with_exec_closed);
    return finish(L, stream, l_pclose, command);
}

static int l_tmpfile(lua_State *L)
{
    luaL_Stream *stream = push_stream(L);
    stream->f = tmpfile();
    if (!stream->f && can_make_room(L))
        stream->f = tmpfile();
    if (stream->f)
        fcntl(fileno(stream->f), F_SETFD, FD_CLOEXEC);
    return finish(L, stream, l_fclose, NULL);
}

int vlock_lib_files_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"identify", l_identify},
        {"real", l_real},
        {"has_reader", l_has_reader},
        {"is_terminal", l_is_terminal},
        {"built_in", l_built_in},
        {"built_ins", l_built_ins},
        {"lua_files", l_lua_files},
        {"make_folder", l_make_folder},
        {"open", l_open},
        {"popen", l_popen},
        {"tmpfile", l_tmpfile},
        {NULL, NULL},
    };
    luaL_newlib(L, functions);
    lua_pushliteral(L, VLOCK_SHARE_DIR);
    lua_setfield(L, -2, "share_folder");
    return 1;
}
