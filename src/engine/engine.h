/* What other rooms know of an engine: its Lua state, how to run a function in it as a task, and how
 * to be one in somebody else's state. */
#ifndef VLOCK_ENGINE_H
#define VLOCK_ENGINE_H

#include <lua.h>

#include "vlock.h"

lua_State *vlock_engine_state(vlock_engine *engine);

/* Pushes a field of the library vlock.core of an engine's own state. */
void vlock_engine_push_core(lua_State *L, const char *field);

/* Whether this is the process that opened it, and not a child of that. */
bool vlock_engine_is_ours(const vlock_engine *engine);

/* Around what a public function does that may call the program's callbacks. enter: -1 and `error`
 * where the engine is in one of its callbacks, or belongs to another process. leave: ends an engine
 * that was closed meanwhile, which must not be touched afterwards. */
int vlock_engine_enter(vlock_engine *engine, struct vlock_error *error);
void vlock_engine_leave(vlock_engine *engine);

/* Whether the present run is to end: vlock_interrupt() or vlock_close() was called. */
bool vlock_engine_is_interrupted(const vlock_engine *engine);

/* Around a callback: it finds the program's own locale. */
void vlock_engine_call_out(const vlock_engine *engine, bool begins);

/* Runs `prepare` protected with `argument` as light userdata: it returns a function and its
 * arguments. Runs those as a task, to the end, and then `finish`, protected, with the same argument
 * before the task's results. 0, or -1 and `error`. */
int vlock_engine_call(vlock_engine *engine, lua_CFunction prepare, lua_CFunction finish,
                      void *argument, struct vlock_error *error);

/* Commands that were handed to connections since it was opened. */
int64_t vlock_engine_commands(const vlock_engine *engine);

/* Of the run that ended last, early: whether it waited for the reply to a command that was never
 * sent, and so will not run. */
bool vlock_engine_was_cut_before_sending(const vlock_engine *engine);

/* The same as vlock_open() in a state that is somebody else's, whose globals, modules and collector
 * stay as they are. `thread` is a thread of that state for the engine alone; on its stack it leaves
 * a table of the C libraries by the names they are required by. The functions in there are called
 * by the state's own code, which is no task: what waits blocks there. The caller sees to it that
 * the thread lives as long as the state, and that vlock_close() is called when the state has
 * finalized all else that the engine made in it: from a finalizer that was set before. Runs are not
 * for such an engine. */
vlock_engine *vlock_engine_attach(lua_State *thread, const struct vlock_options *options,
                                  struct vlock_error *error);

#endif
