/* What the six rooms of a link share: link.c has its commands, link_queue.c hands them to hiredis,
 * link_connect.c makes its connections, link_tls.c secures them, link_socket.c reads and writes,
 * link_timers.c has what is due at a time. */
#ifndef VLOCK_LINK_PARTS_H
#define VLOCK_LINK_PARTS_H

#include <sys/queue.h>

#include <event2/event.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <hiredis/sds.h>

#include "base/clock.h"
#include "net/link.h"
#include "net/tls.h"

struct vlock_request {
    TAILQ_ENTRY(vlock_request) entry;
    struct vlock_link *link;
    vlock_link_callback *callback; /* NULL: nobody waits for it any more */
    void *user;
    int64_t deadline_ns, limit_ns, sent_ns; /* of the first two: see vlock_link_send() */
    /* Position of its last byte in the stream of this connection; 0: not handed to it. */
    uint64_t end_offset;
    bool queued; /* in a list of its link */
};

TAILQ_HEAD(vlock_request_list, vlock_request);

enum vlock_link_state {
    LINK_DOWN,       /* no connection, none wanted yet */
    LINK_CONNECTING, /* the socket connects */
    LINK_SECURING,   /* they shake hands for TLS */
    LINK_GREETING,   /* authentication and selection of the database are under way */
    LINK_UP,
    LINK_RESTING, /* waits before it connects again */
};

/* A time at which a link has something to do. */
struct vlock_link_timer {
    struct vlock_timer timer; /* the first: see vlock_link_pool_expire() */
    struct vlock_link *link;
    void (*on_due)(struct vlock_link *link);
};

struct vlock_link {
    struct vlock_link_pool *pool;
    struct vlock_link *next_dirty;
    /* Among those to read from, as long as heard_place is set: as next and place. */
    struct vlock_link *next_heard, **heard_place;
    /* Among all of the pool: the next one, and what points to this one. */
    struct vlock_link *next, **place;
    struct vlock_url url;
    char name[160];
    struct vlock_link_options options;
    enum vlock_link_state state;
    redisAsyncContext *context;
    struct vlock_tls *tls; /* NULL: this connection has none, or not yet */
    void *reserve; /* for hiredis, while there is a context: see vlock_link_release_reserve() */
    /* How hiredis makes replies: as usual, but for arrays that are too long. */
    redisReplyObjectFunctions reply_functions;
    const redisReplyObjectFunctions *usual_functions;
    bool is_oversized; /* this connection: an array was announced that is too long */
    struct event *readable, *writable;
    struct vlock_link_timer state_timer, deadline_timer;
    struct vlock_request_list waiting;  /* not handed to hiredis: no connection yet */
    struct vlock_request_list inflight; /* handed to hiredis, oldest first */
    struct vlock_request_list spare;
    int64_t timer_deadline_ns; /* what deadline_timer is set to; 0: nothing */
    uint64_t queued_bytes;     /* handed to hiredis on this connection */
    uint64_t answered_offset;  /* end of the last command that was answered on it */
    size_t written;            /* of what stands in hiredis' buffer: gone already */
    size_t tried;     /* of that, at the last write that did not take it all: may have gone */
    int64_t heard_ns; /* when the last reply came, or the connection */
    int greetings_left;
    int cut_greetings; /* in a row: connections that ended while we greeted */
    int64_t rest_ns;
    int64_t attempt_ns; /* when the present attempt to connect began; 0: there is none */
    unsigned generation;
    struct vlock_link_traffic traffic;
    bool is_dirty, is_flushing, is_freed, announce;
    bool holds_sigpipe; /* while hiredis writes: the program does not ignore it */
    /* A reply came since it connected: what accepts and hangs up at once is not connected to
     * without a rest. */
    bool is_proven;
    bool has_served;       /* a reply came at any time: it is a Redis server that will have us */
    bool has_to_greet;     /* at the next flush */
    bool has_failed;       /* to be served, since it was last */
    bool has_made_room;    /* of descriptors, since it connected last */
    bool is_refused;       /* by what was heard on this connection: it is to be dropped */
    char proof[20];        /* what the server is asked to say first, to show that it is one */
    char tls_trouble[256]; /* why this connection's TLS ended */
    char trouble[256];     /* why the last connection ended or was not made */
};

#define VLOCK_LINK_RECONNECT_FIRST_NS (10 * 1000 * 1000LL)

