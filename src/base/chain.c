/* Whether the commits of one key form one chain: see chain.h. */
#include "base/chain.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

enum {
    IS_UNKNOWN = 1,
    IS_UNPLACED = 2, /* unknown, and so is the state that it made */
    IS_USED = 4,     /* in the chain */
    IS_START = 8,    /* on a base that nobody is known to have made */
};

struct step {
    uint64_t base, made;
    uint32_t base_content, made_content;
};

struct vlock_chain {
    struct step *steps;
    unsigned char *flags;
    size_t count, capacity;
};

/* Steps by one of their two states, one step for each: open addressing. */
struct step_index {
    uint32_t *slots;
    size_t mask;
    size_t offset; /* of the state in a step */
};

/* One check. */
struct walk {
    struct vlock_chain *chain;
    struct step_index index;
    struct vlock_chain_state first, last;
    bool is_last_made; /* somebody is known to have made it, or it is the first */
    bool is_last_reached;
    int64_t bridges;    /* ends at which an unplaced write may have gone on */
    int64_t after_last; /* commits that the chain goes on with from the last state */
    struct vlock_chain_result *result;
};

struct vlock_chain *vlock_chain_new(void)
{
    return calloc(1, sizeof(struct vlock_chain));
}

void vlock_chain_free(struct vlock_chain *chain)
{
    if (!chain)
        return;
    free(chain->steps);
    free(chain->flags);
    free(chain);
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
    return x ^ (x >> 32);
}

uint64_t vlock_chain_id(const void *bytes, size_t count)
{
    const unsigned char *at = bytes;
    uint64_t hash = mix(count + 0x9e3779b97f4a7c15u);
    for (; count >= 8; at += 8, count -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        hash = mix(hash ^ word) + 0x9e3779b97f4a7c15u;
    }
    uint64_t rest = 0;
    if (count)
        memcpy(&rest, at, count);
    return mix(hash ^ rest);
}

/* ---- adding ---- */

static int add(struct vlock_chain *chain, struct vlock_chain_state base,
               struct vlock_chain_state made, unsigned char flags)
{
    if (chain->count == chain->capacity) {
        size_t capacity = chain->capacity ? chain->capacity * 2 : 16;
        if (capacity > (size_t)1 << 31)
            return -1;
        struct step *steps = realloc(chain->steps, capacity * sizeof *steps);
        if (steps)
            chain->steps = steps;
        unsigned char *all_flags = steps ? realloc(chain->flags, capacity) : NULL;
        if (!all_flags)
            return -1;
        chain->flags = all_flags;
        chain->capacity = capacity;
    }
    chain->steps[chain->count] = (struct step){base.id, made.id, base.content, made.content};
    chain->flags[chain->count++] = flags;
    return 0;
}

int vlock_chain_commit(struct vlock_chain *chain, struct vlock_chain_state base,
                       struct vlock_chain_state made)
{
    return add(chain, base, made, 0);
}

int vlock_chain_unknown(struct vlock_chain *chain, struct vlock_chain_state base,
                        struct vlock_chain_state made)
{
    return add(chain, base, made, IS_UNKNOWN);
}

int vlock_chain_unplaced(struct vlock_chain *chain, struct vlock_chain_state base)
{
    return add(chain, base, base, IS_UNKNOWN | IS_UNPLACED);
}

/* ---- the index ---- */

/* At most half of the slots are used. */
static bool make_index(struct step_index *index, size_t count)
{
    size_t size = 4;
    while (size < count * 2)
        size *= 2;
    index->slots = malloc(size * sizeof *index->slots);
    index->mask = size - 1;
    return index->slots != NULL;
}

static void empty_index(struct step_index *index, size_t offset)
{
    index->offset = offset;
    memset(index->slots, 0xff, (index->mask + 1) * sizeof *index->slots);
}

static uint64_t state_of(const struct step_index *index, const struct step *step)
{
    uint64_t state;
    memcpy(&state, (const char *)step + index->offset, sizeof state);
    return state;
}

/* The slot of the step with this state, or the empty one where it would go. */
static uint32_t *find(const struct walk *walk, uint64_t state)
{
    const struct step_index *index = &walk->index;
    size_t slot = mix(state) & index->mask;
    while (index->slots[slot] != NONE &&
           state_of(index, &walk->chain->steps[index->slots[slot]]) != state)
        slot = (slot + 1) & index->mask;
    return &index->slots[slot];
}

