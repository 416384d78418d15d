/* `vlock.core`: see lib_vlock.h. */
#include "lib_vlock.h"

#include <dirent.h>
#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block.h"
#include "clock.h"
#include "embedded.h"
#include "nearest.h"
#include "printable.h"
#include "random.h"
#include "scheduler.h"
#include "secret.h"
#include "sha1.h"
#include "units.h"

#define SLEEP_LIMIT_SECONDS 1e9

/* ---- time ---- */

/* now(): seconds on a clock that never goes back; only differences mean something. */
static int l_now(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)vlock_clock_now() / VLOCK_NS_PER_SECOND);
    return 1;
}

/* time(): seconds since 1970. */
static int l_time(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)vlock_clock_wall() / VLOCK_NS_PER_SECOND);
    return 1;
}

static int slept(lua_State *L, int status, lua_KContext context)
{
    (void)L, (void)status, (void)context;
    return 0;
}

/* sleep(seconds): other tasks run meanwhile. 0 lets them run once. */
static int l_sleep(lua_State *L)
{
    lua_Number seconds = luaL_checknumber(L, 1);
    if (!(seconds >= 0 && seconds <= SLEEP_LIMIT_SECONDS))
        return luaL_error(L, "vlock.sleep: %f is no number of seconds from 0 to 1e9", seconds);
    struct vlock_scheduler *scheduler = vlock_scheduler_of(L);
    if (vlock_block_is_needed(scheduler, L, "vlock.sleep"))
        return vlock_block_call(scheduler, L, l_sleep);
    struct vlock_task *task = vlock_scheduler_current(scheduler);
    vlock_task_wake_at(task, vlock_clock_now() + (int64_t)(seconds * VLOCK_NS_PER_SECOND));
    return vlock_scheduler_park(L, 0, slept);
}

/* ---- tasks ---- */

/* spawn(function, …): runs it as a task of its own, from the next turn on; returns its handle, which has :join(). */
static int l_spawn(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (!vlock_scheduler_current(vlock_scheduler_of(L)))
        return luaL_error(L, "vlock.spawn outside of a task: nothing would run it; vlock.run(function) runs one, and all that it spawns");
    vlock_scheduler_spawn(L, lua_gettop(L) - 1);
    return 1;
}

/* task(): the handle of the running task; nil outside of tasks. */
static int l_task(lua_State *L)
{
    vlock_task_push_current(L);
    return 1;
}

/* closing(why or nil): why variables are closed from here on, for errors of those that want to wait; a text that is never collected. */
static int l_closing(lua_State *L)
{
    vlock_scheduler_set_closing(vlock_scheduler_of(L), luaL_optstring(L, 1, NULL));
    return 0;
}

/* is_alive(handle): whether that task has not ended yet. */
static int l_is_alive(lua_State *L)
{
    lua_pushboolean(L, vlock_task_is_alive(L, 1));
    return 1;
}

static int l_on_interrupt(lua_State *L)
{
    if (!lua_isnoneornil(L, 1))
        luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    vlock_scheduler_on_interrupt(L);
    return 0;
}

/* watch(): code of this run that never waits is an error from now on. */
static int l_watch(lua_State *L)
{
    vlock_scheduler_watch(vlock_scheduler_of(L), true);
    return 0;
}

static int l_tag(lua_State *L)
{
    vlock_scheduler_push_tag(L);
    return 1;
}

static int l_check_can_wait(lua_State *L)
{
    vlock_scheduler_check_can_wait(vlock_scheduler_of(L), L, luaL_checkstring(L, 1));
    return 0;
}

/* ---- random numbers ---- */

static int l_unit(lua_State *L)
{
    lua_pushnumber(L, vlock_random_unit(lua_touserdata(L, lua_upvalueindex(1))));
    return 1;
}

static void push_stream(lua_State *L, uint64_t seed, uint64_t index)
{
    struct vlock_random *random = lua_newuserdatauv(L, sizeof *random, 0);
    vlock_random_seed(random, seed, index);
    lua_pushcclosure(L, l_unit, 1);
}

/* stream(seed, index): a function that returns uniform numbers in [0,1), the same ones for the same seed and index. */
static int l_stream(lua_State *L)
{
    push_stream(L, (uint64_t)luaL_checkinteger(L, 1), (uint64_t)luaL_checkinteger(L, 2));
    return 1;
}

/* entropy(n): n bytes from the system. */
static int l_entropy(lua_State *L)
{
    char bytes[256];
    lua_Integer count = luaL_checkinteger(L, 1);
    luaL_argcheck(L, count >= 0 && count <= (lua_Integer)sizeof bytes, 1, "0 to 256 bytes");
    if (vlock_random_entropy(bytes, (size_t)count) != 0)
        return luaL_error(L, "the system gives no random bytes");
    lua_pushlstring(L, bytes, (size_t)count);
    return 1;
}

/* ---- words and numbers ---- */

static int push_failure(lua_State *L, const struct vlock_error *error)
{
    lua_pushnil(L);
    lua_pushstring(L, error->message);
    return 2;
}

/* duration("2ms"): seconds, or nil and a message. */
static int l_duration(lua_State *L)
{
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    int64_t ns;
    struct vlock_error error;
    if (vlock_units_duration(text, length, &ns, &error) != 0)
        return push_failure(L, &error);
    lua_pushnumber(L, (lua_Number)ns / VLOCK_NS_PER_SECOND);
    return 1;
}

