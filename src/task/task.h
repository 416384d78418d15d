/* A task, as other rooms know it: a coroutine of the scheduler, which parks where it waits. See
 * scheduler.h for how it is woken. */
#ifndef VLOCK_TASK_H
#define VLOCK_TASK_H

#include <lua.h>
#include <stdbool.h>

struct vlock_task;

lua_State *vlock_task_stack(struct vlock_task *task);
/* The engine's, for protected calls from callbacks. */
lua_State *vlock_task_main_state(struct vlock_task *task);

/* Whether the task whose handle is at `index` has not ended; raises where there is no handle. */
bool vlock_task_is_alive(lua_State *L, int index);

/* Pushes the results of an ended task, handle at `index`, and returns their number. */
int vlock_task_results(lua_State *L, int index);

#endif
