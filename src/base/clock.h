/* Time: nanoseconds in int64, everywhere inside the engine. */
#ifndef VLOCK_CLOCK_H
#define VLOCK_CLOCK_H

#include <stdint.h>

#define VLOCK_NS_PER_SECOND 1000000000LL

/* A clock that never goes back (CLOCK_MONOTONIC). Only differences mean something. */
int64_t vlock_clock_now(void);

/* Since 1970-01-01 UTC (CLOCK_REALTIME). May jump. */
int64_t vlock_clock_wall(void);

#endif
