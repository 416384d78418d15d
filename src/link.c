/* One connection: see link.h. */
#include "link.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/event.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <hiredis/sds.h>

#include "broken_pipe.h"
#include "clock.h"
#include "outside.h"

#define RECONNECT_FIRST_NS (10 * 1000 * 1000LL)
#define RECONNECT_LIMIT_NS (1000 * 1000 * 1000LL)

struct vlock_request {
    TAILQ_ENTRY(vlock_request) entry;
    struct vlock_link *link;
    vlock_link_callback *callback; /* NULL: nobody waits for it any more */
    void *user;
    int64_t deadline_ns;
    uint64_t end_offset; /* position of its last byte in the stream of this connection */
    bool queued;         /* in a list of its link */
};

TAILQ_HEAD(request_list, vlock_request);

enum link_state {
    LINK_DOWN,       /* no connection, none wanted yet */
    LINK_CONNECTING, /* the socket connects */
    LINK_GREETING,   /* authentication and selection of the database are under way */
    LINK_UP,
    LINK_RESTING, /* waits before it connects again */
};

struct vlock_link {
    struct vlock_link_pool *pool;
    struct vlock_link *next_dirty;
    struct vlock_link *next, **place; /* among all of the pool: the next one, and what points to this one */
    struct vlock_url url;
    char name[160];
    struct vlock_link_options options;
    enum link_state state;
    redisAsyncContext *context;
    struct event *readable, *writable, *state_timer, *deadline_timer;
    struct request_list waiting;  /* not handed to hiredis: no connection yet */
    struct request_list inflight; /* handed to hiredis, oldest first */
    struct request_list spare;
    int64_t timer_deadline_ns; /* what deadline_timer is set to; 0: nothing */
    uint64_t queued_bytes;     /* handed to hiredis on this connection */
    int greetings_left;
    int64_t rest_ns;
    unsigned generation;
    struct vlock_link_traffic traffic;
    bool is_dirty, is_flushing, is_freed, announce;
    bool holds_sigpipe; /* while it writes: the program does not ignore it */
    bool is_proven; /* a reply came since it connected: what accepts and hangs up at once is not connected to without a rest */
    char trouble[256]; /* why the last connection ended or was not made */
};

static void begin_connecting(struct vlock_link *link);

static void mark_dirty(struct vlock_link *link)
{
    if (link->is_dirty)
        return;
    link->is_dirty = true;
    link->next_dirty = link->pool->dirty;
    link->pool->dirty = link;
}

static struct timeval timeval_from_ns(int64_t ns)
{
    if (ns < 0)
        ns = 0;
    return (struct timeval){.tv_sec = ns / VLOCK_NS_PER_SECOND, .tv_usec = ns % VLOCK_NS_PER_SECOND / 1000};
}

static void set_timer(struct event *timer, int64_t delay_ns)
{
    struct timeval delay = timeval_from_ns(delay_ns);
    event_add(timer, &delay);
}

/* ---- requests ---- */

static struct vlock_request *take_request(struct vlock_link *link)
{
    struct vlock_request *request = TAILQ_FIRST(&link->spare);
    if (request) {
        TAILQ_REMOVE(&link->spare, request, entry);
        return request;
    }
    request = malloc(sizeof *request);
    if (request)
        request->link = link;
    return request;
}

static void give_back(struct vlock_request *request)
{
    TAILQ_INSERT_HEAD(&request->link->spare, request, entry);
}

static void unqueue(struct request_list *list, struct vlock_request *request)
{
    if (!request->queued)
        return;
    TAILQ_REMOVE(list, request, entry);
    request->queued = false;
}

static void finish(struct vlock_request *request, enum vlock_link_outcome outcome, const redisReply *reply,
                   const char *message)
{
    vlock_link_callback *callback = request->callback;
    request->callback = NULL;
    if (callback)
        callback(request->user, outcome, reply, message);
}

/* Ends all that waits for a connection in the same way. */
static void finish_waiting(struct vlock_link *link, enum vlock_link_outcome outcome, const char *message)
{
    struct request_list ended = TAILQ_HEAD_INITIALIZER(ended);
    TAILQ_CONCAT(&ended, &link->waiting, entry);
    struct vlock_request *request;
    while ((request = TAILQ_FIRST(&ended))) {
        unqueue(&ended, request);
        finish(request, outcome, NULL, message);
        give_back(request);
    }
}

/* ---- deadlines ---- */

