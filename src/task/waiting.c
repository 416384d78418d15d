/* Waiting: what the loop turns on while no task can run. libevent's events, the earliest timer, and
 * the descriptor for the loop of the host. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>
#include <lua.h>

#include "base/alarm.h"
#include "base/clock.h"
#include "task/scheduler_parts.h"

/* ---- time: one alarm for the earliest timer ---- */

static void on_alarm(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    ((struct vlock_scheduler *)arg)->alarm_ns = 0; /* the loop looks at the heap after every wait */
    vlock_alarm_hear(fd);
}

static void wake_sleepers(struct vlock_scheduler *s)
{
    struct vlock_timer *first = vlock_timers_first(&s->timers);
    int64_t now = first ? vlock_scheduler_now(s) : 0;
    for (; first && first->when_ns <= now; first = vlock_timers_first(&s->timers)) {
        vlock_timers_cancel(&s->timers, first);
        vlock_task_wake((struct vlock_task *)((char *)first - offsetof(struct vlock_task, timer)),
                        0);
    }
}

/* When the next thing is to be done that is done at a time; INT64_MAX: there is none. */
static int64_t due(const struct vlock_scheduler *s)
{
    struct vlock_timer *first = vlock_timers_first(&s->timers);
    int64_t link_ns = vlock_link_pool_due(&s->links);
    return first && first->when_ns < link_ns ? first->when_ns : link_ns;
}

/* One that is set to an earlier time stays: it goes off for nothing, once. */
static void set_alarm(struct vlock_scheduler *s)
{
    int64_t due_ns = due(s);
    if (due_ns == INT64_MAX || (s->alarm_ns != 0 && s->alarm_ns <= due_ns))
        return;
    s->alarm_ns = due_ns;
    vlock_alarm_set(s->alarm_fd, due_ns - vlock_clock_now());
}

/* ---- the loop of the host ---- */

void vlock_waiting_tell_host_loop(struct vlock_scheduler *s)
{
    if (s->host_loop.epoll_fd < 0)
        return;
    int64_t due_ns = due(s);
    if (!TAILQ_EMPTY(&s->run->ready) || s->is_interrupted)
        due_ns = 0;
    vlock_host_loop_wake_in(&s->host_loop,
                            due_ns == INT64_MAX ? due_ns : due_ns - vlock_clock_now());
}

int vlock_scheduler_descriptor(struct vlock_scheduler *s)
{
    if (s->host_loop.epoll_fd < 0 && vlock_host_loop_open(&s->host_loop, s->wake_pipe[0]) == 0) {
        vlock_link_pool_watch(&s->links);
        vlock_waiting_tell_host_loop(s);
    }
    return s->host_loop.epoll_fd;
}

/* ---- polling ---- */

/* Whoever sleeps is woken late. With 50 clients of one key, on a Unix socket in a virtual machine,
 * that was half of the time from a command to its reply: 111 us, and 55 without sleeping (medians).
 * So a reply is looked for without sleeping, for a moment, where replies are that quick; and not
 * while somebody else needs this processor, which shows in that we get it back late when we yield
 * it. */
#define OTHERS_NS 50000 /* away for longer: somebody else was here */
/* For how long it does not poll then: twice as long each time, where somebody needs it again after
 * fewer than MANY_POLLS. Each time costs a slice of the other's, some milliseconds. */
#define FIRST_REST_NS (10 * 1000 * 1000LL)
#define LONGEST_REST_NS (1000 * 1000 * 1000LL)
#define MANY_POLLS 1000

static bool may_poll(const struct vlock_scheduler *s, int64_t now)
{
    const struct vlock_link_pool *links = &s->links;
    return s->awaited > 0 && now - links->sent_ns < s->busy_poll_ns && now >= s->rests_until_ns;
}

static void rest(struct vlock_scheduler *s, int64_t now)
{
    s->rest_ns = s->polls >= MANY_POLLS || !s->rest_ns ? FIRST_REST_NS
                 : 2 * s->rest_ns > LONGEST_REST_NS    ? LONGEST_REST_NS
                                                       : 2 * s->rest_ns;
    s->rests_until_ns = now + s->rest_ns;
    s->polls = 0;
}

/* Whether to look for a reply once more before it sleeps. */
static bool polls(struct vlock_scheduler *s)
{
    int64_t took_ns = s->links.took_ns;
    if (took_ns == 0 || took_ns > s->busy_poll_ns)
        return false;
    int64_t now = vlock_clock_now();
    if (!may_poll(s, now))
        return false;
    sched_yield();
    int64_t back = vlock_clock_now();
    s->polls++;
    if (back - now > OTHERS_NS)
        rest(s, back);
    return true;
}

/* ---- a turn ---- */

void vlock_waiting_turn(struct vlock_scheduler *s, bool may_sleep)
{
    if (s->clock.is_virtual) {
        if (may_sleep)
            vlock_virtual_turn(s);
        return;
    }
    if (!vlock_link_pool_read_one(&s->links)) {
        may_sleep = may_sleep && !polls(s);
        if (may_sleep)
            set_alarm(s);
        event_base_loop(s->base, may_sleep ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK);
        vlock_link_pool_expire(&s->links, vlock_clock_now());
        vlock_link_pool_read_one(&s->links);
    }
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

/* What a loop takes: the wake pipe, the alarm, and of libevent an epoll and a pair of sockets; and
 * some for a process whose threads open files meanwhile. */
#define DESCRIPTORS 10

/* libevent ends the process, the host's too, where it finds no descriptors for its sockets. So they
 * are looked for beforehand. Leaves errno. */
static bool has_descriptors(void)
{
    int taken[DESCRIPTORS], count = 0;
    while (count < DESCRIPTORS && (taken[count] = eventfd(0, EFD_CLOEXEC)) >= 0)
        count++;
    int reason = errno;
    bool is_enough = count == DESCRIPTORS;
    while (count > 0)
        close(taken[--count]);
    errno = reason;
    return is_enough;
}

static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    if (!config)
        return NULL;
    event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

int vlock_waiting_open(struct vlock_scheduler *s)
{
    if (!has_descriptors()) {
        collect(s);
        if (!has_descriptors())
            return -1;
    }
    if (pipe2(s->wake_pipe, O_NONBLOCK | O_CLOEXEC) == 0)
        s->base = new_base();
    if (!s->base)
        return -1;
    s->links.base = s->base;
    s->links.make_room = collect;
    s->links.owner = s;
    s->alarm_fd = vlock_alarm_open();
    if (s->alarm_fd < 0)
        return -1;
    s->alarm = event_new(s->base, s->alarm_fd, EV_READ | EV_PERSIST, on_alarm, s);
    s->wake_event = event_new(s->base, s->wake_pipe[0], EV_READ | EV_PERSIST, on_wake_pipe, s);
    if (!s->alarm || !s->wake_event || event_add(s->alarm, NULL) != 0)
        return -1;
    return event_add(s->wake_event, NULL);
}

void vlock_waiting_close(struct vlock_scheduler *s)
{
    if (s->alarm)
        event_free(s->alarm);
    if (s->wake_event)
        event_free(s->wake_event);
    if (s->base)
        event_base_free(s->base);
    s->base = NULL;
    vlock_host_loop_close(&s->host_loop);
    if (s->alarm_fd >= 0)
        close(s->alarm_fd);
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
