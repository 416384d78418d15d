/* Time and tasks for our own Lua: fields of `vlock.core`. Seconds are numbers. */
#ifndef VLOCK_LIB_TASK_H
#define VLOCK_LIB_TASK_H

#include <lua.h>

/* Adds them to the table on top of the stack: now() time() sleep(seconds) spawn(f, …) run(f, …)
 * task() is_alive(task) on_interrupt(f) watch() resume(co, …) close(why, close, co) tag()
 * check_can_wait(what) */
void vlock_lib_task_add(lua_State *L);

#endif