static void watch_deadline(struct vlock_link *link, int64_t deadline_ns)
{
    if (!deadline_ns || (link->timer_deadline_ns && link->timer_deadline_ns <= deadline_ns))
        return;
    link->timer_deadline_ns = deadline_ns;
    set_timer(link->deadline_timer, deadline_ns - vlock_clock_now());
}

/* The timer is set for the earliest deadline there was when it was set, not moved with every reply: a busy link looks through its
 * list once per time-out, not once per command. */
static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct vlock_link *link = arg;
    int64_t now = vlock_clock_now(), next = 0;
    char message[600];
    struct vlock_request *request, *following;

    link->timer_deadline_ns = 0;
    snprintf(message, sizeof message, "not sent: no connection to %s in time (%s)", link->name,
             link->trouble[0] ? link->trouble : "still connecting");
    for (request = TAILQ_FIRST(&link->waiting); request; request = following) {
        following = TAILQ_NEXT(request, entry);
        if (!request->deadline_ns)
            continue;
        if (request->deadline_ns <= now) {
            unqueue(&link->waiting, request);
            finish(request, VLOCK_LINK_FAILED, NULL, message);
            give_back(request);
        } else if (!next || request->deadline_ns < next) {
            next = request->deadline_ns;
        }
    }
    snprintf(message, sizeof message, "no reply from %s in time", link->name);
    for (request = TAILQ_FIRST(&link->inflight); request; request = following) {
        following = TAILQ_NEXT(request, entry);
        if (!request->deadline_ns)
            continue;
        if (request->deadline_ns <= now) {
            unqueue(&link->inflight, request); /* hiredis still holds it: on_reply gives it back */
            finish(request, VLOCK_LINK_AMBIGUOUS, NULL, message);
        } else if (!next || request->deadline_ns < next) {
            next = request->deadline_ns;
        }
    }
    watch_deadline(link, next);
}

/* ---- the events of one connection ---- */

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    redisAsyncHandleRead(((struct vlock_link *)arg)->context);
}

static void write_out(struct vlock_link *link)
{
    struct vlock_broken_pipe held;
    bool holds_sigpipe = link->holds_sigpipe; /* hiredis may end the connection, and a new one begin, before it returns */
    if (holds_sigpipe)
        vlock_broken_pipe_hold(&held);
    link->is_flushing = true;
    link->traffic.writes++;
    redisAsyncHandleWrite(link->context);
    link->is_flushing = false;
    if (holds_sigpipe)
        vlock_broken_pipe_release(&held);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    write_out(arg);
}

static void hook_add_read(void *arg)
{
    struct vlock_link *link = arg;
    if (!event_pending(link->readable, EV_READ, NULL))
        event_add(link->readable, NULL);
}

static void hook_del_read(void *arg)
{
    event_del(((struct vlock_link *)arg)->readable);
}

/* hiredis asks for this with every command. Waiting for writability pays only while connecting and after a write that took less
 * than everything; else the flush at the end of the turn writes without asking. */
static void hook_add_write(void *arg)
{
    struct vlock_link *link = arg;
    if (link->is_flushing || link->state == LINK_CONNECTING) {
        if (!event_pending(link->writable, EV_WRITE, NULL)) {
            event_add(link->writable, NULL);
            vlock_outside_change(link->pool->outside, link->context->c.fd, true);
        }
    } else {
        mark_dirty(link);
    }
}

static void hook_del_write(void *arg)
{
    struct vlock_link *link = arg;
    if (!event_pending(link->writable, EV_WRITE, NULL))
        return;
    event_del(link->writable);
    vlock_outside_change(link->pool->outside, link->context->c.fd, false);
}

static void hook_cleanup(void *arg)
{
    struct vlock_link *link = arg;
    vlock_outside_remove(link->pool->outside, link->context->c.fd);
    event_free(link->readable);
    event_free(link->writable);
    link->readable = link->writable = NULL;
    link->context = NULL;
}

/* ---- connecting ---- */

/* Connects after a pause that doubles while connections fail. The work is done from the loop, so that no callback runs inside
 * vlock_link_send(). */
static void rest(struct vlock_link *link)
{
    bool at_once = link->is_proven || link->generation == 0;
    link->state = LINK_RESTING;
    link->is_proven = false;
    set_timer(link->state_timer, at_once ? 0 : link->rest_ns);
    if (at_once)
        link->rest_ns = RECONNECT_FIRST_NS;
    else
        link->rest_ns = link->rest_ns * 2 > RECONNECT_LIMIT_NS ? RECONNECT_LIMIT_NS : link->rest_ns * 2;
}

