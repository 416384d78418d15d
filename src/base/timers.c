/* Points in time, earliest first: see timers.h. */
#include "base/timers.h"

#include <stdlib.h>

#define FIRST_CAPACITY 64

bool vlock_timers_reserve(struct vlock_timers *timers, int count)
{
    if (count <= timers->capacity)
        return true;
    int capacity = timers->capacity ? timers->capacity : FIRST_CAPACITY;
    while (capacity < count)
        capacity *= 2;
    struct vlock_timer **grown = realloc(timers->heap, (size_t)capacity * sizeof *grown);
    if (!grown)
        return false;
    timers->heap = grown;
    timers->capacity = capacity;
    return true;
}

static bool is_before(const struct vlock_timer *one, const struct vlock_timer *other)
{
    return one->when_ns != other->when_ns ? one->when_ns < other->when_ns
                                          : (int32_t)(one->number - other->number) < 0;
}

static void put(struct vlock_timers *timers, int at, struct vlock_timer *timer)
{
    timers->heap[at] = timer;
    timer->place = at + 1;
}

static void rise(struct vlock_timers *timers, int at, struct vlock_timer *timer)
{
    while (at > 0) {
        int parent = (at - 1) / 2;
        if (is_before(timers->heap[parent], timer))
            break;
        put(timers, at, timers->heap[parent]);
        at = parent;
    }
    put(timers, at, timer);
}

static void sink(struct vlock_timers *timers, int at, struct vlock_timer *timer)
{
    for (;;) {
        int child = 2 * at + 1;
        if (child >= timers->count)
            break;
        if (child + 1 < timers->count && is_before(timers->heap[child + 1], timers->heap[child]))
            child++;
        if (is_before(timer, timers->heap[child]))
            break;
        put(timers, at, timers->heap[child]);
        at = child;
    }
    put(timers, at, timer);
}

void vlock_timers_set(struct vlock_timers *timers, struct vlock_timer *timer, int64_t when_ns)
{
    timer->when_ns = when_ns;
    timer->number = timers->number++;
    rise(timers, timers->count++, timer);
}

void vlock_timers_cancel(struct vlock_timers *timers, struct vlock_timer *timer)
{
    if (!timer->place)
        return;
    int at = timer->place - 1;
    timer->place = 0;
    struct vlock_timer *last = timers->heap[--timers->count];
    if (last == timer)
        return;
    sink(timers, at, last);
    rise(timers, last->place - 1, last);
}

struct vlock_timer *vlock_timers_first(const struct vlock_timers *timers)
{
    return timers->count ? timers->heap[0] : NULL;
}

void vlock_timers_free(struct vlock_timers *timers)
{
    free(timers->heap);
    *timers = (struct vlock_timers){0};
}
