/* Commands of a link, and its life: see link.h, and link_parts.h for the other rooms. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/link_parts.h"
#include "net/host_loop.h"

/* After this a connection is looked at before something is written to it. */
#define IDLE_NS (1000 * 1000LL)

void vlock_link_mark_dirty(struct vlock_link *link)
{
    if (link->is_dirty)
        return;
    link->is_dirty = true;
    link->next_dirty = link->pool->dirty;
    link->pool->dirty = link;
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

static void unqueue(struct vlock_request_list *list, struct vlock_request *request)
{
    if (!request->queued)
        return;
    TAILQ_REMOVE(list, request, entry);
    request->queued = false;
}

static void finish(struct vlock_request *request, enum vlock_link_outcome outcome,
                   const redisReply *reply, const char *message)
{
    vlock_link_callback *callback = request->callback;
    request->callback = NULL;
    if (callback)
        callback(request->user, outcome, reply, message);
}

void vlock_link_finish_waiting(struct vlock_link *link, enum vlock_link_outcome outcome,
                               const char *message)
{
    struct vlock_request_list ended = TAILQ_HEAD_INITIALIZER(ended);
    TAILQ_CONCAT(&ended, &link->waiting, entry);
    struct vlock_request *request;
    while ((request = TAILQ_FIRST(&ended))) {
        unqueue(&ended, request);
        finish(request, outcome, NULL, message);
        give_back(request);
    }
}

/* ---- deadlines ---- */

static int64_t earlier(int64_t one, int64_t other) /* 0: never */
{
    return !one || (other && other < one) ? other : one;
}

static void watch_deadline(struct vlock_link *link, int64_t deadline_ns)
{
    if (!deadline_ns || (link->timer_deadline_ns && link->timer_deadline_ns <= deadline_ns))
        return;
    link->timer_deadline_ns = deadline_ns;
    vlock_link_set_timer(&link->deadline_timer, deadline_ns - vlock_clock_now());
}

/* Ends the requests of a list whose time has passed, and returns the earliest time of the others;
 * 0: there is none. One that was sent and whose caller waits no longer stays until its deadline: it
 * tells whether the connection is silent. */
static int64_t expire(struct vlock_link *link, struct vlock_request_list *list, int64_t now,
                      enum vlock_link_outcome outcome, const char *message)
{
    struct vlock_request *request, *following;
    int64_t next = 0;
    for (request = TAILQ_FIRST(list); request; request = following) {
        bool is_sent = list == &link->inflight;
        following = TAILQ_NEXT(request, entry);
        bool is_late = request->deadline_ns && request->deadline_ns <= now;
        if (is_late || (request->limit_ns && request->limit_ns <= now)) {
            request->limit_ns = 0;
            if (is_late || !is_sent)
                unqueue(list, request);
            finish(request, outcome, NULL, message);
            if (!is_sent) /* else hiredis still holds it, and on_reply gives it back */
                give_back(request);
        }
        if (request->queued)
            next = earlier(next, earlier(request->deadline_ns, request->limit_ns));
    }
    return next;
}

/* Whether nothing at all was heard while a command waited for all of its time, and none waits that
 * may take longer. */
static bool has_gone_silent(const struct vlock_link *link, int64_t now)
{
    const struct vlock_request *request;
    bool is_silent = false;
    TAILQ_FOREACH (request, &link->inflight, entry) {
        if (!request->deadline_ns)
            return false;
        is_silent = is_silent || (request->deadline_ns <= now && request->sent_ns > link->heard_ns);
    }
    return is_silent;
}

/* The timer is set for the earliest deadline there was when it was set, not moved with every reply:
 * a busy link looks through its list once per time-out, not once per command. The program may have
 * been elsewhere meanwhile: what has arrived counts. */
static void on_deadline(struct vlock_link *link)
{
    int64_t now = vlock_clock_now();
    char message[600];
    link->timer_deadline_ns = 0;
    vlock_link_read(link);

    snprintf(message, sizeof message, "not sent: no connection to %s in time (%s)", link->name,
             link->trouble[0] ? link->trouble : "still connecting");
    int64_t next_waiting = expire(link, &link->waiting, now, VLOCK_LINK_FAILED, message);
    bool is_silent = has_gone_silent(link, now);
    snprintf(message, sizeof message, "no reply from %s in time", link->name);
    int64_t next_inflight = expire(link, &link->inflight, now, VLOCK_LINK_AMBIGUOUS, message);
    watch_deadline(link, next_waiting);
    watch_deadline(link, next_inflight);
    if (is_silent && link->context)
        vlock_link_drop(link, "it was silent for too long", false);
}

/* ---- commands ---- */

/* The connection ended before this request was answered. */
static void finish_unanswered(struct vlock_request *request, const redisAsyncContext *context)
{
    struct vlock_link *link = request->link;
    char message[900];
    const char *why = link->is_oversized ? "a reply began an array of more than 64 M elements"
                      : context->err && context->errstr[0] ? context->errstr
                                                           : link->trouble;
    if (link->is_refused && !link->has_served) {
        snprintf(message, sizeof message, "cannot connect to %s: %s", link->name, link->trouble);
        finish(request, VLOCK_LINK_FAILED, NULL, message);
    } else if (request->end_offset > vlock_link_sent_bytes(link, context)) {
        finish(request, VLOCK_LINK_NOT_SENT, NULL, NULL);
    } else if (!link->has_served && context->err == REDIS_ERR_PROTOCOL &&
               strncmp(why, "No support", 10) != 0) {
        /* no RESP: whatever it is, it ran nothing */
        snprintf(message, sizeof message, "what answers at %s is no Redis or Valkey: %s",
                 link->name, why);
        finish(request, VLOCK_LINK_FAILED, NULL, message);
    } else {
        snprintf(message, sizeof message, "the connection to %s ended before the reply came (%s)",
                 link->name, why);
        finish(request, VLOCK_LINK_AMBIGUOUS, NULL, message);
    }
}

/* A reply that says that we are not wanted here, whatever was asked. */
static void finish_refused(struct vlock_request *request, const redisReply *reply)
{
    struct vlock_link *link = request->link;
    char message[900];
    snprintf(message, sizeof message, "cannot connect to %s: the server refused us: %s", link->name,
             reply->str);
    finish(request, VLOCK_LINK_FAILED, NULL, message);
}

static void on_reply(redisAsyncContext *context, void *opaque, void *arg)
{
    struct vlock_request *request = arg;
    struct vlock_link *link = request->link;
    const redisReply *reply = opaque;

    unqueue(&link->inflight, request);
    if (!reply) {
        vlock_link_release_reserve(link); /* hiredis is ending the connection */
        finish_unanswered(request, context);
        give_back(request);
        return;
    }
    link->traffic.replies++;
    link->heard_ns = vlock_clock_now();
    link->pool->took_ns = link->heard_ns - request->sent_ns;
    link->answered_offset = request->end_offset;
    if (!link->is_proven && reply->type == REDIS_REPLY_ERROR && vlock_link_is_refusal(reply->str)) {
        finish_refused(request, reply);
    } else {
        link->is_proven = link->has_served = true;
        finish(request, VLOCK_LINK_REPLY, reply, NULL);
    }
    give_back(request);
    vlock_link_check_unasked(link, context);
}

struct vlock_request *vlock_link_send(struct vlock_link *link, const char *bytes, size_t length,
                                      int64_t deadline_ns, int64_t limit_ns,
                                      vlock_link_callback *callback, void *user)
{
    struct vlock_request *request = take_request(link);
    if (!request)
        return NULL;
    request->callback = callback;
    request->user = user;
    request->deadline_ns = deadline_ns;
    request->limit_ns = limit_ns;
    request->sent_ns = 0;
    request->end_offset = 0;
    request->queued = true;

    if (link->state == LINK_UP) {
        if (vlock_link_queue(link, on_reply, request, bytes, length) != 0) {
            request->queued = false;
            give_back(request);
            return NULL;
        }
        link->traffic.commands++;
        link->pool->commands++;
        link->pool->latest = link;
        request->sent_ns = link->pool->sent_ns = vlock_clock_now();
        link->queued_bytes += length;
        request->end_offset = link->queued_bytes;
        TAILQ_INSERT_TAIL(&link->inflight, request, entry);
    } else {
        TAILQ_INSERT_TAIL(&link->waiting, request, entry);
        if (link->state == LINK_DOWN)
            vlock_link_connect(link);
    }
    watch_deadline(link, earlier(deadline_ns, limit_ns));
    return request;
}

bool vlock_link_cancel(struct vlock_request *request)
{
    request->callback = NULL;
    return request->end_offset != 0;
}

void vlock_link_distrust(struct vlock_link *link)
{
    if (link->context && link->state == LINK_UP)
        vlock_link_drop(link, "its replies have been mixed up", false);
}

void vlock_link_rest(struct vlock_link *link, int64_t delay_ns)
{
    if (delay_ns < 0)
        vlock_link_clear_timer(&link->state_timer);
    else
        vlock_link_set_timer(&link->state_timer, delay_ns);
}

void vlock_link_let_go(struct vlock_link *link, enum vlock_link_outcome outcome,
                       const char *message)
{
    vlock_link_finish_waiting(link, outcome, message);
}

void vlock_link_end(struct vlock_link *link, const char *why)
{
    vlock_link_finish_waiting(link, VLOCK_LINK_NOT_SENT, NULL);
    if (link->context)
        vlock_link_drop(link, why, false);
    else if (link->state == LINK_RESTING)
        link->state = LINK_DOWN;
}

/* ---- life ---- */

struct vlock_link *vlock_link_new(struct vlock_link_pool *pool, const struct vlock_url *url,
                                  const struct vlock_link_options *options,
                                  struct vlock_error *error)
{
    struct vlock_link *link = calloc(1, sizeof *link);
    if (!link)
        goto failed;
    TAILQ_INIT(&link->waiting);
    TAILQ_INIT(&link->inflight);
    TAILQ_INIT(&link->spare);
    link->pool = pool;
    link->options = *options;
    link->rest_ns = VLOCK_LINK_RECONNECT_FIRST_NS;
    if (vlock_url_copy(url, &link->url) != 0)
        goto failed;
    vlock_url_print(&link->url, link->name, sizeof link->name);
    link->state_timer.on_due = vlock_link_on_state_timer;
    link->deadline_timer.on_due = on_deadline;
    if (!vlock_link_make_timers(link))
        goto failed;
    link->next = pool->all;
    link->place = &pool->all;
    if (options->on_rest)
        link->state = LINK_RESTING;
    if (link->next)
        link->next->place = &link->next;
    pool->all = link;
    return link;

failed:
    vlock_error_set(error, VLOCK_ERR_MEMORY, "out of memory");
    if (link) {
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
    vlock_link_clear_timer(&link->state_timer);
    vlock_link_clear_timer(&link->deadline_timer);
    vlock_link_mark_dirty(link);
}

void vlock_link_close(struct vlock_link *link)
{
    if (!link || link->is_freed)
        return;
    struct vlock_request *request;
    uint64_t sent = link->context ? vlock_link_sent_bytes(link, link->context) : 0;
    TAILQ_FOREACH (request, &link->waiting, entry)
        finish(request, VLOCK_LINK_FAILED, NULL, "not sent: its connection was closed");
    TAILQ_FOREACH (request, &link->inflight, entry)
        if (request->end_offset > sent)
            finish(request, VLOCK_LINK_FAILED, NULL, "not sent: its connection was closed");
        else
            finish(request, VLOCK_LINK_AMBIGUOUS, NULL,
                   "the connection was closed before the reply came");
    vlock_link_free(link);
}

static void free_list(struct vlock_request_list *list)
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
        vlock_link_release_reserve(link);
        redisAsyncFree(link->context);
    }
    vlock_link_release_reserve(link);
    free_list(&link->waiting);
    free_list(&link->inflight);
    free_list(&link->spare);
    vlock_link_free_timers(link);
    vlock_url_clear(&link->url);
    free(link);
}