static void blame(struct walk *walk, enum vlock_chain_fault fault, int64_t commit, int64_t other)
{
    struct vlock_chain_result *result = walk->result;
    if (result->culprit_count < VLOCK_CHAIN_CULPRITS)
        result->culprits[result->culprit_count++] =
            (struct vlock_chain_culprit){fault, commit, other};
}

/* ---- who made which state ---- */

/* Counts commits that made a state which another one made on another base. A commit takes the place
 * of an unknown write. */
static void index_made(struct walk *walk)
{
    struct vlock_chain *chain = walk->chain;
    empty_index(&walk->index, offsetof(struct step, made));
    for (size_t i = 0; i < chain->count; i++) {
        if (chain->flags[i] & IS_UNPLACED)
            continue;
        uint32_t *slot = find(walk, chain->steps[i].made);
        if (*slot == NONE) {
            *slot = (uint32_t)i;
        } else if (chain->flags[*slot] & IS_UNKNOWN) {
            *slot = chain->flags[i] & IS_UNKNOWN ? *slot : (uint32_t)i;
        } else if (!(chain->flags[i] & IS_UNKNOWN) &&
                   chain->steps[*slot].base != chain->steps[i].base) {
            walk->result->duplicated++;
            blame(walk, VLOCK_CHAIN_DUPLICATED, (int64_t)i, *slot);
        }
    }
}

static void find_starts(struct walk *walk)
{
    struct vlock_chain *chain = walk->chain;
    for (size_t i = 0; i < chain->count; i++)
        if (chain->steps[i].base != walk->first.id && *find(walk, chain->steps[i].base) == NONE)
            chain->flags[i] |= IS_START;
    walk->is_last_made = walk->last.id == walk->first.id || *find(walk, walk->last.id) != NONE;
}

/* ---- which step goes on from a state ---- */

/* Whether its state was found by anybody, which shows that it was made. */
static bool leads_on(const struct walk *walk, const struct step *step)
{
    return step->made == walk->last.id || *find(walk, step->made) != NONE;
}

/* All steps with these flags, one for each base: where there are several, one that leads on. A base
 * that has a step of another kind by then keeps it. In two passes, since what leads on can be said
 * only when all bases are known. */
static void index_kind(struct walk *walk, unsigned char kind)
{
    struct vlock_chain *chain = walk->chain;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < chain->count; i++) {
            if ((chain->flags[i] & IS_UNKNOWN) != kind)
                continue;
            uint32_t *slot = find(walk, chain->steps[i].base);
            if (*slot == NONE)
                *slot = (uint32_t)i;
            else if (pass == 1 && (chain->flags[*slot] & IS_UNKNOWN) == kind &&
                     !leads_on(walk, &chain->steps[*slot]) && leads_on(walk, &chain->steps[i]))
                *slot = (uint32_t)i;
        }
}

static void index_bases(struct walk *walk)
{
    empty_index(&walk->index, offsetof(struct step, base));
    index_kind(walk, 0);
    index_kind(walk, IS_UNKNOWN);
}

/* ---- the chain ---- */

static bool goes_on(struct walk *walk, uint64_t state, uint32_t i)
{
    const struct vlock_chain *chain = walk->chain;
    if (i == NONE || (chain->flags[i] & IS_USED))
        return false;
    if (!(chain->flags[i] & IS_UNKNOWN))
        return true;
    return state != walk->last.id && !(chain->flags[i] & IS_UNPLACED) &&
           leads_on(walk, &chain->steps[i]);
}

static void compare_content(struct walk *walk, uint32_t made, uint32_t found, int64_t finder,
                            int64_t maker)
{
    if (made != found) {
        walk->result->altered++;
        blame(walk, VLOCK_CHAIN_ALTERED, finder, maker);
    }
}

