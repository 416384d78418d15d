/* What links have to do at a time, though no socket has anything for them: see link_parts.h. */
#include "net/link_parts.h"

#include "base/clock.h"

bool vlock_link_make_timers(struct vlock_link *link)
{
    struct vlock_link_pool *pool = link->pool;
    link->state_timer.link = link->deadline_timer.link = link;
    if (!vlock_timers_reserve(&pool->timers, (pool->links + 1) * VLOCK_LINK_TIMERS))
        return false;
    pool->links++;
    return true;
}

void vlock_link_free_timers(struct vlock_link *link)
{
    vlock_link_clear_timer(&link->state_timer);
    vlock_link_clear_timer(&link->deadline_timer);
    if (--link->pool->links == 0)
        vlock_timers_free(&link->pool->timers);
}

void vlock_link_set_timer(struct vlock_link_timer *timer, int64_t delay_ns)
{
    int64_t now = vlock_clock_now();
    vlock_link_clear_timer(timer);
    vlock_timers_set(&timer->link->pool->timers, &timer->timer,
                     delay_ns > INT64_MAX - now ? INT64_MAX : now + (delay_ns > 0 ? delay_ns : 0));
}

void vlock_link_clear_timer(struct vlock_link_timer *timer)
{
    vlock_timers_cancel(&timer->link->pool->timers, &timer->timer);
}

void vlock_link_pool_expire(struct vlock_link_pool *pool, int64_t now_ns)
{
    struct vlock_timer *first;
    while ((first = vlock_timers_first(&pool->timers)) && first->when_ns <= now_ns) {
        struct vlock_link_timer *timer = (struct vlock_link_timer *)first;
        vlock_link_clear_timer(timer);
        timer->on_due(timer->link);
    }
}

int64_t vlock_link_pool_due(const struct vlock_link_pool *pool)
{
    struct vlock_timer *first = vlock_timers_first(&pool->timers);
    return pool->dirty || pool->heard ? 0 : first ? first->when_ns : INT64_MAX;
}