/* Of a connection on which nothing is under way and nothing was heard lately: the server may have
 * closed it meanwhile. Nothing that is written to it then is ever answered. */
static void look_before_writing(struct vlock_link *link)
{
    bool is_idle = link->state == LINK_GREETING ||
                   vlock_link_sent_bytes(link, link->context) == link->answered_offset;
    if (is_idle && (!link->is_proven || vlock_clock_now() - link->heard_ns > IDLE_NS))
        vlock_link_read(link);
}

static bool has_to_write(const struct vlock_link *link)
{
    return link->context && (link->state == LINK_UP || link->state == LINK_GREETING) &&
           sdslen(link->context->c.obuf) > link->written &&
           !event_pending(link->writable, EV_WRITE, NULL);
}

static void flush(struct vlock_link *link)
{
    if (link->state == LINK_SECURING && !link->is_refused)
        vlock_link_secure(link);
    if (link->has_to_greet && link->context && !link->is_refused) {
        link->has_to_greet = false;
        vlock_link_greet(link);
    }
    if (link->is_refused && link->context) {
        vlock_link_drop(link, link->trouble, true);
        return;
    }
    if (link->announce) {
        link->announce = false;
        vlock_link_finish_waiting(link, VLOCK_LINK_NOT_SENT, NULL);
    }
    if (has_to_write(link))
        look_before_writing(link);
    if (has_to_write(link) && !link->is_refused)
        vlock_link_write(link);
}

void vlock_link_pool_flush(struct vlock_link_pool *pool)
{
    struct vlock_link *link = pool->dirty;
    pool->dirty = pool->latest = NULL;
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

#define LEAST_AHEAD 4 /* of what is under way it is this part, or more */

void vlock_link_pool_write_ahead(struct vlock_link_pool *pool)
{
    struct vlock_link *link = pool->latest;
    pool->latest = NULL;
    if (!link || link->is_freed || link->state != LINK_UP || !has_to_write(link))
        return;
    uint64_t unwritten = sdslen(link->context->c.obuf) - link->written;
    if (unwritten * LEAST_AHEAD >= link->queued_bytes - link->answered_offset)
        flush(link);
}

void vlock_link_pool_watch(struct vlock_link_pool *pool)
{
    for (struct vlock_link *link = pool->all; link; link = link->next)
        if (link->context)
            vlock_host_loop_add(pool->host_loop, vlock_link_descriptor(link),
                                event_pending(link->writable, EV_WRITE, NULL));
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