/* Follows the steps from this state as far as they go. */
static void follow(struct walk *walk, struct vlock_chain_state state)
{
    struct vlock_chain *chain = walk->chain;
    int64_t maker = VLOCK_CHAIN_NOBODY, since_last = -1;
    uint32_t i;
    while (goes_on(walk, state.id, i = *find(walk, state.id))) {
        const struct step *step = &chain->steps[i];
        compare_content(walk, state.content, step->base_content, i, maker);
        if (state.id == walk->last.id)
            since_last = 0;
        chain->flags[i] |= IS_USED;
        if (chain->flags[i] & IS_UNKNOWN) {
            walk->result->unknown_applied++;
        } else {
            walk->result->missing--;
            since_last += since_last >= 0;
        }
        state = (struct vlock_chain_state){step->made, step->made_content};
        maker = i;
    }
    if (state.id == walk->last.id) {
        walk->is_last_reached = true;
        compare_content(walk, state.content, walk->last.content, VLOCK_CHAIN_NOBODY, maker);
    } else if (i != NONE && (chain->flags[i] & IS_UNPLACED)) {
        walk->bridges++;
    } else if (since_last > 0) {
        walk->after_last += since_last;
        blame(walk, VLOCK_CHAIN_MISSING, maker, VLOCK_CHAIN_NOBODY);
    }
}

/* Follows the chain from the first state, and from every state that nobody is known to have made;
 * as many of these as there are unplaced writes to explain them are none's fault. */
static void follow_all(struct walk *walk)
{
    struct vlock_chain *chain = walk->chain;
    struct vlock_chain_result *result = walk->result;
    int64_t gaps = 0;
    follow(walk, walk->first);
    for (size_t i = 0; i < chain->count; i++)
        if ((chain->flags[i] & IS_START) && *find(walk, chain->steps[i].base) == i) {
            gaps++;
            follow(walk,
                   (struct vlock_chain_state){chain->steps[i].base, chain->steps[i].base_content});
        }
    gaps += !walk->is_last_made && !walk->is_last_reached;
    result->unreported = gaps > walk->bridges ? gaps - walk->bridges : 0;
    result->unknown_applied += gaps - result->unreported;
    if (!walk->is_last_reached)
        result->missing += walk->after_last;
}

static void blame_unreported(struct walk *walk)
{
    const struct vlock_chain *chain = walk->chain;
    for (size_t i = 0; i < chain->count; i++)
        if ((chain->flags[i] & IS_START) && *find(walk, chain->steps[i].base) == i)
            blame(walk, VLOCK_CHAIN_UNREPORTED, (int64_t)i, VLOCK_CHAIN_NOBODY);
    if (!walk->is_last_made && !walk->is_last_reached)
        blame(walk, VLOCK_CHAIN_UNREPORTED, VLOCK_CHAIN_NOBODY, VLOCK_CHAIN_NOBODY);
}

/* Commits that are not in the chain: lost where another one stands on their base. */
static void count_left_out(struct walk *walk)
{
    const struct vlock_chain *chain = walk->chain;
    for (size_t i = 0; i < chain->count; i++) {
        if (chain->flags[i] & (IS_UNKNOWN | IS_USED))
            continue;
        uint32_t stands = *find(walk, chain->steps[i].base);
        if (stands != i) {
            walk->result->lost_updates++;
            walk->result->missing--; /* it is counted already */
            blame(walk, VLOCK_CHAIN_LOST, (int64_t)i, stands);
        } else {
            blame(walk, VLOCK_CHAIN_MISSING, (int64_t)i, VLOCK_CHAIN_NOBODY);
        }
    }
}

static bool is_faultless(const struct vlock_chain_result *result)
{
    return result->lost_updates + result->duplicated + result->unreported + result->altered +
               result->missing ==
           0;
}

int vlock_chain_check(struct vlock_chain *chain, struct vlock_chain_state first,
                      struct vlock_chain_state last, struct vlock_chain_result *result)
{
    struct walk walk = {.chain = chain, .first = first, .last = last, .result = result};
    memset(result, 0, sizeof *result);
    if (!make_index(&walk.index, chain->count))
        return -1;
    for (size_t i = 0; i < chain->count; i++) {
        chain->flags[i] &= IS_UNKNOWN | IS_UNPLACED;
        result->commits += !(chain->flags[i] & IS_UNKNOWN);
    }
    result->missing = result->commits;
    index_made(&walk);
    find_starts(&walk);
    index_bases(&walk);
    follow_all(&walk);
    if (result->unreported > 0)
        blame_unreported(&walk);
    count_left_out(&walk);
    if (is_faultless(result) && !walk.is_last_reached && walk.is_last_made)
        result->missing = 1; /* whatever led elsewhere */
    result->whole = is_faultless(result);
    free(walk.index.slots);
    return 0;
}
