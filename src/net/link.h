/*
 * One connection to a server.
 *
 * A link wraps a hiredis asynchronous context in libevent. It connects by itself when first used,
 * authenticates, selects the database of its URL, has a server that it meets for the first time
 * answer a PING, reconnects when the connection is lost, and gives every command a deadline of its
 * own. It knows nothing of Lua: a reply is handed to a callback, which may only record it.
 *
 * Every command that was accepted by vlock_link_send() ends in exactly one callback, never from
 * inside vlock_link_send() itself. Commands are not written when they are sent:
 * vlock_link_pool_flush(), called once a turn of the loop, hands everything that was queued on a
 * link to its socket in one write, and vlock_link_pool_write_ahead() a part of it before that.
 */
#ifndef VLOCK_LINK_H
#define VLOCK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/timers.h"
#include "base/url.h"
#include "vlock_error.h"

struct event_base;
struct redisReply;
struct vlock_link;
struct vlock_host_loop;
struct vlock_request;
struct vlock_tls_context;
struct vlock_topology;

/* What became of a command. */
enum vlock_link_outcome {
    /* `reply` is the server's answer; it is freed after the callback returns. */
    VLOCK_LINK_REPLY,
    /* Its last byte never reached the socket, so it did not run: send it again, with the same
     * deadline. */
    VLOCK_LINK_NOT_SENT,
    /* It did not run and there is no use in sending it again now; `message` says why. */
    VLOCK_LINK_FAILED,
    /* It reached the socket and no answer came: nobody knows whether it ran; `message` says why. */
    VLOCK_LINK_AMBIGUOUS,
};

/* `reply` only with VLOCK_LINK_REPLY, `message` (valid during the call) only with FAILED and
 * AMBIGUOUS. Must not send, free or raise: it records what it is told and returns. */
typedef void vlock_link_callback(void *user, enum vlock_link_outcome outcome,
                                 const struct redisReply *reply, const char *message);

/* The links of one loop. Owned by the caller, who zeroes it and sets `base`, `host_loop` and, if it
 * likes, `make_room`; it must outlive its links. */
struct vlock_link_pool {
    struct event_base *base;
    /* Lets go of descriptors that nobody needs: called where the system has none left. NULL: there
     * are none. */
    void (*make_room)(void *owner);
    void *owner;
    struct vlock_host_loop *host_loop; /* is told which sockets there are */
    int64_t commands;                  /* handed to connections, by all links together */
    int64_t sent_ns;                   /* when the last of them was, on vlock_clock_now()'s scale */
    int64_t took_ns; /* from one of them to its reply, the last that came; 0: none yet */
    struct vlock_link *all;
    int links;                         /* of `all`: how many */
    struct vlock_timers timers;        /* theirs, on vlock_clock_now()'s scale */
    struct vlock_topology *topologies; /* see route_topology.h */
    size_t routes;                     /* that were made: see route.h */
    /* Links with something to write, to announce or to free at the next flush. */
    struct vlock_link *dirty;
    /* The one that was sent the last command since the last flush or write ahead; NULL: none. */
    struct vlock_link *latest;
    /* Links to read from, in turn, and where the next one goes: see vlock_link_pool_read_one(). */
    struct vlock_link *heard, **heard_end;
};

struct vlock_link_options {
    int64_t connect_timeout_ns;    /* for one attempt to connect, authentication included */
    bool is_resp3;                 /* speak RESP3: only where vlock_link_has_resp3() */
    bool reconnects;               /* whether a lost connection is made again by itself */
    bool is_reader;                /* says READONLY: to a replica in a cluster */
    struct vlock_tls_context *tls; /* for a URL with TLS; outlives the link */
    /* Of a link that leads nowhere: it never connects, and what is sent on it waits for
     * vlock_link_let_go(). Called from the loop when vlock_link_rest() is over. NULL: it leads to
     * its URL. */
    void (*on_rest)(void *user);
    void *user;
};

/* Makes a link to `url` (copied). Does not connect yet. NULL and `error` when out of memory. */
struct vlock_link *vlock_link_new(struct vlock_link_pool *pool, const struct vlock_url *url,
                                  const struct vlock_link_options *options,
                                  struct vlock_error *error);

/* Ends the link. Commands under way end without a callback. The memory is released at the next
 * flush. NULL is ignored. */
void vlock_link_free(struct vlock_link *link);

