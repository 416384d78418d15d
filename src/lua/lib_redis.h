/*
 * The `redis` library of scripts, as far as it is C: commands on the shared connection and on
 * connections of one's own, replies, logging. What is taste is in lua/vlock/script/redis.lua.
 */
#ifndef VLOCK_LIB_REDIS_H
#define VLOCK_LIB_REDIS_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "vlock_error.h"

struct vlock_tls_context;

enum { VLOCK_LUA_LOG_DEBUG, VLOCK_LUA_LOG_VERBOSE, VLOCK_LUA_LOG_NOTICE, VLOCK_LUA_LOG_WARNING };

/* What the library asks of its engine. Owned by the engine; outlives the Lua state. */
struct vlock_redis_host {
    /* The URL of the server that scripts talk to, or with `is_private` of the engine's private
     * server, started if need be. NULL and `error` when there is none. */
    const char *(*server_url)(void *engine, bool is_private, struct vlock_error *error);
    /* For the server that scripts talk to, where its URL holds no password; or NULL. */
    const char *(*server_password)(void *engine);
    /* For URLs with TLS. NULL and `error` where there is none. */
    struct vlock_tls_context *(*tls)(void *engine, struct vlock_error *error);
    void (*log)(void *engine, int level, const char *message);
    void *engine;
    int64_t connect_timeout_ns;
    int64_t command_timeout_ns;
};

/* Pushes the library's table. */
int vlock_lib_redis_open(lua_State *L, const struct vlock_redis_host *host);

#endif
