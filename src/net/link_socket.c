/* Reading and writing of a link: see link_parts.h. hiredis has the protocol; libevent waits. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "process/sigpipe.h"
#include "net/link_parts.h"
#include "net/host_loop.h"

#define LARGE_BUFFER 65536 /* bytes: one that has been larger is given back */

/* ---- what comes ---- */

uint64_t vlock_link_sent_bytes(const struct vlock_link *link, const redisAsyncContext *context)
{
    size_t gone = link->tried > link->written ? link->tried : link->written;
    return link->queued_bytes - (sdslen(context->c.obuf) - gone);
}

/* Whether the server owes a reply: then what comes is one. */
static bool is_reply_due(const struct vlock_link *link)
{
    if (link->state != LINK_UP)
        return link->greetings_left > 0 &&
               (link->written > 0 || sdslen(link->context->c.obuf) == 0);
    return vlock_link_sent_bytes(link, link->context) > link->answered_offset;
}

/* RESP3 has messages that nobody asked for. */
static bool is_push(const struct vlock_link *link, char first)
{
    return link->options.is_resp3 && first == '>';
}

/* Says what was heard though nothing was asked. */
static void refuse_unasked(struct vlock_link *link, const char *bytes, size_t length)
{
    char text[64], why[160];
    size_t count = 0;
    while (count < length && count < sizeof text - 1 && bytes[count] != '\r' &&
           bytes[count] != '\n') {
        text[count] = isprint((unsigned char)bytes[count]) ? bytes[count] : '?';
        count++;
    }
    text[count] = '\0';
    if (text[0] == '-' && vlock_link_is_refusal(text + 1))
        snprintf(why, sizeof why, "the server refused us: %s", text + 1);
    else
        snprintf(why, sizeof why,
                 "what listens there is no Redis or Valkey: it said \"%s\" unasked", text);
    vlock_link_refuse(link, why);
}

