/* Reads that a replica may answer: of what is only where a write begins, and is compared anyway. */
#ifndef VLOCK_REDIS_REPLICA_H
#define VLOCK_REDIS_REPLICA_H

#include <lua.h>

/* Adds ask_replica, on the present connection, to the table on top of the stack: for EVALSHA or
 * EVAL of a script that changes nothing. It is called at a replica of the server in charge, which
 * may know an older state; an error reply is returned as pcall does. nil: no replica is known, or
 * none has answered in time. */
void vlock_redis_replica_add_functions(lua_State *L);

#endif
