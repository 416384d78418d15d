/* The exit codes of vlockrun; lua/vlock/command/exit.lua has them as well, and one more, 4, which
 * is the lab's. */
#ifndef VLOCK_EXIT_CODES_H
#define VLOCK_EXIT_CODES_H

enum {
    VLOCK_EXIT_FINE = 0,
    VLOCK_EXIT_SCRIPT = 1,
    VLOCK_EXIT_USAGE = 2,
    VLOCK_EXIT_UNREACHABLE = 3,
    VLOCK_EXIT_INTERRUPTED = 130,
};

#endif
