/*
 * A crowd: all clients of a simulated register at once, without a task for each. A client is some
 * 250 bytes here, and its policy where it has had a conflict; an event of the network costs a
 * fraction of a microsecond, a conflict what its policy takes.
 *
 * It does what sessions, the update loop and the lab's workers do in Lua (lua/vlock/lab/run/,
 * lua/vlock/cell/update.lua), draw for draw, so that a run comes to the same figures either way,
 * but for what happens at exactly the same instant. It knows only what lua/vlock/lab/run/crowd.lua
 * asks it for: the default update, `retry` and `backoff`, and a network that loses nothing. Where
 * it meets something else on its way, such as a policy that wants to wait, it is unsuited, and the
 * run has to begin anew without it.
 */
#ifndef VLOCK_CROWD_H
#define VLOCK_CROWD_H

#include <lua.h>

/* Makes the type of crowds: once, before all else in here. */
void vlock_crowd_register(lua_State *L);

/* Pushes the crowd that is described by the table at slot 2, in the world at slot 1. May raise. */
void vlock_crowd_push(lua_State *L);

#endif
