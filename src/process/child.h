/* A forked child of ours that watches over something: it hears no signal of the terminal, and holds
 * nothing of ours open. Only async-signal-safe calls, since the process that forked may have
 * threads. */
#ifndef VLOCK_CHILD_H
#define VLOCK_CHILD_H

#include <sys/types.h>

/* A session of its own, signals ignored (but for that of its own children), and every descriptor
 * closed but these two (-1: none). 0, 1 and 2 become /dev/null: nobody may wait for the end of a
 * pipe that it inherited. */
void vlock_child_detach(const char *name, int kept, int also_kept);

/* Signals as a new program expects them: before exec. */
void vlock_child_reset_signals(void);

/* Writes a byte into the pipe that a child of ours reads from, and closes it. Its being closed
 * alone tells the child nothing where another child of the program's holds it as well. One that has
 * ended already is no matter. */
void vlock_child_dismiss(int lifeline);

/* Something to wait for this child by, and for no other process that gets its number later: a
 * descriptor, or -1 where the system has none. */
int vlock_child_watch(pid_t child);

/* Waits until the child has ended, and takes its status; closes `watch`. Returns at once where
 * somebody else has taken it already. */
void vlock_child_wait(pid_t child, int watch);

#endif
