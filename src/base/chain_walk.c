/* Follows the commits of one key from state to state: see chain.h. */
#include "base/chain_parts.h"

#include <stdlib.h>
#include <string.h>

void vlock_chain_blame(struct vlock_chain_walk *walk, struct vlock_chain_culprit culprit)
{
    struct vlock_chain_result *result = walk->result;
    if (result->culprit_count < VLOCK_CHAIN_CULPRITS)
        result->culprits[result->culprit_count++] = culprit;
}

/* ---- the index ---- */

/* At most half of the slots are used. */
static bool make_index(struct vlock_chain_index *index, size_t count)
{
    size_t size = 4;
    while (size < count * 2)
        size *= 2;
    index->slots = malloc(size * sizeof *index->slots);
    index->mask = size - 1;
    return index->slots != NULL;
}

static void empty_index(struct vlock_chain_index *index, size_t offset)
{
    index->offset = offset;
    memset(index->slots, 0xff, (index->mask + 1) * sizeof *index->slots);
}

static uint64_t state_of(const struct vlock_chain_index *index, const struct vlock_chain_step *step)
{
    uint64_t state;
    memcpy(&state, (const char *)step + index->offset, sizeof state);
    return state;
}

/* The slot of the step with this state, or the empty one where it would go. */
uint32_t *vlock_chain_find(const struct vlock_chain_walk *walk, uint64_t state)
{
    const struct vlock_chain_index *index = &walk->index;
    size_t slot = vlock_chain_mix(state) & index->mask;
    while (index->slots[slot] != VLOCK_CHAIN_NONE &&
           state_of(index, &walk->chain->steps[index->slots[slot]]) != state)
        slot = (slot + 1) & index->mask;
    return &index->slots[slot];
}

static void blame(struct vlock_chain_walk *walk, enum vlock_chain_fault fault, int64_t commit,
                  int64_t other)
{
    vlock_chain_blame(
        walk, (struct vlock_chain_culprit){.fault = fault, .commit = commit, .other = other});
}

/* ---- who made which state ---- */

/* Counts commits that made a state which another one made on another base. A commit takes the place
 * of an unknown write. */
static void index_made(struct vlock_chain_walk *walk)
{
    struct vlock_chain *chain = walk->chain;
    empty_index(&walk->index, offsetof(struct vlock_chain_step, made));
    for (size_t i = 0; i < chain->count; i++) {
        if (chain->flags[i] & VLOCK_STEP_UNPLACED)
            continue;
        uint32_t *slot = vlock_chain_find(walk, chain->steps[i].made);
        if (*slot == VLOCK_CHAIN_NONE) {
            *slot = (uint32_t)i;
        } else if (chain->flags[*slot] & VLOCK_STEP_UNKNOWN) {
            *slot = chain->flags[i] & VLOCK_STEP_UNKNOWN ? *slot : (uint32_t)i;
        } else if (!(chain->flags[i] & VLOCK_STEP_UNKNOWN) &&
                   chain->steps[*slot].base != chain->steps[i].base) {
            walk->result->duplicated++;
            blame(walk, VLOCK_CHAIN_DUPLICATED, (int64_t)i, *slot);
        }
    }
}

/* Returns their number. */
static size_t find_starts(struct vlock_chain_walk *walk)
{
    struct vlock_chain *chain = walk->chain;
    size_t starts = 0;
    for (size_t i = 0; i < chain->count; i++)
        if (chain->steps[i].base != walk->first.id &&
            *vlock_chain_find(walk, chain->steps[i].base) == VLOCK_CHAIN_NONE) {
            chain->flags[i] |= VLOCK_STEP_START;
            starts++;
        }
    walk->is_last_made = walk->last.id == walk->first.id ||
                         *vlock_chain_find(walk, walk->last.id) != VLOCK_CHAIN_NONE;
    return starts;
}

/* ---- which step goes on from a state ---- */

/* Whether the state that it makes was found by anybody, which shows that it was made. */
static bool leads_on(const struct vlock_chain_walk *walk, uint32_t i)
{
    const struct vlock_chain_step *step = &walk->chain->steps[i];
    if (walk->chain->flags[i] & VLOCK_STEP_UNPLACED)
        return false; /* nobody knows which state that is */
    return step->made == walk->last.id || *vlock_chain_find(walk, step->made) != VLOCK_CHAIN_NONE;
}

/* How much speaks for a step where several stand on one base: one that leads on was made; one of
 * which nobody knows where it leads may have been. */
