/* Time: nanoseconds in int64, everywhere inside the engine. */
#ifndef VLOCK_CLOCK_H
#define VLOCK_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define VLOCK_NS_PER_SECOND 1000000000LL

/* A clock that never goes back (CLOCK_MONOTONIC). Only differences mean something. */
int64_t vlock_clock_now(void);

/* The time of one loop: that of the clock above or, in a simulation, one that stands still until
 * its owner moves it. Zeroed: the first. */
struct vlock_clock {
    bool is_virtual;
    int64_t virtual_ns; /* what it says then */
};

int64_t vlock_clock_read(const struct vlock_clock *clock);

/* Since 1970-01-01 UTC (CLOCK_REALTIME). May jump. */
int64_t vlock_clock_wall(void);

#endif