/* Says why, and decides what comes next: those who wait learn it at once when there is no hope of another attempt. */
static void connection_ended(struct vlock_link *link, const char *why, bool hopeless)
{
    event_del(link->state_timer);
    snprintf(link->trouble, sizeof link->trouble, "%s", why);
    if (link->is_freed)
        return;
    if (hopeless || link->generation == 0 || !link->options.reconnects) {
        link->state = LINK_DOWN;
        char message[600];
        snprintf(message, sizeof message, "cannot connect to %s: %s", link->name, link->trouble);
        finish_waiting(link, VLOCK_LINK_FAILED, message);
        return;
    }
    if (TAILQ_EMPTY(&link->waiting))
        link->state = LINK_DOWN; /* nobody needs it now; the next command connects */
    else
        rest(link);
}

/* Ends the present connection from our side. Not from inside one of its own callbacks. */
static void drop_connection(struct vlock_link *link, const char *why, bool hopeless)
{
    redisAsyncContext *context = link->context;
    if (context) {
        snprintf(link->trouble, sizeof link->trouble, "%s", why);
        context->data = NULL; /* on_disconnected must not see it: this function says what comes next */
        redisAsyncFree(context);
    }
    connection_ended(link, why, hopeless);
}

static void link_is_up(struct vlock_link *link)
{
    event_del(link->state_timer);
    link->state = LINK_UP;
    link->generation++;
    link->trouble[0] = '\0';
    link->announce = true; /* at the next flush, outside of hiredis */
    mark_dirty(link);
}

/* A refused greeting is remembered and acted on at the flush: a context is not freed from inside its callback. */
static void on_greeting(redisAsyncContext *context, void *opaque, void *arg)
{
    struct vlock_link *link = arg;
    const redisReply *reply = opaque;
    (void)context;
    if (!reply || link->state != LINK_GREETING || link->is_freed)
        return;
    if (reply->type == REDIS_REPLY_ERROR) {
        snprintf(link->trouble, sizeof link->trouble, "the server refused us: %s", reply->str);
        link->greetings_left = -1;
        mark_dirty(link);
    } else if (link->greetings_left > 0 && --link->greetings_left == 0) {
        link_is_up(link);
    }
}

static void send_greeting(struct vlock_link *link, int count, const char **words)
{
    link->greetings_left++;
    redisAsyncCommandArgv(link->context, on_greeting, link, count, words, NULL);
}

/* HELLO 3, which also logs in, or AUTH; then SELECT. */
static void greet(struct vlock_link *link)
{
    const struct vlock_url *url = &link->url;
    const char *user = url->user && url->user[0] ? url->user : NULL;
    char number[16];
    link->state = LINK_GREETING;
    link->greetings_left = 0;
    if (link->options.is_resp3)
        send_greeting(link, url->password ? 5 : 2, (const char *[]){"HELLO", "3", "AUTH", user ? user : "default", url->password});
    else if (url->password && user)
        send_greeting(link, 3, (const char *[]){"AUTH", user, url->password});
    else if (url->password)
        send_greeting(link, 2, (const char *[]){"AUTH", url->password});
    if (url->db) {
        snprintf(number, sizeof number, "%d", url->db);
        send_greeting(link, 2, (const char *[]){"SELECT", number});
    }
    if (!link->greetings_left)
        link_is_up(link);
}

static void on_connected(const redisAsyncContext *context, int status)
{
    struct vlock_link *link = context->data;
    if (!link)
        return;
    if (status == REDIS_OK)
        greet(link);
    else
        connection_ended(link, context->errstr && context->errstr[0] ? context->errstr : "connection refused", false);
}

static void on_disconnected(const redisAsyncContext *context, int status)
{
    struct vlock_link *link = context->data;
    if (!link)
        return;
    bool refused = link->greetings_left < 0;
    char why[256];
    snprintf(why, sizeof why, "%s",
             refused                                   ? link->trouble
             : status != REDIS_OK && context->errstr[0] ? context->errstr
                                                        : "the connection was closed");
    connection_ended(link, why, refused);
}

/* One timer serves the two states that end by themselves: an attempt that takes too long, a rest that is over. */
static void on_state_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct vlock_link *link = arg;
    if (link->state == LINK_RESTING)
        begin_connecting(link);
    else if (link->state == LINK_CONNECTING || link->state == LINK_GREETING)
        drop_connection(link, "no connection in time", false);
}

