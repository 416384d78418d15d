/* Waiting: what the loop turns on while no task can run. libevent's events, the earliest timer, and
 * the descriptor for the loop of the host. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <event2/event.h>
#include <lua.h>

#include "base/clock.h"
#include "task/scheduler_parts.h"

/* ---- time: one event of libevent for the earliest timer ---- */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    ((struct vlock_scheduler *)arg)->timer_ns = 0; /* the loop looks at the heap after every wait */
}

static void wake_sleepers(struct vlock_scheduler *s)
{
    struct vlock_timer *first = vlock_timers_first(&s->timers);
    int64_t now = first ? vlock_clock_now() : 0;
    for (; first && first->when_ns <= now; first = vlock_timers_first(&s->timers)) {
        vlock_timers_cancel(&s->timers, first);
        vlock_task_wake((struct vlock_task *)((char *)first - offsetof(struct vlock_task, timer)),
                        0);
    }
}

static void set_timer(struct vlock_scheduler *s)
{
    struct vlock_timer *first = vlock_timers_first(&s->timers);
    int64_t when_ns = first ? first->when_ns : 0;
    if (when_ns == s->timer_ns)
        return;
    s->timer_ns = when_ns;
    if (!first) {
        event_del(s->timer);
        return;
    }
    int64_t delay = when_ns - vlock_clock_now();
    if (delay < 0)
        delay = 0;
    delay += 999; /* up to whole microseconds: never early */
    struct timeval tv = {.tv_sec = delay / VLOCK_NS_PER_SECOND,
                         .tv_usec = delay % VLOCK_NS_PER_SECOND / 1000};
    event_add(s->timer, &tv);
}

/* ---- the loop of the host ---- */

void vlock_waiting_tell_host_loop(struct vlock_scheduler *s)
{
    struct vlock_timer *first = vlock_timers_first(&s->timers);
    if (s->host_loop.epoll_fd < 0)
        return;
    int64_t delay_ns = first ? first->when_ns - vlock_clock_now() : INT64_MAX;
    int64_t link_ns = vlock_link_pool_due(&s->links);
    if (delay_ns > link_ns)
        delay_ns = link_ns;
    if (!TAILQ_EMPTY(&s->run->ready) || s->is_interrupted)
        delay_ns = 0;
    vlock_host_loop_wake_in(&s->host_loop, delay_ns);
}

int vlock_scheduler_descriptor(struct vlock_scheduler *s)
{
    if (s->host_loop.epoll_fd < 0 && vlock_host_loop_open(&s->host_loop, s->wake_pipe[0]) == 0) {
        vlock_link_pool_watch(&s->links);
        vlock_waiting_tell_host_loop(s);
    }
    return s->host_loop.epoll_fd;
}

/* ---- a turn ---- */

void vlock_waiting_turn(struct vlock_scheduler *s, bool may_sleep)
{
    set_timer(s);
    event_base_loop(s->base, may_sleep ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK);
    wake_sleepers(s);
    vlock_waiting_tell_host_loop(s);
}

/* ---- life ---- */

static void on_wake_pipe(evutil_socket_t fd, short what, void *arg)
{
    (void)what, (void)arg;
    char bytes[64];
    while (read(fd, bytes, sizeof bytes) > 0)
        continue;
}

/* Connections and files that the script has forgotten are closed when they are collected. */
static void collect(void *owner)
{
    lua_gc(((struct vlock_scheduler *)owner)->L, LUA_GCCOLLECT);
}

static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    if (!config)
        return NULL;
    event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER | EVENT_BASE_FLAG_NO_CACHE_TIME);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

int vlock_waiting_open(struct vlock_scheduler *s)
{
    if (pipe2(s->wake_pipe, O_NONBLOCK | O_CLOEXEC) == 0)
        s->base = new_base();
    if (!s->base)
        return -1;
    s->links.base = s->base;
    s->links.make_room = collect;
    s->links.owner = s;
    s->timer = evtimer_new(s->base, on_timer, s);
    s->wake_event = event_new(s->base, s->wake_pipe[0], EV_READ | EV_PERSIST, on_wake_pipe, s);
    return s->timer && s->wake_event ? event_add(s->wake_event, NULL) : -1;
}

void vlock_waiting_close(struct vlock_scheduler *s)
{
    if (s->timer)
        event_free(s->timer);
    if (s->wake_event)
        event_free(s->wake_event);
    if (s->base)
        event_base_free(s->base);
    s->base = NULL;
    vlock_host_loop_close(&s->host_loop);
    for (int i = 0; i < 2; i++)
        if (s->wake_pipe[i] >= 0)
            close(s->wake_pipe[i]);
}

const char *vlock_scheduler_library(void)
{
    static char text[64]; /* the same in every engine */
    snprintf(text, sizeof text, "libevent %s", event_get_version());
    return text;
}