static int weight(const struct vlock_chain_walk *walk, uint32_t i)
{
    return leads_on(walk, i) ? 2 : (walk->chain->flags[i] & VLOCK_STEP_UNPLACED) != 0;
}

/* All steps with these flags, one for each base: of several the one with most weight. A base that
 * has a step of another kind by then keeps it. In two passes, since what leads on can be said
 * only when all bases are known. */
static void index_kind(struct vlock_chain_walk *walk, unsigned char kind)
{
    struct vlock_chain *chain = walk->chain;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < chain->count; i++) {
            if ((chain->flags[i] & VLOCK_STEP_UNKNOWN) != kind)
                continue;
            uint32_t *slot = vlock_chain_find(walk, chain->steps[i].base);
            if (*slot == VLOCK_CHAIN_NONE)
                *slot = (uint32_t)i;
            else if (pass == 1 && (chain->flags[*slot] & VLOCK_STEP_UNKNOWN) == kind &&
                     weight(walk, (uint32_t)i) > weight(walk, *slot))
                *slot = (uint32_t)i;
        }
}

static void index_bases(struct vlock_chain_walk *walk)
{
    empty_index(&walk->index, offsetof(struct vlock_chain_step, base));
    index_kind(walk, 0);
    index_kind(walk, VLOCK_STEP_UNKNOWN);
}

/* ---- the chain ---- */

static bool goes_on(struct vlock_chain_walk *walk, uint64_t state, uint32_t i)
{
    const struct vlock_chain *chain = walk->chain;
    if (i == VLOCK_CHAIN_NONE || (chain->flags[i] & VLOCK_STEP_USED))
        return false;
    if (!(chain->flags[i] & VLOCK_STEP_UNKNOWN))
        return true;
    return state != walk->last.id && leads_on(walk, i);
}

static void compare_content(struct vlock_chain_walk *walk, uint32_t made, uint32_t found,
                            int64_t finder, int64_t maker)
{
    if (!vlock_chain_is_same(made, found)) {
        walk->result->altered++;
        blame(walk, VLOCK_CHAIN_ALTERED, finder, maker);
    }
}

static void add_place(struct vlock_chain_walk *walk, uint32_t maker)
{
    if (maker != VLOCK_CHAIN_NONE)
        walk->place_of[maker] = walk->places;
    walk->makers[walk->places++] = maker;
}

/* A part of the chain begins, on the first state, or on one that nobody is known to have made. */
static void begin_part(struct vlock_chain_walk *walk)
{
    walk->parts++;
    add_place(walk, VLOCK_CHAIN_NONE);
}

/* Follows the steps from this state as far as they go. */
static void follow(struct vlock_chain_walk *walk, struct vlock_chain_state state)
{
    struct vlock_chain *chain = walk->chain;
    int64_t maker = VLOCK_CHAIN_NOBODY, since_last = -1;
    uint32_t i;
    begin_part(walk);
    while (goes_on(walk, state.id, i = *vlock_chain_find(walk, state.id))) {
        const struct vlock_chain_step *step = &chain->steps[i];
        compare_content(walk, state.content, step->base_content, i, maker);
        if (state.id == walk->last.id)
            since_last = 0;
        chain->flags[i] |= VLOCK_STEP_USED;
        if (chain->flags[i] & VLOCK_STEP_UNKNOWN) {
            walk->result->unknown_applied++;
        } else {
            walk->result->missing--;
            since_last += since_last >= 0;
        }
        state = (struct vlock_chain_state){step->made, step->made_content};
        maker = i;
        add_place(walk, i);
    }
    if (state.id == walk->last.id) {
        walk->is_last_reached = true;
        walk->last_place = walk->places - 1;
        compare_content(walk, state.content, walk->last.content, VLOCK_CHAIN_NOBODY, maker);
    } else if (i != VLOCK_CHAIN_NONE && (chain->flags[i] & VLOCK_STEP_UNPLACED)) {
        walk->bridges++;
        walk->bridge = i;
        walk->place_of[i] = walk->places;
    } else if (since_last > 0) {
        walk->after_last += since_last;
        blame(walk, VLOCK_CHAIN_MISSING, maker, VLOCK_CHAIN_NOBODY);
    }
}

/* Of two parts the write between them is known. */
static void close_gap(struct vlock_chain_walk *walk)
{
    walk->parts--;
    walk->chain->flags[walk->bridge] |= VLOCK_STEP_USED;
    walk->makers[walk->place_of[walk->bridge]] = walk->bridge;
}

