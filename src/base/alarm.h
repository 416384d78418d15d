/*
 * A descriptor that becomes readable at a time (Linux: timerfd). To the nanosecond, and set only
 * when the time changes: a loop that was told of it in each of its waits would pay a system call in
 * each.
 */
#ifndef VLOCK_ALARM_H
#define VLOCK_ALARM_H

#include <stdint.h>

/* The descriptor, which the caller closes; it does not block. -1 and errno: there is none. */
int vlock_alarm_open(void);

/* Makes it readable after `delay_ns`, at once where that is not positive; never for INT64_MAX.
 * Replaces what was set before, and what has gone off. */
void vlock_alarm_set(int fd, int64_t delay_ns);

/* Makes it unreadable once it has gone off. */
void vlock_alarm_hear(int fd);

#endif