/* hiredis ends the process over a reply that nobody waits for. */
static bool is_unasked(struct vlock_link *link)
{
    char bytes[64];
    if (is_reply_due(link))
        return false;
    ssize_t got = recv(link->context->c.fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
    if (got <= 0 || is_push(link, bytes[0]))
        return false; /* the end, which hiredis sees as well */
    refuse_unasked(link, bytes, (size_t)got);
    return true;
}

void vlock_link_check_unasked(struct vlock_link *link, redisAsyncContext *context)
{
    redisReader *reader = context->c.reader;
    if (is_reply_due(link) || reader->pos >= reader->len || is_push(link, reader->buf[reader->pos]))
        return;
    refuse_unasked(link, reader->buf + reader->pos, reader->len - reader->pos);
}

/* Elements of one array: half a gigabyte of pointers. */
#define LONGEST_ARRAY (64 * 1024 * 1024)

#ifdef REDIS_REPLY_MAP /* hiredis 1.0 */
typedef size_t array_length;
#else
typedef int array_length;
#endif

static void *create_array(const redisReadTask *task, array_length length)
{
    struct vlock_link *link = task->privdata;
    if (length > LONGEST_ARRAY) {
        link->is_oversized = true;
        return NULL;
    }
    return link->usual_functions->createArray(task, length);
}

void vlock_link_limit_replies(struct vlock_link *link)
{
    redisReader *reader = link->context->c.reader;
    link->is_oversized = false;
    link->usual_functions = reader->fn;
    link->reply_functions = *reader->fn;
    link->reply_functions.createArray = create_array;
    reader->fn = &link->reply_functions;
    reader->privdata = link;
    reader->maxbuf = 0; /* see shrink_reader */
}

/* Gives back the memory of a large reply. hiredis would do so itself, and ends the process where it
 * cannot have a small buffer in its place. */
static void shrink_reader(struct vlock_link *link)
{
    redisReader *reader = link->context->c.reader;
    if (!reader->buf || reader->pos < reader->len || sdsalloc(reader->buf) <= LARGE_BUFFER)
        return;
    sds empty = sdsempty();
    if (!empty)
        return;
    sdsfree(reader->buf);
    reader->buf = empty;
    reader->pos = reader->len = 0;
}

static bool is_readable(struct vlock_link *link)
{
    if (link->tls)
        vlock_link_take_in(link);
    struct pollfd end = {.fd = link->context->c.fd, .events = POLLIN};
    return poll(&end, 1, 0) > 0;
}

void vlock_link_read(struct vlock_link *link)
{
    while (link->context && !link->is_refused && is_readable(link)) {
        if (is_unasked(link))
            return;
        shrink_reader(link);
        redisAsyncHandleRead(link->context);
    }
}

static void read_now(struct vlock_link *link)
{
    if (link->tls) { /* more may have come than is read at once */
        vlock_link_read(link);
        return;
    }
    if (link->is_refused || is_unasked(link))
        return;
    shrink_reader(link);
    redisAsyncHandleRead(link->context);
}

/* Whether one waits here, for one reply. */
static bool serves_one(const struct vlock_link *link)
{
    const struct vlock_request *first = TAILQ_FIRST(&link->inflight);
    return first && !TAILQ_NEXT(first, entry);
}

static void note_heard(struct vlock_link *link)
{
    struct vlock_link_pool *pool = link->pool;
    if (link->heard_place)
        return;
    link->heard_place = pool->heard ? pool->heard_end : &pool->heard;
    *link->heard_place = link;
    link->next_heard = NULL;
    pool->heard_end = &link->next_heard;
}

static void forget_heard(struct vlock_link *link)
{
    if (!link->heard_place)
        return;
    *link->heard_place = link->next_heard;
    if (link->next_heard)
        link->next_heard->heard_place = link->heard_place;
    else
        link->pool->heard_end = link->heard_place;
    link->heard_place = NULL;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct vlock_link *link = arg;
    if (link->state == LINK_SECURING)
        vlock_link_secure(link);
    else if (serves_one(link))
        note_heard(link);
    else
        read_now(link);
}

bool vlock_link_pool_read_one(struct vlock_link_pool *pool)
{
    struct vlock_link *link = pool->heard;
    if (!link)
        return false;
    forget_heard(link);
    read_now(link);
    return true;
}

/* ---- what goes ---- */

void vlock_link_wait_until_writable(struct vlock_link *link)
{
    if (event_pending(link->writable, EV_WRITE, NULL))
        return;
    event_add(link->writable, NULL);
    vlock_host_loop_change(link->pool->host_loop, vlock_link_descriptor(link), true);
}

static void hook_del_write(void *arg)
{
    struct vlock_link *link = arg;
    if (!event_pending(link->writable, EV_WRITE, NULL))
        return;
    event_del(link->writable);
    vlock_host_loop_change(link->pool->host_loop, vlock_link_descriptor(link), false);
}

/* Under TLS what was tried may have gone. */
static void note_tried(struct vlock_link *link, size_t length)
{
    link->tried = link->written + (length < VLOCK_TLS_RECORD ? length : VLOCK_TLS_RECORD);
}

/* Forgets what has gone of the buffer: all of it, or half of it or more. So a byte is moved once,
 * however large the whole is. */
static void forget_written(struct vlock_link *link)
{
    redisContext *context = &link->context->c;
    size_t length = sdslen(context->obuf);
    if (link->written == length && length > LARGE_BUFFER) {
        sds empty = sdsempty();
        if (!empty)
            return;
        sdsfree(context->obuf);
        context->obuf = empty;
    } else if (link->written == length) {
        sdsclear(context->obuf);
    } else if (link->written > LARGE_BUFFER && link->written > length / 2 && length < INT_MAX) {
        sdsrange(context->obuf, (int)link->written, -1);
        link->tried = link->tried > link->written ? link->tried - link->written : 0;
        link->written = 0;
        return;
    } else {
        return;
    }
    link->written = link->tried = 0;
}

static ssize_t transmit(struct vlock_link *link, const char *bytes, size_t length)
{
    if (!link->tls)
        return send(link->context->c.fd, bytes, length, MSG_NOSIGNAL);
    struct vlock_sigpipe held;
    if (link->holds_sigpipe)
        vlock_sigpipe_hold(&held);
    ssize_t sent = vlock_tls_send(link->tls, bytes, length);
    int reason = errno;
    if (link->holds_sigpipe)
        vlock_sigpipe_release(&held);
    if (sent < 0)
        note_tried(link, length);
    errno = reason;
    return sent;
}

/* hiredis would move what is left of its buffer at each write that takes a part: of a large value
 * that is all of it, each time. */
static void write_buffer(struct vlock_link *link)
{
    redisContext *context = &link->context->c;
    while (link->written < sdslen(context->obuf)) {
        ssize_t sent =
            transmit(link, context->obuf + link->written, sdslen(context->obuf) - link->written);
        if (sent >= 0) {
            link->written += (size_t)sent;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            forget_written(link);
            vlock_link_wait_until_writable(link);
            return;
        } else if (errno != EINTR) {
            char why[128];
            snprintf(why, sizeof why, "%s", strerror(errno));
            vlock_link_read(link); /* replies that came before its end, and hiredis sees the end */
            if (link->context)
                vlock_link_drop(link, why, false);
            return;
        }
    }
    forget_written(link);
    hook_del_write(link);
}

/* Where the socket has just connected, or failed to, hiredis has to see that first; it writes as
 * well. */
static void finish_connecting(struct vlock_link *link)
{
    struct vlock_sigpipe held;
    /* hiredis may end the connection, and a new one begin, before it returns. */
    bool holds_sigpipe = link->holds_sigpipe;
    if (holds_sigpipe)
        vlock_sigpipe_hold(&held);
    link->is_flushing = true;
    redisAsyncHandleWrite(link->context);
    link->is_flushing = false;
    if (holds_sigpipe)
        vlock_sigpipe_release(&held);
}

void vlock_link_write(struct vlock_link *link)
{
    link->traffic.writes++;
    if (link->state == LINK_CONNECTING)
        finish_connecting(link);
    else
        write_buffer(link);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct vlock_link *link = arg;
    if (link->state == LINK_SECURING) {
        hook_del_write(link);
        vlock_link_secure(link);
    } else {
        vlock_link_write(link);
    }
}

/* ---- hiredis' wishes ---- */

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

/* hiredis asks for this with every command. Waiting for writability pays only while connecting and
 * after a write that took less than everything; else the flush at the end of the turn writes
 * without asking. */
static void hook_add_write(void *arg)
{
    struct vlock_link *link = arg;
    if (link->is_flushing || link->state == LINK_CONNECTING)
        vlock_link_wait_until_writable(link);
    else
        vlock_link_mark_dirty(link);
}

static void hook_cleanup(void *arg)
{
    struct vlock_link *link = arg;
    vlock_host_loop_remove(link->pool->host_loop, vlock_link_descriptor(link));
    forget_heard(link);
    event_free(link->readable);
    event_free(link->writable);
    link->readable = link->writable = NULL;
    vlock_link_end_tls(link);
    link->context = NULL;
}

int vlock_link_attach_events(struct vlock_link *link)
{
    redisAsyncContext *context = link->context;
    link->readable =
        event_new(link->pool->base, context->c.fd, EV_READ | EV_PERSIST, on_readable, link);
    link->writable =
        event_new(link->pool->base, context->c.fd, EV_WRITE | EV_PERSIST, on_writable, link);
    /* Once, to see that it can be done: what libevent needs for that it keeps. */
    if (!link->readable || !link->writable || event_add(link->readable, NULL) != 0 ||
        event_add(link->writable, NULL) != 0) {
        if (link->readable)
            event_free(link->readable);
        if (link->writable)
            event_free(link->writable);
        link->readable = link->writable = NULL;
        return -1;
    }
    event_del(link->readable);
    event_del(link->writable);
    context->data = link;
    context->ev.data = link;
    context->ev.addRead = hook_add_read;
    context->ev.delRead = hook_del_read;
    context->ev.addWrite = hook_add_write;
    context->ev.delWrite = hook_del_write;
    context->ev.cleanup = hook_cleanup;
    vlock_host_loop_add(link->pool->host_loop, link->context->c.fd, false);
    return 0;
}
