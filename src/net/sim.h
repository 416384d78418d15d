/*
 * A modelled network between clients and one server, in virtual time: a simulation's counterpart of
 * `link`. It knows when messages arrive and which of them get lost; what they say is their owner's
 * business, and so is what the server makes of them.
 *
 * A command travels one hop to the server, waits there until all that came before it are done, is
 * served for a time, and its reply travels one hop back. Messages of one wire, which is a modelled
 * connection, may or may not overtake each other.
 *
 * Every command that was sent ends for its client in exactly one event: its reply, a time-out, or
 * the end of its connection. What the client no longer waits for may still arrive at the server.
 */
#ifndef VLOCK_SIM_H
#define VLOCK_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/distribution.h"

struct vlock_sim;
struct vlock_sim_wire;

/* A time in which nothing is served. All 0: never. Nanoseconds. */
struct vlock_sim_outage {
    int64_t at_ns;    /* when the first one begins */
    int64_t every_ns; /* from the beginning of one to that of the next; 0: there is one only */
    int64_t takes_ns;
};

struct vlock_sim_settings {
    const struct vlock_clock *clock; /* outlives it */
    uint64_t seed;
    struct vlock_distribution delay; /* of one hop, ns; taken over, with its quantiles */
    bool is_ordered;                 /* no message of a wire overtakes another */
    int64_t timeout_ns;              /* for so long a client waits for a reply */
    /* Probabilities, of each message. Lost: nothing comes, nobody is told. Cut: the connection ends
     * at the other end of the hop. Late: the connection ends, and the command arrives all the same,
     * after one more hop that is as long as `lateness`. */
    double lost_request, lost_reply, cut_request, cut_reply, late_request;
    struct vlock_distribution lateness; /* ns; taken over */
    struct vlock_sim_outage stall;      /* what comes meanwhile is served afterwards */
    /* All connections end, with what is on its way; then another server goes on. Who sends
     * meanwhile waits for that one. */
    struct vlock_sim_outage failover;
};

/* What has happened so far. */
struct vlock_sim_counts {
    /* Arrivals of messages, time-outs, ends of connections, failovers; but those of wires that are
     * direct. */
    int64_t events;
    int64_t commands, lost, cut, late, timeouts, failovers;
    int64_t travelling; /* commands that have not arrived yet */
};

enum vlock_sim_event {
    VLOCK_SIM_NOTHING,
    VLOCK_SIM_ARRIVAL,  /* a command is at the server, which is to call vlock_sim_answer() */
    VLOCK_SIM_REPLY,    /* its reply is at the client */
    VLOCK_SIM_TIMEOUT,  /* the client waits no longer */
    VLOCK_SIM_CUT,      /* the client sees its connection end */
    VLOCK_SIM_FAILOVER, /* another server takes over */
};

/* A command under way, and then its reply. The network's; `slot`, `mark` and `sender` are for the
 * owner. */
struct vlock_sim_message {
    int slot;     /* small numbers from 1 that are used again: no two messages have the same */
    int mark;     /* free */
    void *sender; /* free; NULL at first */
    bool waits;   /* its client has not been told yet what became of it */
    bool is_direct;
    bool is_held; /* by the server */
    char pending; /* events that are to come */
    int64_t limit_ns;
    struct vlock_sim_wire *wire;
    TAILQ_ENTRY(vlock_sim_message) entry; /* among those of its wire that wait */
};

/* NULL when out of memory; the distributions are freed then, too. */
struct vlock_sim *vlock_sim_new(const struct vlock_sim_settings *settings);
void vlock_sim_free(struct vlock_sim *sim);

/* A connection; one that is direct takes no time, has no faults, and does not stand in the server's
 * queue: for those who look at the model from outside. The network's. NULL when out of memory. */
struct vlock_sim_wire *vlock_sim_wire_new(struct vlock_sim *sim, bool is_direct);

/* Sends a command, of which its client wants to know until `limit_ns` at the latest (0: as long as
 * of any). NULL when out of memory. */
struct vlock_sim_message *vlock_sim_send(struct vlock_sim *sim, struct vlock_sim_wire *wire,
                                         int64_t limit_ns);

/* When the next event is; INT64_MAX: there is none. */
int64_t vlock_sim_next_ns(const struct vlock_sim *sim);

/* The next event, which is now; NOTHING where it was none that anybody notices. `message` is NULL
 * with NOTHING and FAILOVER. After REPLY, TIMEOUT and CUT vlock_sim_forget() is to be called; after
 * CUT and FAILOVER, vlock_sim_next_cut() as well. */
enum vlock_sim_event vlock_sim_take(struct vlock_sim *sim, struct vlock_sim_message **message);

/* One more message whose client sees its connection end, since that was the connection's end; to be
 * forgotten too. NULL: there is none. */
struct vlock_sim_message *vlock_sim_next_cut(struct vlock_sim *sim);

/* The server takes so long for the command that has just arrived: when it will be done, after what
 * stands in its queue. */
int64_t vlock_sim_serve(struct vlock_sim *sim, const struct vlock_sim_message *message,
                        int64_t service_ns);

/* Sends the reply of a command that arrived, and will be done at `done_ns`. Whether there will be
 * an event of it: else the message is gone. */
bool vlock_sim_answer(struct vlock_sim *sim, struct vlock_sim_message *message, int64_t done_ns);

/* The client was told, or is no more. The message may be gone afterwards. */
void vlock_sim_forget(struct vlock_sim *sim, struct vlock_sim_message *message);

const struct vlock_sim_counts *vlock_sim_counts(const struct vlock_sim *sim);

#endif
