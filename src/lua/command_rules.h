/* What commands mean for the connection that they go by: some hold it up, some give it a state,
 * some it does not take. */
#ifndef VLOCK_COMMAND_RULES_H
#define VLOCK_COMMAND_RULES_H

#include <lua.h>

enum vlock_command_rule {
    VLOCK_COMMAND_ALLOWED,
    /* Holds up what comes after it: on a connection of one's own, and without a time-out. */
    VLOCK_COMMAND_BLOCKS,
    VLOCK_COMMAND_ENTERS,  /* begins a state of the connection: on a connection of one's own */
    VLOCK_COMMAND_LEAVES,  /* ends it */
    VLOCK_COMMAND_CHANGES, /* changes the connection for good, or what comes back on it: nowhere */
};

/* The rule for the command in the stack slots first … last; *instead says what to do where it is
 * VLOCK_COMMAND_CHANGES. */
enum vlock_command_rule vlock_command_rule(lua_State *L, int first, int last, const char **instead);

#endif