static bool attach_events(struct vlock_link *link)
{
    redisAsyncContext *context = link->context;
    link->readable = event_new(link->pool->base, context->c.fd, EV_READ | EV_PERSIST, on_readable, link);
    link->writable = event_new(link->pool->base, context->c.fd, EV_WRITE | EV_PERSIST, on_writable, link);
    if (!link->readable || !link->writable) {
        if (link->readable)
            event_free(link->readable);
        if (link->writable)
            event_free(link->writable);
        link->readable = link->writable = NULL;
        return false;
    }
    context->data = link;
    context->ev.data = link;
    context->ev.addRead = hook_add_read;
    context->ev.delRead = hook_del_read;
    context->ev.addWrite = hook_add_write;
    context->ev.delWrite = hook_del_write;
    context->ev.cleanup = hook_cleanup;
    vlock_outside_add(link->pool->outside, link->context->c.fd, false);
    return true;
}

static void begin_connecting(struct vlock_link *link)
{
    const struct vlock_url *url = &link->url;
    redisAsyncContext *context = url->kind == VLOCK_URL_UNIX ? redisAsyncConnectUnix(url->path)
                                                             : redisAsyncConnect(url->host, url->port);
    link->state = LINK_CONNECTING;
    link->queued_bytes = 0;
    link->greetings_left = 0;
    link->holds_sigpipe = !vlock_broken_pipe_is_ignored();
    link->context = context;
    if (!context || context->err || !attach_events(link)) {
        char why[256];
        snprintf(why, sizeof why, "%s", context && context->err ? context->errstr : "out of memory");
        link->context = NULL;
        if (context)
            redisAsyncFree(context);
        connection_ended(link, why, false);
        return;
    }
    if (url->kind == VLOCK_URL_TCP)
        redisEnableKeepAlive(&context->c);
    set_timer(link->state_timer, link->options.connect_timeout_ns);
    redisAsyncSetDisconnectCallback(context, on_disconnected);
    redisAsyncSetConnectCallback(context, on_connected); /* this asks hook_add_write to wait for the socket */
}

/* ---- commands ---- */

static void on_reply(redisAsyncContext *context, void *opaque, void *arg)
{
    struct vlock_request *request = arg;
    struct vlock_link *link = request->link;
    const redisReply *reply = opaque;

    unqueue(&link->inflight, request);
    if (reply) {
        link->traffic.replies++;
        link->is_proven = true;
        finish(request, VLOCK_LINK_REPLY, reply, NULL);
    } else {
        uint64_t sent = link->queued_bytes - sdslen(context->c.obuf);
        if (request->end_offset > sent) {
            finish(request, VLOCK_LINK_NOT_SENT, NULL, NULL);
        } else {
            char message[600];
            snprintf(message, sizeof message, "the connection to %s ended before the reply came (%s)", link->name,
                     context->err && context->errstr[0] ? context->errstr : link->trouble);
            finish(request, VLOCK_LINK_AMBIGUOUS, NULL, message);
        }
    }
    give_back(request);
}

struct vlock_request *vlock_link_send(struct vlock_link *link, const char *bytes, size_t length, int64_t deadline_ns,
                                      vlock_link_callback *callback, void *user)
{
    struct vlock_request *request = take_request(link);
    if (!request)
        return NULL;
    request->callback = callback;
    request->user = user;
    request->deadline_ns = deadline_ns;
    request->queued = true;

    if (link->state == LINK_UP) {
        if (redisAsyncFormattedCommand(link->context, on_reply, request, bytes, length) != REDIS_OK) {
            request->queued = false;
            give_back(request);
            return NULL;
        }
        link->traffic.commands++;
        link->pool->commands++;
        link->queued_bytes += length;
        request->end_offset = link->queued_bytes;
        TAILQ_INSERT_TAIL(&link->inflight, request, entry);
    } else {
        TAILQ_INSERT_TAIL(&link->waiting, request, entry);
        if (link->state == LINK_DOWN)
            rest(link);
    }
    watch_deadline(link, deadline_ns);
    return request;
}

void vlock_link_cancel(struct vlock_request *request)
{
    request->callback = NULL;
}

/* ---- life ---- */