/* Follows the chain from the first state, and from every state that nobody is known to have made;
 * as many of these as there are unplaced writes to explain them are none's fault. */
static void follow_all(struct vlock_chain_walk *walk)
{
    struct vlock_chain *chain = walk->chain;
    struct vlock_chain_result *result = walk->result;
    int64_t gaps = 0;
    follow(walk, walk->first);
    bool may_go_on = walk->bridges > 0;
    for (size_t i = 0; i < chain->count; i++)
        if ((chain->flags[i] & VLOCK_STEP_START) &&
            *vlock_chain_find(walk, chain->steps[i].base) == i) {
            gaps++;
            follow(walk,
                   (struct vlock_chain_state){chain->steps[i].base, chain->steps[i].base_content});
        }
    if (!walk->is_last_made && !walk->is_last_reached) {
        gaps++;
        begin_part(walk);
        walk->last_place = walk->places - 1;
    }
    result->unreported = gaps > walk->bridges ? gaps - walk->bridges : gaps > 0 && !may_go_on;
    if (gaps == 1 && may_go_on)
        close_gap(walk);
    result->unknown_applied += gaps - result->unreported;
    if (!walk->is_last_reached)
        result->missing += walk->after_last;
}

static void blame_unreported(struct vlock_chain_walk *walk)
{
    const struct vlock_chain *chain = walk->chain;
    for (size_t i = 0; i < chain->count; i++)
        if ((chain->flags[i] & VLOCK_STEP_START) &&
            *vlock_chain_find(walk, chain->steps[i].base) == i)
            blame(walk, VLOCK_CHAIN_UNREPORTED, (int64_t)i, VLOCK_CHAIN_NOBODY);
    if (!walk->is_last_made && !walk->is_last_reached)
        blame(walk, VLOCK_CHAIN_UNREPORTED, VLOCK_CHAIN_NOBODY, VLOCK_CHAIN_NOBODY);
}

/* Commits that are not in the chain: lost where another one stands on their base. */
static void count_left_out(struct vlock_chain_walk *walk)
{
    const struct vlock_chain *chain = walk->chain;
    for (size_t i = 0; i < chain->count; i++) {
        if (chain->flags[i] & (VLOCK_STEP_UNKNOWN | VLOCK_STEP_USED))
            continue;
        uint32_t stands = *vlock_chain_find(walk, chain->steps[i].base);
        if (stands != i) {
            walk->result->lost_updates++;
            walk->result->missing--; /* it is counted already */
            blame(walk, VLOCK_CHAIN_LOST, (int64_t)i, stands);
        } else {
            blame(walk, VLOCK_CHAIN_MISSING, (int64_t)i, VLOCK_CHAIN_NOBODY);
        }
    }
}

/* The places of so many states. */
static bool make_places(struct vlock_chain_walk *walk, size_t count)
{
    walk->makers = malloc(count * sizeof *walk->makers);
    walk->place_of = malloc((walk->chain->count + 1) * sizeof *walk->place_of);
    if (!walk->makers || !walk->place_of)
        return false;
    memset(walk->place_of, 0xff, walk->chain->count * sizeof *walk->place_of);
    return true;
}

int vlock_chain_follow(struct vlock_chain_walk *walk)
{
    struct vlock_chain *chain = walk->chain;
    struct vlock_chain_result *result = walk->result;
    if (!make_index(&walk->index, chain->count))
        return -1;
    for (size_t i = 0; i < chain->count; i++) {
        chain->flags[i] &= VLOCK_STEP_UNKNOWN | VLOCK_STEP_UNPLACED;
        result->commits += !(chain->flags[i] & VLOCK_STEP_UNKNOWN);
    }
    result->missing = result->commits;
    index_made(walk);
    size_t starts = find_starts(walk);
    /* One for what each step made, each part that one of these begins, the first and the last. */
    if (!make_places(walk, chain->count + starts + 2))
        return -1;
    index_bases(walk);
    follow_all(walk);
    if (result->unreported > 0)
        blame_unreported(walk);
    count_left_out(walk);
    bool is_faultless = result->lost_updates + result->duplicated + result->unreported +
                            result->altered + result->missing ==
                        0;
    if (is_faultless && !walk->is_last_reached && walk->is_last_made)
        result->missing = 1; /* whatever led elsewhere */
    return 0;
}

void vlock_chain_end_walk(struct vlock_chain_walk *walk)
{
    free(walk->index.slots);
    free(walk->makers);
    free(walk->place_of);
}
