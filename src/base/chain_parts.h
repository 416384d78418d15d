/* What the rooms of the chain share: chain.c takes what is added, chain_walk.c follows the commits
 * from state to state, chain_order.c holds them against the time. */
#ifndef VLOCK_CHAIN_PARTS_H
#define VLOCK_CHAIN_PARTS_H

#include "base/chain.h"

#define VLOCK_CHAIN_NONE UINT32_MAX

enum {
    VLOCK_STEP_UNKNOWN = 1,
    VLOCK_STEP_UNPLACED = 2, /* unknown, and so is the state that it made */
    VLOCK_STEP_USED = 4,     /* in the chain */
    VLOCK_STEP_START = 8,    /* on a base that nobody is known to have made */
};

/* From one state to the next. Of unknown outcome: its span has no end, which is INT64_MAX. */
struct vlock_chain_step {
    uint64_t base, made;
    uint32_t base_content, made_content;
    struct vlock_chain_span span;
};

/* A read, and what it found. */
struct vlock_chain_sight {
    struct vlock_chain_state found;
    struct vlock_chain_span span;
};

struct vlock_chain {
    struct vlock_chain_step *steps;
    unsigned char *flags;
    size_t count, capacity;
    struct vlock_chain_sight *sights;
    size_t sight_count, sight_capacity;
};

/* Steps by one of their two states, one step for each: open addressing. */
struct vlock_chain_index {
    uint32_t *slots;
    size_t mask;
    size_t offset; /* of the state in a step */
};

/* One check. The states of the chain have places, in their order, from 0, the first one. */
struct vlock_chain_walk {
    struct vlock_chain *chain;
    struct vlock_chain_index index;
    struct vlock_chain_state first, last;
    bool is_last_made; /* somebody is known to have made it, or it is the first */
    bool is_last_reached;
    int64_t bridges;    /* ends at which an unplaced write may have gone on */
    uint32_t bridge;    /* the last of these writes */
    int64_t after_last; /* commits that the chain goes on with from the last state */
    /* By place: the step that made the state; NONE where nobody is known to have: the first state,
     * and where another part of the chain begins. */
    uint32_t *makers;
    uint32_t *place_of; /* by step: of what it made, or as a bridge may have made; NONE */
    uint32_t places, parts;
    uint32_t last_place;
    struct vlock_chain_result *result;
};

/* Whether two contents can be one. */
static inline bool vlock_chain_is_same(uint32_t one, uint32_t other)
{
    return one == other || one == VLOCK_CHAIN_ANY || other == VLOCK_CHAIN_ANY;
}

/* A number that looks like no other: for tables. */
static inline uint64_t vlock_chain_mix(uint64_t x)
{
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
    return x ^ (x >> 32);
}

/* Follows the commits; fills in the result, and the places. 0, or -1 when out of memory; the walk
 * is to be ended either way. */
int vlock_chain_follow(struct vlock_chain_walk *walk);
void vlock_chain_end_walk(struct vlock_chain_walk *walk);
void vlock_chain_blame(struct vlock_chain_walk *walk, struct vlock_chain_culprit culprit);

/* Of a walk that is faultless: counts what did not keep to the order. 0, or -1 when out of
 * memory. */
int vlock_chain_keep_order(struct vlock_chain_walk *walk);

/* The slot of the step that stands on this state, where the walk has gone on from it if it has; or
 * the empty one, which holds NONE, where it would go. */
uint32_t *vlock_chain_find(const struct vlock_chain_walk *walk, uint64_t state);

#endif
