/* The number of this process, without asking the system each time. */
#ifndef VLOCK_OWN_PID_H
#define VLOCK_OWN_PID_H

#include <sys/types.h>

/* As getpid(), right in a child as well, however that was forked. */
pid_t vlock_own_pid(void);

#endif
