/* Virtual time: the loop of a simulation, which waits for nothing. See scheduler.h. */
#include <stddef.h>

#include "task/scheduler_parts.h"

int64_t vlock_scheduler_now(const struct vlock_scheduler *s)
{
    return vlock_clock_read(&s->clock);
}

bool vlock_scheduler_is_virtual(const struct vlock_scheduler *s)
{
    return s->clock.is_virtual;
}

int64_t vlock_scheduler_virtual_timers(const struct vlock_scheduler *s)
{
    return s->virtual_timers;
}

bool vlock_scheduler_begin_virtual(struct vlock_scheduler *s, struct vlock_event_source *source)
{
    if (vlock_timers_first(&s->timers))
        return false;
    s->clock = (struct vlock_clock){.is_virtual = true};
    s->source = source;
    s->virtual_timers = 0;
    return true;
}

static void wake(struct vlock_scheduler *s, struct vlock_timer *timer)
{
    vlock_timers_cancel(&s->timers, timer);
    vlock_task_wake((struct vlock_task *)((char *)timer - offsetof(struct vlock_task, timer)), 0);
}

void vlock_scheduler_end_virtual(struct vlock_scheduler *s)
{
    struct vlock_timer *first;
    while ((first = vlock_timers_first(&s->timers)))
        wake(s, first);
    s->clock = (struct vlock_clock){.is_virtual = false};
    s->source = NULL;
}

static int64_t next_of_source(const struct vlock_scheduler *s)
{
    return s->source ? s->source->next_ns(s->source->user) : INT64_MAX;
}

bool vlock_virtual_has_events(const struct vlock_scheduler *s)
{
    return next_of_source(s) < INT64_MAX;
}

bool vlock_scheduler_go_on_to(struct vlock_scheduler *s, int64_t when_ns)
{
    const struct vlock_timer *timer = vlock_timers_first(&s->timers);
    if (!TAILQ_EMPTY(&s->run->ready) || s->is_interrupted || (timer && timer->when_ns < when_ns))
        return false;
    if (s->clock.virtual_ns < when_ns)
        s->clock.virtual_ns = when_ns;
    return true;
}

/* Of events at the same instant, the source's come first: always in the same order. */
void vlock_virtual_turn(struct vlock_scheduler *s)
{
    while (TAILQ_EMPTY(&s->run->ready) && !s->is_interrupted) {
        struct vlock_timer *timer = vlock_timers_first(&s->timers);
        int64_t timer_ns = timer ? timer->when_ns : INT64_MAX, source_ns = next_of_source(s);
        int64_t next_ns = source_ns <= timer_ns ? source_ns : timer_ns;
        if (next_ns == INT64_MAX)
            return;
        if (s->clock.virtual_ns < next_ns)
            s->clock.virtual_ns = next_ns;
        if (source_ns <= timer_ns) {
            s->source->happen(s->source->user);
        } else {
            s->virtual_timers++;
            wake(s, timer);
        }
    }
}