struct vlock_link *vlock_link_new(struct vlock_link_pool *pool, const struct vlock_url *url,
                                  const struct vlock_link_options *options, struct vlock_error *error)
{
    struct vlock_link *link = calloc(1, sizeof *link);
    if (!link)
        goto failed;
    TAILQ_INIT(&link->waiting);
    TAILQ_INIT(&link->inflight);
    TAILQ_INIT(&link->spare);
    link->pool = pool;
    link->options = *options;
    link->rest_ns = RECONNECT_FIRST_NS;
    if (vlock_url_copy(url, &link->url) != 0)
        goto failed;
    vlock_url_print(&link->url, link->name, sizeof link->name);
    link->state_timer = evtimer_new(pool->base, on_state_timer, link);
    link->deadline_timer = evtimer_new(pool->base, on_deadline, link);
    if (!link->state_timer || !link->deadline_timer)
        goto failed;
    link->next = pool->all;
    link->place = &pool->all;
    if (link->next)
        link->next->place = &link->next;
    pool->all = link;
    return link;

failed:
    vlock_error_set(error, VLOCK_ERR_MEMORY, "out of memory");
    if (link) {
        if (link->state_timer)
            event_free(link->state_timer);
        if (link->deadline_timer)
            event_free(link->deadline_timer);
        vlock_url_clear(&link->url);
        free(link);
    }
    return NULL;
}

void vlock_link_free(struct vlock_link *link)
{
    if (!link || link->is_freed)
        return;
    struct vlock_request *request;
    TAILQ_FOREACH (request, &link->waiting, entry)
        request->callback = NULL;
    TAILQ_FOREACH (request, &link->inflight, entry)
        request->callback = NULL;
    link->is_freed = true;
    event_del(link->state_timer);
    event_del(link->deadline_timer);
    mark_dirty(link);
}

static void free_list(struct request_list *list)
{
    struct vlock_request *request;
    while ((request = TAILQ_FIRST(list))) {
        TAILQ_REMOVE(list, request, entry);
        free(request);
    }
}

static void release(struct vlock_link *link)
{
    *link->place = link->next;
    if (link->next)
        link->next->place = link->place;
    if (link->context) {
        link->context->data = NULL;
        redisAsyncFree(link->context);
    }
    free_list(&link->waiting);
    free_list(&link->inflight);
    free_list(&link->spare);
    event_free(link->state_timer);
    event_free(link->deadline_timer);
    vlock_url_clear(&link->url);
    free(link);
}

static void flush(struct vlock_link *link)
{
    if (link->greetings_left < 0 && link->context) {
        char why[256];
        memcpy(why, link->trouble, sizeof why);
        link->greetings_left = 0;
        drop_connection(link, why, true);
        return;
    }
    if (link->announce) {
        link->announce = false;
        finish_waiting(link, VLOCK_LINK_NOT_SENT, NULL);
    }
    if (link->context && (link->state == LINK_UP || link->state == LINK_GREETING) &&
        sdslen(link->context->c.obuf) > 0 && !event_pending(link->writable, EV_WRITE, NULL))
        write_out(link);
}

void vlock_link_pool_flush(struct vlock_link_pool *pool)
{
    struct vlock_link *link = pool->dirty;
    pool->dirty = NULL;
    while (link) {
        struct vlock_link *next = link->next_dirty;
        link->is_dirty = false;
        if (link->is_freed)
            release(link);
        else
            flush(link);
        link = next;
    }
}

void vlock_link_pool_watch(struct vlock_link_pool *pool)
{
    for (struct vlock_link *link = pool->all; link; link = link->next)
        if (link->context)
            vlock_outside_add(pool->outside, link->context->c.fd, event_pending(link->writable, EV_WRITE, NULL));
}

unsigned vlock_link_generation(const struct vlock_link *link)
{
    return link->generation;
}

const char *vlock_link_name(const struct vlock_link *link)
{
    return link->name;
}

const struct vlock_url *vlock_link_url(const struct vlock_link *link)
{
    return &link->url;
}

struct vlock_link_traffic vlock_link_traffic(const struct vlock_link *link)
{
    return link->traffic;
}

bool vlock_link_has_resp3(void)
{
#ifdef REDIS_REPLY_MAP
    return true;
#else
    return false;
#endif
}

#define TEXT(token) #token
#define TEXT_OF(macro) TEXT(macro)

const char *vlock_link_library(void)
{
    return "hiredis " TEXT_OF(HIREDIS_MAJOR) "." TEXT_OF(HIREDIS_MINOR) "." TEXT_OF(HIREDIS_PATCH);
}