/* The same for one that somebody closes while others may wait: commands under way end, those that
 * were handed to the connection AMBIGUOUS, the others FAILED. Not from a callback. */
void vlock_link_close(struct vlock_link *link);

/* Sends one command, already in the wire format (RESP array of bulk strings; copied), with a NUL
 * behind it that `length` does not count: hiredis looks one byte further. Two times on
 * vlock_clock_now()'s scale, 0 for none: after `deadline_ns` a connection on which nothing was
 * heard is taken for dead; after `limit_ns` this caller waits no longer, and the connection, which
 * others share, goes on. The handle is good for vlock_link_cancel() until the callback runs. NULL
 * when out of memory. */
struct vlock_request *vlock_link_send(struct vlock_link *link, const char *bytes, size_t length,
                                      int64_t deadline_ns, int64_t limit_ns,
                                      vlock_link_callback *callback, void *user);

/* The callback of this command will not be called. Returns whether the command was handed to the
 * connection: then nobody knows whether it runs. Else it surely does not. */
bool vlock_link_cancel(struct vlock_request *request);

/* A reply was another command's: what else comes on this connection cannot be trusted. Ends it;
 * what is under way on it is AMBIGUOUS. Not from a callback. */
void vlock_link_distrust(struct vlock_link *link);

/* Of a link that leads nowhere: has its on_rest called after so many nanoseconds, instead of when
 * it was to be before; negative: not at all. */
void vlock_link_rest(struct vlock_link *link, int64_t delay_ns);

/* Ends the commands that wait for a connection, in the same way: NOT_SENT, or FAILED and why. Not
 * from a callback. */
void vlock_link_let_go(struct vlock_link *link, enum vlock_link_outcome outcome,
                       const char *message);

/* Lets go of what waits, as NOT_SENT, and ends the connection, if there is one: what is under way
 * on it is AMBIGUOUS. The next command connects again. Not from a callback. */
void vlock_link_end(struct vlock_link *link, const char *why);

/* Writes what was sent since the last flush, one write per link; announces links that came up;
 * releases freed links. */
void vlock_link_pool_flush(struct vlock_link_pool *pool);

/* Of the link that was sent the last command, if it is up, writes what was sent since its last
 * write, where that is a quarter or more of all that is under way there: so the server works on it
 * while there is more to be sent, and N commands that come one after another go in a number of
 * writes that grows with log N. */
void vlock_link_pool_write_ahead(struct vlock_link_pool *pool);

/* Where a connection has one command under way, and so one who waits, a turn of the loop only notes
 * that its reply is there. This reads one such reply, so that who waits for it can go on and send
 * the next command before the reply on another connection is looked at: between clients that share
 * a key, what one has read grows old while others are served first. False: none is left to read,
 * and the loop can have its next turn. */
bool vlock_link_pool_read_one(struct vlock_link_pool *pool);

/* When, on vlock_clock_now()'s scale, the pool wants a turn of the loop though no socket has
 * anything for it: a time-out, the end of a rest, something to write; 0: at once. INT64_MAX: there
 * is nothing. */
int64_t vlock_link_pool_due(const struct vlock_link_pool *pool);

/* Does what is due at `now_ns`, on the same scale. To be called in each turn of the loop. */
void vlock_link_pool_expire(struct vlock_link_pool *pool, int64_t now_ns);

/* Tells the pool's `host_loop`, just opened, of the sockets that are open already. */
void vlock_link_pool_watch(struct vlock_link_pool *pool);

/* How often this link has connected so far. A command that depends on state of the connection
 * compares it. */
unsigned vlock_link_generation(const struct vlock_link *link);

/* The URL without its password; valid as long as the link. */
const char *vlock_link_name(const struct vlock_link *link);

/* Where it connects to; valid as long as the link. Holds the password. */
const struct vlock_url *vlock_link_url(const struct vlock_link *link);

/* Commands handed to the connection and replies received, since the link was made. */
struct vlock_link_traffic {
    int64_t commands;
    int64_t replies;
    int64_t writes; /* write system calls that this link asked for */
};
struct vlock_link_traffic vlock_link_traffic(const struct vlock_link *link);

/* Whether hiredis understands RESP3: from 1.0 on. */
bool vlock_link_has_resp3(void);

/* "hiredis 0.14.1". */
const char *vlock_link_library(void);

#endif
