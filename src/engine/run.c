/* Runs of an engine: of a script, of a function of ours, at once or step by step. See vlock.h and
 * engine.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "engine/engine_parts.h"
#include "lua/reply.h"

static int turn_loop(vlock_engine *engine, bool waits, struct vlock_error *error)
{
    engine->is_turning = true;
    int result = vlock_scheduler_turn(engine->scheduler, waits, error);
    engine->is_turning = false;
    return result;
}

static void set_list(lua_State *L, const char *name, size_t count, const char *const *texts,
                     const size_t *sizes)
{
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushlstring(L, texts[i], sizes ? sizes[i] : strlen(texts[i]));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setglobal(L, name);
}

struct start {
    const char *source;
    size_t length;
    const char *name;
    const struct vlock_arguments *arguments;
};

/* Runs protected: returns the task's handle. */
static int l_start(lua_State *L)
{
    static const struct vlock_arguments none;
    struct start *start = lua_touserdata(L, 1);
    const struct vlock_arguments *arguments = start->arguments ? start->arguments : &none;
    set_list(L, "KEYS", arguments->key_count, arguments->keys, arguments->key_sizes);
    set_list(L, "ARGV", arguments->arg_count, arguments->args, arguments->arg_sizes);
    if (luaL_loadbuffer(L, start->source, start->length, start->name) != LUA_OK)
        return lua_error(L);
    vlock_engine_push_core(L, "script_names");
    if (!lua_setupvalue(L, -2, 1))
        lua_pop(L, 1); /* it was compiled elsewhere, and sees nothing */
    vlock_scheduler_spawn(L, 0);
    return 1;
}

/* Runs protected: 1 the engine, 2 the task's handle. */
static int l_finish(lua_State *L)
{
    struct vlock_engine *engine = lua_touserdata(L, 1);
    if (vlock_task_results(L, 2) == 0)
        lua_pushnil(L);
    struct vlock_reply *reply = vlock_reply_from_lua(L, 3);
    if (!reply)
        return luaL_error(L, "what the script returned is nested too deeply, or needs more memory "
                             "than there is");
    vlock_engine_call_out(engine, true);
    engine->callback(engine->callback_user, reply);
    vlock_engine_call_out(engine, false);
    vlock_reply_free(reply);
    return 0;
}

static int fail_with_top(vlock_engine *engine, lua_State *L, struct vlock_error *error)
{
    const char *message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    if (vlock_shortage_is_meant(L, -1))
        vlock_error_set(error, VLOCK_ERR_MEMORY, "%s",
                        vlock_scheduler_shortage(engine->scheduler));
    else
        vlock_error_set(error, VLOCK_ERR_SCRIPT, "%s",
                        message ? message : "an error that is no text");
    lua_pop(L, 1);
    return -1;
}

static int start(vlock_engine *engine, const char *source, size_t length, const char *name,
                 const struct vlock_arguments *arguments, vlock_reply_callback *callback,
                 void *user, struct vlock_error *error)
{
    lua_State *L = engine->L;
    struct start what = {source, length, name, arguments};
    if (vlock_scheduler_is_running(engine->scheduler))
        return vlock_error_set(error, VLOCK_ERR_USAGE,
                               "the engine is running already: runs do not nest");
    lua_pushcfunction(L, l_start);
    lua_pushlightuserdata(L, &what);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK)
        return fail_with_top(engine, L, error);
    engine->callback = callback;
    engine->callback_user = user;
    return vlock_scheduler_start(engine->scheduler, L, error);
}

int vlock_start(vlock_engine *engine, const char *source, size_t length, const char *name,
                const struct vlock_arguments *arguments, vlock_reply_callback *callback, void *user,
                struct vlock_error *error)
{
    if (vlock_engine_enter(engine, error) != 0)
        return -1;
    int result = start(engine, source, length, name, arguments, callback, user, error);
    vlock_engine_leave(engine);
    return result;
}

/* One turn, and the callback where it was the last. */
static int turn(vlock_engine *engine, bool waits, struct vlock_error *error)
{
    lua_State *L = engine->L;
    int result = turn_loop(engine, waits, error);
    if (result != 0)
        return result;
    if (engine->callback) {
        lua_pushcfunction(L, l_finish);
        lua_insert(L, -2);
        lua_pushlightuserdata(L, engine);
        lua_insert(L, -2);
        return lua_pcall(L, 2, 0, 0) == LUA_OK ? 0 : fail_with_top(engine, L, error);
    }
    lua_pop(L, 1);
    return 0;
}

lua_State *vlock_engine_state(vlock_engine *engine)
{
    return engine->L;
}

/* Runs protected: 1 `prepare`, 2 its argument. Returns the handle of a task. */
static int l_spawn_prepared(lua_State *L)
{
    lua_call(L, 1, LUA_MULTRET);
    vlock_scheduler_spawn(L, lua_gettop(L) - 1);
    return 1;
}

