/* What the rooms of a crowd share: crowd.c is its Lua side, crowd_client.c what its clients do,
 * crowd_policy.c what they ask their policies. */
#ifndef VLOCK_CROWD_PARTS_H
#define VLOCK_CROWD_PARTS_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/chain.h"
#include "base/clock.h"
#include "base/pace.h"
#include "base/random.h"
#include "base/timers.h"

struct vlock_chain_record;
struct vlock_histogram;
struct vlock_sim;
struct vlock_sim_message;
struct vlock_sim_wire;
struct vlock_sim_world;

/* A state of a cell. Its value is how often it was written, in decimal digits, and absent at 0: all
 * of a crowd's updates count up from nothing. id and content: as of base/chain.h. */
struct vlock_crowd_state {
    int64_t version;
    uint64_t id;
    uint32_t content;
};

#define VLOCK_CROWD_RECENT 4 /* states of a cell: a power of two */

struct vlock_crowd_cell {
    struct vlock_crowd_state now;
    struct vlock_chain_record *record;                          /* NULL: not opened yet */
    struct vlock_chain_sightings sightings[VLOCK_CROWD_RECENT]; /* by version, of recent ones */
};

enum vlock_crowd_phase {
    VLOCK_CROWD_ENDED, /* it makes no more updates */
    VLOCK_CROWD_RESTS_AND_READS,
    VLOCK_CROWD_RESTS_AND_BUILDS, /* that is, writes on what its last commit made */
    VLOCK_CROWD_READS,
    VLOCK_CROWD_WRITES,
    VLOCK_CROWD_BACKS_OFF,
};

/* Times in nanoseconds of virtual time, or where the update loop has them so, in seconds. */
struct vlock_crowd_client {
    struct vlock_timer timer;
    struct vlock_random random;
    struct vlock_crowd_state base, found; /* of its write; of its read */
    int64_t began_ns, sent_ns, ended_ns;  /* its update; its last command; all of it */
    double rtt, wakes_up;
    struct vlock_pace pace;
    int cell;
    int begun, commits; /* updates */
    int attempt;        /* that has failed, of this update */
    unsigned char phase;
    bool has_won; /* of its write, at the server */
    bool has_policy, has_conflict;
    bool is_shown;      /* its conflict holds what it was asked for: see crowd_policy.c */
    unsigned char made; /* bits: other fields of its conflict that were */
};

struct vlock_crowd {
    struct vlock_sim_world *world;
    struct vlock_sim *sim;
    struct vlock_histogram *latencies;
    struct vlock_crowd_client *clients;
    struct vlock_crowd_cell *cells;
    struct vlock_sim_wire **wires;
    struct vlock_timers timers; /* of clients that pause */
    lua_State *L;               /* of the step that is on: see crowd.c for what its stack holds */
    int64_t began_ns, now_ns;
    uint64_t seed;
    int client_count, cell_count, wire_count, active;
    int64_t until_ns;          /* on vlock_clock_now()'s clock: others shall have their turn */
    bool is_late;              /* that is over */
    int64_t asks;              /* of policies */
    int64_t per_worker;        /* updates of each client; -1: as many as are left */
    int64_t left;              /* updates not yet begun; -1: as many as it takes */
    double deadline;           /* seconds; INFINITY: there is none */
    int64_t read_ns, write_ns; /* how long they take the server */
    bool is_own;               /* whether each client keeps to its own cell */
    bool is_shared;            /* whether one policy serves all of them */
    bool has_policy;           /* whether there is any */
    bool has_begun, is_unsuited;
    struct vlock_crowd_client *asked; /* whose policy runs now; NULL: nobody's */
    const void *asked_conflict;       /* its table */
    int64_t refusals; /* of the scheduler, when it was made: vlock_scheduler_refusals() */
    int64_t commits, attempts, conflicts, gave_up, unfinished, commands, sleeps;
};

/* What its userdata holds, and a step has on its stack, in this order from slot 2 on: what it was
 * made with; by clients, their conflicts and their policies' functions; the metatable of conflicts;
 * by cells, their records; the world; the clients' own userdata, which outlasts the crowd's where
 * somebody has kept one's random numbers. */
enum {
    VLOCK_CROWD_SETTINGS = 1,
    VLOCK_CROWD_CONFLICTS,
    VLOCK_CROWD_RETRIES,
    VLOCK_CROWD_BACKOFFS,
    VLOCK_CROWD_CONFLICT_TYPE,
    VLOCK_CROWD_RECORDS,
    VLOCK_CROWD_WORLD,
    VLOCK_CROWD_CLIENTS,
    VLOCK_CROWD_VALUES = VLOCK_CROWD_CLIENTS
};

/* And behind these, in this order, the names of what is written into a conflict each time. */
enum {
    VLOCK_CROWD_ATTEMPT = VLOCK_CROWD_VALUES + 1,
    VLOCK_CROWD_RTT,
    VLOCK_CROWD_ELAPSED,
    VLOCK_CROWD_GAP,
};

/* Where one of them is on the stack of a step. */
#define VLOCK_CROWD_SLOT(value) ((value) + 1)

/* Bytes of a version in digits, with the end of the text. */
#define VLOCK_CROWD_DIGITS 21

/* Seconds, as the update loop counts them. */
static inline double vlock_crowd_seconds(int64_t ns)
{
    return (double)ns / VLOCK_NS_PER_SECOND;
}

/* ---- crowd_client.c; may raise ---- */

/* Begins the next update of a client, or ends it. */
void vlock_crowd_begin(struct vlock_crowd *crowd, struct vlock_crowd_client *client);

/* A command of the client is at the server; its reply is back; its pause is over. */
void vlock_crowd_arrive(struct vlock_crowd *crowd, struct vlock_sim_message *message);
void vlock_crowd_reply(struct vlock_crowd *crowd, struct vlock_crowd_client *client);
void vlock_crowd_wake(struct vlock_crowd *crowd, struct vlock_crowd_client *client);

/* ---- crowd_policy.c; may raise ---- */

/* Pushes the names that stand in a step's stack. */
void vlock_crowd_push_names(lua_State *L);

/* Makes the metatable of conflicts, for the crowd whose userdata is at `index`, and pushes it. */
void vlock_crowd_push_conflict_type(lua_State *L, int index);

/* Whether it has met what it does not suit, or a policy has wanted to wait. */
bool vlock_crowd_is_unsuited(const struct vlock_crowd *crowd);

/* Asks the policy of a client what comes of its conflict. The seconds to wait; negative: it gave
 * up, and the first reason of all is in the settings, `give_up_reason`. */
double vlock_crowd_ask(struct vlock_crowd *crowd, struct vlock_crowd_client *client);

/* What the client has read after a conflict; that its update is committed: a policy may have kept
 * its conflict. */
void vlock_crowd_note_read(struct vlock_crowd *crowd, struct vlock_crowd_client *client);
void vlock_crowd_note_commit(struct vlock_crowd *crowd, struct vlock_crowd_client *client);

/* The client's update has ended, and with it its conflict; all of its updates, and with them its
 * policy. */
void vlock_crowd_forget_conflict(struct vlock_crowd *crowd, struct vlock_crowd_client *client);
void vlock_crowd_forget_policy(struct vlock_crowd *crowd, struct vlock_crowd_client *client);

#endif
