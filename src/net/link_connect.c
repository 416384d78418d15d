/* Connecting, logging in, and what becomes of a connection that ends: see link_parts.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "process/sigpipe.h"
#include "net/link_parts.h"
#include "base/random.h"

#define RESERVE 1024 /* bytes */
#define RECONNECT_LIMIT_NS (1000 * 1000 * 1000LL)
/* Where a Unix socket's queue is full, or links that were forgotten are to be closed. */
#define SHORT_PAUSE_NS (5 * 1000 * 1000LL)

/* After a pause that doubles while connections fail. The work is done from the loop, so that no
 * callback runs inside vlock_link_send(). */
void vlock_link_connect(struct vlock_link *link)
{
    bool at_once = link->is_proven || !link->has_failed;
    link->state = LINK_RESTING;
    link->is_proven = false;
    vlock_link_set_timer(&link->state_timer, at_once ? 0 : link->rest_ns);
    if (at_once)
        link->rest_ns = VLOCK_LINK_RECONNECT_FIRST_NS;
    else
        link->rest_ns =
            link->rest_ns * 2 > RECONNECT_LIMIT_NS ? RECONNECT_LIMIT_NS : link->rest_ns * 2;
}

#define MOST_CUT_GREETINGS 3

/* Whether the connection ended while we greeted, which may be chance: somebody kills connections,
 * or a server begins anew. */
static bool may_be_chance(struct vlock_link *link)
{
    return link->state == LINK_GREETING && ++link->cut_greetings < MOST_CUT_GREETINGS;
}

/* Says why, and decides what comes next: those who wait learn it at once when there is no hope of
 * another attempt. */
static void connection_ended(struct vlock_link *link, const char *why, bool hopeless)
{
    vlock_link_clear_timer(&link->state_timer);
    link->attempt_ns = 0;
    link->has_failed = !link->is_proven;
    snprintf(link->trouble, sizeof link->trouble, "%s", why);
    if (link->is_freed)
        return;
    if (hopeless || !link->options.reconnects || (!link->has_served && !may_be_chance(link))) {
        link->state = LINK_DOWN;
        char message[600];
        snprintf(message, sizeof message, "cannot connect to %s: %s", link->name, link->trouble);
        vlock_link_finish_waiting(link, VLOCK_LINK_FAILED, message);
        return;
    }
    if (TAILQ_EMPTY(&link->waiting))
        link->state = LINK_DOWN; /* nobody needs it now; the next command connects */
    else
        vlock_link_connect(link);
}

void vlock_link_release_reserve(struct vlock_link *link)
{
    free(link->reserve);
    link->reserve = NULL;
}

void vlock_link_drop(struct vlock_link *link, const char *why, bool hopeless)
{
    redisAsyncContext *context = link->context;
    char kept[sizeof link->trouble];
    snprintf(kept, sizeof kept, "%s", why); /* it may be the link's own */
    why = kept;
    if (context) {
        snprintf(link->trouble, sizeof link->trouble, "%s", why);
        /* on_disconnected must not see it: this function says what comes next. */
        context->data = NULL;
        vlock_link_release_reserve(link);
        redisAsyncFree(context);
    }
    connection_ended(link, why, hopeless);
}

static void link_is_up(struct vlock_link *link)
{
    vlock_link_clear_timer(&link->state_timer);
    link->state = LINK_UP;
    link->generation++;
    link->has_made_room = false;
    link->cut_greetings = 0;
    link->attempt_ns = 0;
    link->heard_ns = vlock_clock_now();
    link->trouble[0] = '\0';
    link->announce = true; /* at the next flush, outside of hiredis */
    vlock_link_mark_dirty(link);
}

