/* A forked child of ours that watches over something: it hears no signal of the terminal, and holds nothing of ours open. Only
 * async-signal-safe calls, since the process that forked may have threads. */
#ifndef VLOCK_CHILD_H
#define VLOCK_CHILD_H

/* A session of its own, signals ignored (but for that of its own children), and every descriptor closed but these two (-1: none). 0, 1 and
 * 2 become /dev/null: nobody may wait for the end of a pipe that it inherited. */
void vlock_child_detach(const char *name, int kept, int also_kept);

/* Signals as a new program expects them: before exec. */
void vlock_child_reset_signals(void);

#endif