/* Runs protected: 1 `finish`, 2 its argument, 3 the task's handle. */
static int l_finish_prepared(lua_State *L)
{
    int results = vlock_task_results(L, 3);
    lua_remove(L, 3);
    lua_call(L, 1 + results, 0);
    return 0;
}

int vlock_engine_call(vlock_engine *engine, lua_CFunction prepare, lua_CFunction finish,
                      void *argument, struct vlock_error *error)
{
    lua_State *L = engine->L;
    int result;
    if (vlock_scheduler_is_running(engine->scheduler))
        return vlock_error_set(error, VLOCK_ERR_USAGE,
                               "the engine is running already: its functions do not nest");
    lua_pushcfunction(L, l_spawn_prepared);
    lua_pushcfunction(L, prepare);
    lua_pushlightuserdata(L, argument);
    if (lua_pcall(L, 2, 1, 0) != LUA_OK) {
        fail_with_top(engine, L, error);
        if (error && error->code == VLOCK_ERR_SCRIPT)
            error->code = VLOCK_ERR_USAGE;
        return -1;
    }
    engine->callback = NULL;
    if (vlock_scheduler_start(engine->scheduler, L, error) != 0)
        return -1;
    while ((result = turn_loop(engine, true, error)) == 1)
        continue;
    if (result != 0)
        return result;
    lua_pushcfunction(L, l_finish_prepared);
    lua_insert(L, -2);
    lua_pushcfunction(L, finish);
    lua_insert(L, -2);
    lua_pushlightuserdata(L, argument);
    lua_insert(L, -2);
    return lua_pcall(L, 3, 0, 0) == LUA_OK ? 0 : fail_with_top(engine, L, error);
}

int64_t vlock_engine_commands(const vlock_engine *engine)
{
    return vlock_scheduler_links(engine->scheduler)->commands;
}

bool vlock_engine_was_cut_before_sending(const vlock_engine *engine)
{
    return vlock_scheduler_was_cut_before_sending(engine->scheduler);
}

int vlock_step(vlock_engine *engine, struct vlock_error *error)
{
    int result = 0;
    if (vlock_engine_enter(engine, error) != 0)
        return -1;
    if (vlock_scheduler_is_running(engine->scheduler))
        result = turn(engine, false, error);
    else
        vlock_scheduler_idle(engine->scheduler);
    if (engine->is_closed && result == 1)
        result = vlock_error_set(error, VLOCK_ERR_INTERRUPTED, "the engine was closed");
    vlock_engine_leave(engine);
    return result;
}

int vlock_descriptor(vlock_engine *engine)
{
    return vlock_engine_is_ours(engine) ? vlock_scheduler_descriptor(engine->scheduler) : -1;
}

int vlock_run_string(vlock_engine *engine, const char *source, size_t length, const char *name,
                     const struct vlock_arguments *arguments, vlock_reply_callback *callback,
                     void *user, struct vlock_error *error)
{
    if (vlock_engine_enter(engine, error) != 0)
        return -1;
    int result = start(engine, source, length, name, arguments, callback, user, error);
    if (result == 0)
        while ((result = turn(engine, true, error)) == 1)
            continue;
    vlock_engine_leave(engine);
    return result;
}

/* The whole file, which the caller frees; NULL and `error` when it cannot be read. */
static char *read_file(const char *path, size_t *length, struct vlock_error *error)
{
    FILE *file = fopen(path, "rbe");
    char *text = NULL;
    size_t capacity = 0;
    *length = 0;
    while (file) {
        if (*length == capacity) {
            capacity = capacity ? capacity * 2 : 16384;
            char *grown = realloc(text, capacity);
            if (!grown) {
                errno = ENOMEM;
                break;
            }
            text = grown;
        }
        size_t got = fread(text + *length, 1, capacity - *length, file);
        *length += got;
        if (got == 0)
            break;
    }
    if (file && feof(file)) {
        fclose(file);
        return text;
    }
    vlock_error_set(error, VLOCK_ERR_USAGE, "cannot read %s: %s", path, strerror(errno));
    if (file)
        fclose(file);
    free(text);
    return NULL;
}

int vlock_run_file(vlock_engine *engine, const char *path, const struct vlock_arguments *arguments,
                   vlock_reply_callback *callback, void *user, struct vlock_error *error)
{
    char name[4200];
    size_t length;
    char *text = read_file(path, &length, error);
    if (!text)
        return -1;
    /* The first line may be for the system: #!/usr/bin/env vlockrun. The line's end stays, so that
     * line numbers are right. */
    const char *source = text;
    size_t skipped = 0;
    if (length && text[0] == '#')
        while (skipped < length && text[skipped] != '\n')
            skipped++;
    snprintf(name, sizeof name, "@%s", path);
    int result = vlock_run_string(engine, source + skipped, length - skipped, name, arguments,
                                  callback, user, error);
    free(text);
    return result;
}
