/*
 * Waiting where no task can park: in a program that is not ours (see vlock_engine_attach() in
 * engine.h), outside of tasks, or inside of one where Lua cannot yield. What waits is run as a task
 * there, in a run inside the present one, and the loop is turned until it has ended.
 */
#ifndef VLOCK_GUEST_WAIT_H
#define VLOCK_GUEST_WAIT_H

#include <lua.h>
#include <stdbool.h>

struct vlock_scheduler;

/* Whether `what`, which wants to wait, must do so by vlock_guest_call(). Raises where it can
 * neither park nor block. */
bool vlock_guest_is_needed(struct vlock_scheduler *scheduler, lua_State *L, const char *what);

/* Calls `function` as a task, with all that is on L's stack, and blocks until it and what it
 * spawned have ended. Returns its results or raises its error, the very value. Tasks outside of it
 * stand still meanwhile. */
int vlock_guest_call(struct vlock_scheduler *scheduler, lua_State *L, lua_CFunction function);

/* run(function, …): calls it inside of a task, the present one where there is one. */
int vlock_guest_run(lua_State *L);

#endif
