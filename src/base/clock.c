/* Time: see clock.h. */
#include "base/clock.h"

#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec time;
    clock_gettime(id, &time);
    return (int64_t)time.tv_sec * VLOCK_NS_PER_SECOND + time.tv_nsec;
}

int64_t vlock_clock_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t vlock_clock_read(const struct vlock_clock *clock)
{
    return clock->is_virtual ? clock->virtual_ns : vlock_clock_now();
}

int64_t vlock_clock_wall(void)
{
    return read_clock(CLOCK_REALTIME);
}
