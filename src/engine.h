/* What the rooms behind vlock.h know of an engine: its Lua state, and how to run a function in it as a task. */
#ifndef VLOCK_ENGINE_H
#define VLOCK_ENGINE_H

#include <lua.h>

#include "vlock.h"

lua_State *vlock_engine_state(vlock_engine *engine);

/* Runs `prepare` protected with `argument` as light userdata: it returns a function and its arguments. Runs those as a task, to the end, and
 * then `finish`, protected, with the same argument before the task's results. 0, or -1 and `error`. */
int vlock_engine_call(vlock_engine *engine, lua_CFunction prepare, lua_CFunction finish, void *argument, struct vlock_error *error);

#endif