/* ---- link.c ---- */

/* Has vlock_link_pool_flush() look at this link. */
void vlock_link_mark_dirty(struct vlock_link *link);

/* Ends all that waits for a connection in the same way. */
void vlock_link_finish_waiting(struct vlock_link *link, enum vlock_link_outcome outcome,
                               const char *message);

/* ---- link_timers.c ---- */

#define VLOCK_LINK_TIMERS 2 /* that a link has */

/* Of a link that is being made, in its pool: makes room for its timers, which are not set, so that
 * setting one cannot fail. False when out of memory. */
bool vlock_link_make_timers(struct vlock_link *link);
void vlock_link_free_timers(struct vlock_link *link);

/* Has on_due called after so long, at once where that is not positive, instead of when it was to be
 * before; or not at all. */
void vlock_link_set_timer(struct vlock_link_timer *timer, int64_t delay_ns);
void vlock_link_clear_timer(struct vlock_link_timer *timer);

/* ---- link_queue.c ---- */

/* Hands a command in wire format to hiredis, behind those that are there. -1: out of memory, and
 * the connection is as it was before. */
int vlock_link_queue(struct vlock_link *link, redisCallbackFn *callback, void *user,
                     const char *bytes, size_t length);

/* The same for words, NUL-terminated. */
int vlock_link_queue_words(struct vlock_link *link, redisCallbackFn *callback, void *user,
                           int count, const char **words);

/* ---- link_connect.c ---- */

/* Begins to connect, from the loop, after a rest where the last attempts failed. */
void vlock_link_connect(struct vlock_link *link);

/* hiredis 0.14 ends the process where it lacks a few hundred bytes to end a connection, or to make
 * one. So they are there before it begins, and are let go of just before it ends one. */
void vlock_link_release_reserve(struct vlock_link *link);

/* Serves LINK_RESTING, and the states of an attempt to connect. */
void vlock_link_on_state_timer(struct vlock_link *link);

/* Ends the present connection from our side. Not from inside one of its own callbacks. hopeless:
 * there is no use in another attempt now. */
void vlock_link_drop(struct vlock_link *link, const char *why, bool hopeless);

/* Logs in, and what else comes before commands: after the socket has connected, from the flush. */
void vlock_link_greet(struct vlock_link *link);

/* Notes that the server does not want us, or is none: the connection is dropped at the next flush.
 * Safe in callbacks. */
void vlock_link_refuse(struct vlock_link *link, const char *why);

/* Whether this error, the first thing heard on a connection, is a refusal at the door and no answer
 * to a command. */
bool vlock_link_is_refusal(const char *error);

/* ---- link_tls.c ---- */

/* The socket that is the server's: with TLS, hiredis has another one. */
int vlock_link_descriptor(const struct vlock_link *link);

/* The socket has connected: LINK_SECURING. Safe in callbacks. */
void vlock_link_begin_tls(struct vlock_link *link);

/* Shakes hands as far as it goes now; then LINK_GREETING, or the connection has ended. */
void vlock_link_secure(struct vlock_link *link);

/* Hands over to hiredis what has come from the server. */
void vlock_link_take_in(struct vlock_link *link);

void vlock_link_end_tls(struct vlock_link *link);

/* ---- link_socket.c ---- */

void vlock_link_wait_until_writable(struct vlock_link *link);

/* Has libevent wait for the socket of a context that was just made. -1: out of memory. */
int vlock_link_attach_events(struct vlock_link *link);

/* Has hiredis refuse arrays that are too long on the connection that was just made: it would take
 * memory for what was announced, before anything of it has come. */
void vlock_link_limit_replies(struct vlock_link *link);

/* Writes what stands in hiredis' buffer; what is left goes when the socket takes it. */
void vlock_link_write(struct vlock_link *link);

/* Reads all that has arrived, and calls the callbacks for it. Not from inside one of them. The
 * connection may have ended afterwards. */
void vlock_link_read(struct vlock_link *link);

/* To be called in each callback of a reply: what stands behind the last reply that is due was not
 * asked for, and hiredis must not see it. */
void vlock_link_check_unasked(struct vlock_link *link, redisAsyncContext *context);

/* How many bytes of this connection's commands have gone. `context`: the link's, which it may have
 * let go of already while hiredis ends it. */
uint64_t vlock_link_sent_bytes(const struct vlock_link *link, const redisAsyncContext *context);

#endif
