/* Reads that a replica may answer: of what is only where a write begins, and is compared anyway. */
#ifndef VLOCK_REDIS_REPLICA_H
#define VLOCK_REDIS_REPLICA_H

#include <lua.h>

/* Adds pcall_replica, on the present connection, to the table on top of the stack. As pcall, for a
 * command that changes nothing: it goes to a replica of the server in charge where one is known,
 * which may know an older state. Whatever else than a reply comes of that, the server in charge is
 * asked; but a replica that does not know a script says so (NOSCRIPT), and is to be told. */
void vlock_redis_replica_add_functions(lua_State *L);

#endif
