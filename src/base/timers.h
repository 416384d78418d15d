/* Points in time, earliest first: a binary heap of timers that live inside what they wake. A zeroed
 * struct is empty. */
#ifndef VLOCK_TIMERS_H
#define VLOCK_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

struct vlock_timer {
    int64_t when_ns; /* on the scale of its loop's clock */
    uint32_t number; /* of those of one point in time, the first that was set is the first */
    int place;       /* in the heap, counted from 1; 0: not set */
};

struct vlock_timers {
    struct vlock_timer **heap;
    int count, capacity;
    uint32_t number; /* of the next */
};

/* Makes room for `count` timers in all, so that setting one cannot fail. False when out of
 * memory. */
bool vlock_timers_reserve(struct vlock_timers *timers, int count);

/* Sets a timer that is not set. There must be room. */
void vlock_timers_set(struct vlock_timers *timers, struct vlock_timer *timer, int64_t when_ns);

/* Takes it out; nothing happens where it is not set. */
void vlock_timers_cancel(struct vlock_timers *timers, struct vlock_timer *timer);

/* The earliest, or NULL. */
struct vlock_timer *vlock_timers_first(const struct vlock_timers *timers);

void vlock_timers_free(struct vlock_timers *timers);

#endif
