/*
 * Connections as Lua values: those of a script's own, and the one that all tasks share. Their
 * commands are redis_command's; both belong to lib_redis.
 */
#ifndef VLOCK_REDIS_CONNECTION_H
#define VLOCK_REDIS_CONNECTION_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "lua/lib_redis.h"

struct vlock_link;
struct vlock_route;
struct vlock_scheduler;
struct vlock_sim_wire;
struct vlock_sim_world;

/* A userdata: the way to a server or to those of a cluster, and what its commands have made of
 * it. */
struct vlock_connection {
    struct vlock_route *route; /* NULL: it is closed, or simulated */
    /* The link that all commands go by while it has a state, and which is that of the route for
     * these keys; NULL: there is none. */
    struct vlock_link *pinned;
    struct vlock_sim_world *world; /* in the place of a route: that of a simulation; else NULL */
    struct vlock_sim_wire *wire;
    bool is_resp3;
    bool is_shared;      /* by all tasks: nothing may freeze it or change its state */
    bool is_stateful;    /* between WATCH or MULTI and their end */
    unsigned generation; /* of the link on which that state stands; 0: not there yet */
};

struct vlock_redis_library {
    const struct vlock_redis_host *host; /* NULL when the state is being closed */
    struct vlock_scheduler *scheduler;
    struct vlock_buffer command; /* the command under way to its link */
    int64_t recorded;            /* commits that kept.write has written down: see kept.h */
};

/* That of this Lua state. Raises where it is being closed. */
struct vlock_redis_library *vlock_redis_library(lua_State *L);
/* Makes it, to be called once, with the type of connections; commands: methods of theirs. */
void vlock_connection_register(lua_State *L, const struct vlock_redis_host *host,
                               const luaL_Reg *commands);
/* Adds connect, use, local_connection and resp3 to the table on top of the stack. */
void vlock_connection_add_functions(lua_State *L);

/* Pushes a connection in the simulation at this index; direct: see net/sim.h. */
void vlock_connection_push_simulated(lua_State *L, int world, bool is_direct);

/* The connection at this index; raises where there is none, or it is closed. */
struct vlock_connection *vlock_connection_check(lua_State *L, int index);
/* Pushes the connection that the running task's commands use: its own, or the shared one. */
void vlock_connection_push_present(lua_State *L, struct vlock_redis_library *library);
/* The same where it is there, open, and in no state that a command could meet, such as MULTI; else
 * NULL. What it pushes is to be left on the stack as long as the connection is used. */
struct vlock_connection *vlock_connection_at_hand(lua_State *L,
                                                  struct vlock_redis_library *library);
/* Pushes the error that says so, and why. */
void vlock_connection_push_unreachable(lua_State *L, const char *message);

#endif
