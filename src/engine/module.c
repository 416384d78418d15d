/*
 * The module `vlock` of a stock Lua 5.4: require "vlock". The engine is a guest in the program's
 * Lua state; what makes a module of it is lua/vlock/engine/module.lua. Built as vlock.so, which
 * holds all of libvlock, and takes Lua from the program that loads it.
 */
#include <stdio.h>

#include <lauxlib.h>

#include "lua/built_in.h"
#include "engine/engine.h"

VLOCK_API int luaopen_vlock(lua_State *L);

static int l_engine_gc(lua_State *L)
{
    vlock_engine **engine = lua_touserdata(L, 1);
    vlock_close(*engine);
    *engine = NULL;
    return 0;
}

/* Pushes a place for the engine, empty. It is finalized after all that the engine will make. */
static vlock_engine **push_place(lua_State *L)
{
    vlock_engine **engine = lua_newuserdatauv(L, sizeof *engine, 0);
    *engine = NULL;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_engine_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    return engine;
}

static void print_log(void *user, enum vlock_log_level level, const char *message)
{
    (void)user;
    if (level >= VLOCK_LOG_NOTICE)
        fprintf(stderr, "%s\n", message);
}

/* A field of the table at index 1, which stays there: valid as long as the table. */
static const char *text_field(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    const char *text = lua_tostring(L, -1);
    lua_pop(L, 1);
    return text;
}

static double number_field(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    double number = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return number;
}

/* open(options): the C libraries by their names. The options are those of struct vlock_options, and
 * of the right types. */
static int l_open(lua_State *L)
{
    struct vlock_error error;
    luaL_checktype(L, 1, LUA_TTABLE);
    struct vlock_options options = {
        .url = text_field(L, "url"),
        .password = text_field(L, "password"),
        .connect_timeout = number_field(L, "connect_timeout"),
        .command_timeout = number_field(L, "command_timeout"),
        .busy_poll = number_field(L, "busy_poll"),
        .tls_ca = text_field(L, "tls_ca"),
        .tls_certificate = text_field(L, "tls_certificate"),
        .tls_key = text_field(L, "tls_key"),
        .tls_server_name = text_field(L, "tls_server_name"),
        .log = print_log,
    };
    lua_getfield(L, 1, "private_server");
    options.private_server = lua_toboolean(L, -1);
    lua_getfield(L, 1, "tls_insecure");
    options.tls_insecure = lua_toboolean(L, -1);
    lua_getfield(L, 1, "seed");
    options.seed = (uint64_t)lua_tointeger(L, -1);

    vlock_engine **engine = push_place(L);
    lua_setfield(L, LUA_REGISTRYINDEX, "vlock.engine");
    /* Garbage may hold the descriptors that are wanting. */
    for (int attempt = 1; attempt <= 2; attempt++) {
        lua_State *thread = lua_newthread(L);
        lua_setfield(L, LUA_REGISTRYINDEX, "vlock.thread");
        *engine = vlock_engine_attach(thread, &options, &error);
        if (*engine) {
            lua_xmove(thread, L, 1);
            return 1;
        }
        lua_gc(L, LUA_GCCOLLECT);
    }
    return luaL_error(L, "%s", error.message);
}

int luaopen_vlock(lua_State *L)
{
    if (lua_getfield(L, LUA_REGISTRYINDEX, "vlock.module") != LUA_TNIL)
        return 1;
    const struct vlock_built_in *module = vlock_built_in_find("vlock/engine/module.lua");
    if (!module)
        return luaL_error(L, "vlock/engine/module.lua is not built in");
    if (luaL_loadbuffer(L, (const char *)module->data, module->length,
                        "@vlock/engine/module.lua") != LUA_OK)
        return lua_error(L);
    lua_pushcfunction(L, l_open);
    lua_call(L, 1, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, "vlock.module");
    return 1;
}