bool vlock_link_is_refusal(const char *error)
{
    /* The last: a command of more than ten words, or with a long one, by whom it has not let in. */
    static const char *const beginnings[] = {"ERR max number of clients", "NOAUTH ", "DENIED ",
                                             "ERR Protocol error: unauthenticated "};
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
        if (strncmp(error, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    return false;
}

/* It is acted on at the flush: a context is not freed from inside its callback. */
void vlock_link_refuse(struct vlock_link *link, const char *why)
{
    if (link->is_refused)
        return; /* the first reason is the one */
    snprintf(link->trouble, sizeof link->trouble, "%s", why);
    link->is_refused = true;
    if (link->context) { /* whatever else it has said is of no use, and hiredis may not expect it */
        redisReader *reader = link->context->c.reader;
        reader->pos = reader->len;
    }
    vlock_link_mark_dirty(link);
}

static void on_greeting(redisAsyncContext *context, void *opaque, void *arg)
{
    struct vlock_link *link = arg;
    const redisReply *reply = opaque;
    if (!reply || link->state != LINK_GREETING || link->is_freed)
        return;
    if (reply->type == REDIS_REPLY_ERROR) {
        char why[sizeof link->trouble];
        snprintf(why, sizeof why, "the server refused us: %s", reply->str);
        vlock_link_refuse(link, why);
    } else if (--link->greetings_left == 0) {
        link_is_up(link);
        vlock_link_check_unasked(link, context);
    }
}

static void send_greeting(struct vlock_link *link, redisCallbackFn *callback, int count,
                          const char **words)
{
    link->greetings_left++;
    if (vlock_link_queue_words(link, callback, link, count, words) != 0)
        vlock_link_refuse(link, "out of memory");
}

static bool is_proof(const struct vlock_link *link, const redisReply *reply)
{
    /* It may not let us ask, or not now: but it answers as a server does. */
    if (reply->type == REDIS_REPLY_ERROR)
        return true;
    if (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_STATUS)
        return false;
    /* Some proxies answer so, whatever the text. */
    return strcmp(reply->str, link->proof) == 0 || strcmp(reply->str, "PONG") == 0;
}

/* The reply to a PING with a text that nobody else would say. Before it, nothing of the program's
 * is sent to what may be no server. */
static void on_proof(redisAsyncContext *context, void *opaque, void *arg)
{
    struct vlock_link *link = arg;
    const redisReply *reply = opaque;
    if (!reply || link->state != LINK_GREETING || link->is_freed)
        return;
    if (reply->type == REDIS_REPLY_ERROR && !vlock_link_is_refusal(reply->str)) {
        static const redisReply fine = {.type = REDIS_REPLY_STATUS};
        link->has_served = true;
        on_greeting(context, (void *)&fine, link);
    } else if (is_proof(link, reply)) {
        link->has_served = reply->type != REDIS_REPLY_ERROR;
        on_greeting(context, opaque, link);
    } else {
        vlock_link_refuse(
            link, "what listens there is no Redis or Valkey: it does not answer PING as these do");
    }
}

static void ask_for_proof(struct vlock_link *link)
{
    uint64_t number = 0;
    vlock_random_entropy(&number, sizeof number);
    snprintf(link->proof, sizeof link->proof, "%016llx", (unsigned long long)number);
    send_greeting(link, on_proof, 2, (const char *[]){"PING", link->proof});
}

/* HELLO 3, which also logs in, or AUTH; then SELECT or READONLY; and at the first time a proof that
 * a server is there. */
void vlock_link_greet(struct vlock_link *link)
{
    const struct vlock_url *url = &link->url;
    const char *user = url->user && url->user[0] ? url->user : NULL;
    const char *password = url->password ? url->password : ""; /* a user may have none */
    bool logs_in = url->password || user;
    char number[16];
    if (link->options.is_resp3)
        send_greeting(link, on_greeting, logs_in ? 5 : 2,
                      (const char *[]){"HELLO", "3", "AUTH", user ? user : "default", password});
    else if (user)
        send_greeting(link, on_greeting, 3, (const char *[]){"AUTH", user, password});
    else if (logs_in)
        send_greeting(link, on_greeting, 2, (const char *[]){"AUTH", password});
    if (url->db) {
        snprintf(number, sizeof number, "%d", url->db);
        send_greeting(link, on_greeting, 2, (const char *[]){"SELECT", number});
    }
    if (link->options.is_reader)
        send_greeting(link, on_greeting, 1, (const char *[]){"READONLY"});
    if (!link->has_served)
        ask_for_proof(link);
    if (!link->greetings_left)
        link_is_up(link);
}

static void on_connected(const redisAsyncContext *context, int status)
{
    struct vlock_link *link = context->data;
    if (!link)
        return;
    if (status == REDIS_OK && link->url.is_tls) {
        vlock_link_begin_tls(link);
    } else if (status == REDIS_OK) {
        /* hiredis would write the greeting at once, and lose what a server that hangs up has
         * said. */
        link->state = LINK_GREETING;
        link->has_to_greet = true;
        vlock_link_mark_dirty(link);
    } else {
        connection_ended(
            link, context->errstr && context->errstr[0] ? context->errstr : "connection refused",
            false);
    }
}

/* A server that wants TLS hangs up on whoever begins otherwise. */
static bool may_want_tls(const struct vlock_link *link)
{
    return link->state == LINK_GREETING && !link->has_served && !link->is_refused &&
           link->url.kind == VLOCK_URL_TCP && !link->url.is_tls;
}

static void on_disconnected(const redisAsyncContext *context, int status)
{
    struct vlock_link *link = context->data;
    if (!link)
        return;
    bool is_no_server = !link->has_served && context->err == REDIS_ERR_PROTOCOL;
    char why[sizeof link->trouble];
    snprintf(why, sizeof why, "%s%.150s%s",
             is_no_server ? "what answers there is no Redis or Valkey: " : "",
             link->is_refused                           ? link->trouble
             : link->tls_trouble[0]                     ? link->tls_trouble
             : status != REDIS_OK && context->errstr[0] ? context->errstr
                                                        : "the connection was closed",
             may_want_tls(link) ? " (a server that wants TLS has a URL with rediss://)" : "");
    connection_ended(link, why, link->is_refused || is_no_server);
}

static redisAsyncContext *new_context(const struct vlock_url *url)
{
    void *room = malloc(RESERVE); /* beside the reserve: for making it */
    free(room);
    errno = room ? 0 : ENOMEM;
    if (!room)
        return NULL;
    return url->kind == VLOCK_URL_UNIX ? redisAsyncConnectUnix(url->path)
                                       : redisAsyncConnect(url->host, url->port);
}

/* Whether so many connect to a Unix socket at once that its queue is full: there is room again as
 * soon as the server looks. */
static bool is_queue_full(const struct vlock_link *link, int reason)
{
    return link->url.kind == VLOCK_URL_UNIX && reason == EAGAIN &&
           vlock_clock_now() - link->attempt_ns < link->options.connect_timeout_ns;
}

/* Whether descriptors ran out, and some may be free again: once. */
static bool can_make_room(struct vlock_link *link, int reason)
{
    if ((reason != EMFILE && reason != ENFILE) || link->has_made_room || !link->pool->make_room)
        return false;
    link->has_made_room = true;
    link->pool->make_room(link->pool->owner);
    return true;
}

static void failed_to_begin(struct vlock_link *link, int reason)
{
    redisAsyncContext *context = link->context;
    char why[256];
    snprintf(why, sizeof why, "%s", context && context->err ? context->errstr : "out of memory");
    link->context = NULL;
    vlock_link_release_reserve(link);
    if (context)
        redisAsyncFree(context);
    if (is_queue_full(link, reason) || can_make_room(link, reason)) {
        link->state = LINK_RESTING;
        vlock_link_set_timer(&link->state_timer, SHORT_PAUSE_NS);
    } else {
        connection_ended(link, why, false);
    }
}

static void begin_connecting(struct vlock_link *link)
{
    if (!link->reserve)
        link->reserve = malloc(RESERVE);
    redisAsyncContext *context = link->reserve ? new_context(&link->url) : NULL;
    int reason = errno;
    if (context && context->c.fd >= 0)
        /* Programs that we start have no business on it. */
        fcntl(context->c.fd, F_SETFD, FD_CLOEXEC);
    if (!link->attempt_ns)
        link->attempt_ns = vlock_clock_now();
    link->state = LINK_CONNECTING;
    link->queued_bytes = link->answered_offset = link->written = link->tried = 0;
    link->tls_trouble[0] = '\0';
    link->greetings_left = 0;
    link->is_refused = link->has_to_greet = false;
    link->holds_sigpipe = !vlock_sigpipe_is_ignored();
    link->context = context;
    if (!context || context->err || vlock_link_attach_events(link) != 0) {
        failed_to_begin(link, reason);
        return;
    }
    vlock_link_limit_replies(link);
    if (link->url.kind == VLOCK_URL_TCP)
        redisEnableKeepAlive(&context->c);
    vlock_link_set_timer(&link->state_timer, link->options.connect_timeout_ns);
    redisAsyncSetDisconnectCallback(context, on_disconnected);
    /* This asks to wait until the socket can be written. */
    redisAsyncSetConnectCallback(context, on_connected);
}

/* One timer serves the two states that end by themselves: an attempt that takes too long, a rest
 * that is over. */
void vlock_link_on_state_timer(struct vlock_link *link)
{
    if (link->options.on_rest)
        link->options.on_rest(link->options.user);
    else if (link->state == LINK_RESTING)
        begin_connecting(link);
    else if (link->state == LINK_CONNECTING || link->state == LINK_SECURING ||
             link->state == LINK_GREETING) {
        link->cut_greetings = MOST_CUT_GREETINGS; /* silence is no chance */
        vlock_link_drop(link, "no connection in time", false);
    }
}