/* count("10k"): a number, an integer where it is whole; or nil and a message. */
static int l_count(lua_State *L)
{
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    double count;
    struct vlock_error error;
    if (vlock_units_count(text, length, &count, &error) != 0)
        return push_failure(L, &error);
    if (count == floor(count) && fabs(count) <= 9007199254740992.0)
        lua_pushinteger(L, (lua_Integer)count);
    else
        lua_pushnumber(L, count);
    return 1;
}

static int l_format_duration(lua_State *L)
{
    char text[24];
    lua_Number seconds = luaL_checknumber(L, 1);
    luaL_argcheck(L, fabs(seconds) < 9e9, 1, "too long for a duration");
    vlock_units_format_duration((int64_t)llround(seconds * VLOCK_NS_PER_SECOND), text);
    lua_pushstring(L, text);
    return 1;
}

/* nearest(word, list): the word of the list that was probably meant, or nil. */
static int l_nearest(lua_State *L)
{
    const char *word = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_Integer count = luaL_len(L, 2);
    const char **known = lua_newuserdatauv(L, sizeof *known * (size_t)(count + 1), 0);
    luaL_checkstack(L, (int)count + 2, "too many words");
    for (lua_Integer i = 0; i < count; i++) { /* the strings stay on the stack while they are compared */
        lua_geti(L, 2, i + 1);
        known[i] = luaL_checkstring(L, -1);
    }
    lua_pushstring(L, vlock_nearest(word, known, (size_t)count));
    return 1;
}

/* printable(text): what a terminal may be sent of it: src/printable.h. */
static int l_printable(lua_State *L)
{
    size_t length, taken;
    const char *text = luaL_checklstring(L, 1, &length);
    char shown[VLOCK_PRINTABLE_SIZE];
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    for (size_t at = 0; at < length; at += taken) {
        taken = vlock_printable_step(text + at, length - at, shown);
        luaL_addstring(&buffer, shown);
    }
    luaL_pushresult(&buffer);
    return 1;
}

/* hidden(text): *** in place of the passwords of URLs in it: src/secret.h. */
static int l_hidden(lua_State *L)
{
    size_t length, done = 0, at = 0, count;
    const char *text = luaL_checklstring(L, 1, &length);
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    for (; vlock_secret_find(text, length, &at, &count); done = at += count) {
        luaL_addlstring(&buffer, text + done, at - done);
        luaL_addstring(&buffer, "***");
    }
    luaL_addlstring(&buffer, text + done, length - done);
    luaL_pushresult(&buffer);
    return 1;
}

static int l_sha1hex(lua_State *L)
{
    size_t length;
    char hex[41];
    const char *bytes = luaL_checklstring(L, 1, &length);
    vlock_sha1_hex(bytes, length, hex);
    lua_pushlstring(L, hex, 40);
    return 1;
}

/* ---- files ---- */

/* source("backoff/full_jitter.lua"): the text of a built-in file, or nil. */
static int l_source(lua_State *L)
{
    const struct vlock_embedded *file = vlock_embedded_find(luaL_checkstring(L, 1));
    if (!file)
        return 0;
    lua_pushlstring(L, (const char *)file->data, file->length);
    return 1;
}

/* sources(): the names of the built-in files, sorted. */
static int l_sources(lua_State *L)
{
    lua_createtable(L, (int)vlock_embedded_count, 0);
    for (size_t i = 0; i < vlock_embedded_count; i++) {
        lua_pushstring(L, vlock_embedded_files[i].name);
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

/* files(folder): the names of the *.lua files in it, sorted; nil where there is no such folder. */
static int l_files(lua_State *L)
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

int vlock_lib_vlock_open(lua_State *L, uint64_t seed)
{
    static const luaL_Reg functions[] = {
        {"now", l_now},
        {"time", l_time},
        {"sleep", l_sleep},
        {"spawn", l_spawn},
        {"run", vlock_block_run},
        {"task", l_task},
        {"is_alive", l_is_alive},
        {"closing", l_closing},
        {"on_interrupt", l_on_interrupt},
        {"watch", l_watch},
        {"resume", vlock_scheduler_resume},
        {"tag", l_tag},
        {"check_can_wait", l_check_can_wait},
        {"stream", l_stream},
        {"entropy", l_entropy},
        {"duration", l_duration},
        {"count", l_count},
        {"format_duration", l_format_duration},
        {"nearest", l_nearest},
        {"printable", l_printable},
        {"hidden", l_hidden},
        {"sha1hex", l_sha1hex},
        {"source", l_source},
        {"sources", l_sources},
        {"files", l_files},
        {"make_folder", l_make_folder},
        {"is_terminal", l_is_terminal},
        {NULL, NULL},
    };
    luaL_newlib(L, functions);
    lua_pushliteral(L, VLOCK_SHARE_DIR);
    lua_setfield(L, -2, "share_folder");
    lua_pushinteger(L, (lua_Integer)seed);
    lua_setfield(L, -2, "seed");
    push_stream(L, seed, 0);
    lua_setfield(L, -2, "random");
    return 1;
}
