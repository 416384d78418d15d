/* What a script does with a task's handle. */
#ifndef VLOCK_HANDLE_H
#define VLOCK_HANDLE_H

#include <lua.h>

/* Gives the handles of this state, whose scheduler is there already, their methods:
 * handle:join()    waits until the task has ended; returns its results or raises its error
 * handle:cancel()  ends the task, which waits, where it stands, without a word; one that has ended
 *                  stays as it is. Who joins it gets no results. */
void vlock_handle_add_methods(lua_State *L);

#endif
