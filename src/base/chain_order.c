/* Whether commits and reads keep to real time: see chain.h.
 *
 * The states of the chain have places. Before every read of a state stands the write that made it,
 * and behind them the write that made the next one. An operation is out of order if something that
 * stands behind it had ended before it began; so it is enough to know, for each place, what ended
 * first of all that stands behind it. */
#include "base/chain_parts.h"

#include <stdlib.h>
#include <string.h>

#define IS_READ ((uint32_t)1 << 31) /* in the number of an operation */

/* Where a state that was read stands. Reads of one state often follow each other. */
struct sighting {
    uint64_t id;
    uint32_t place;       /* NONE: it is not in the chain */
    bool is_passed_twice; /* it has two places: then a read of it tells nothing about the order */
};

struct order {
    struct vlock_chain_walk *walk;
    struct sighting last;   /* that was looked up */
    uint32_t *first_read;   /* by place: the read of its state that ended first; NONE */
    uint32_t *first_behind; /* by place: of all behind its reads; NONE */
};

static struct vlock_chain_span span_of(const struct vlock_chain_walk *walk, uint32_t operation)
{
    return operation & IS_READ ? walk->chain->sights[operation & ~IS_READ].span
                               : walk->chain->steps[operation].span;
}

/* Which of the two ended first, NONE where neither is. */
static uint32_t first_of(const struct vlock_chain_walk *walk, uint32_t one, uint32_t other)
{
    if (one == VLOCK_CHAIN_NONE || other == VLOCK_CHAIN_NONE)
        return one == VLOCK_CHAIN_NONE ? other : one;
    return span_of(walk, other).end < span_of(walk, one).end ? other : one;
}

static bool had_ended(const struct vlock_chain_walk *walk, uint32_t behind, uint32_t operation)
{
    return behind != VLOCK_CHAIN_NONE && span_of(walk, behind).end < span_of(walk, operation).begin;
}

static void blame(struct vlock_chain_walk *walk, enum vlock_chain_fault fault, uint32_t operation,
                  uint32_t other)
{
    bool has_other = other != VLOCK_CHAIN_NONE;
    vlock_chain_blame(walk,
                      (struct vlock_chain_culprit){
                          .fault = fault,
                          .commit = operation & ~IS_READ,
                          .is_read = operation & IS_READ,
                          .other = has_other ? (int64_t)(other & ~IS_READ) : VLOCK_CHAIN_NOBODY,
                          .is_other_read = has_other && other & IS_READ,
                      });
}

/* Of several writes of unknown outcome that would have made the same state on the same base nobody
 * knows which was applied: the one that began first is no false witness. */
static void take_first_of_twins(struct vlock_chain_walk *walk)
{
    const struct vlock_chain *chain = walk->chain;
    for (size_t i = 0; i < chain->count; i++) {
        uint32_t twin = *vlock_chain_find(walk, chain->steps[i].base);
        if (!(chain->flags[i] & VLOCK_STEP_UNKNOWN) || (chain->flags[i] & VLOCK_STEP_USED) ||
            !(chain->flags[twin] & VLOCK_STEP_USED) || !(chain->flags[twin] & VLOCK_STEP_UNKNOWN) ||
            chain->steps[twin].made != chain->steps[i].made)
            continue;
        uint32_t *maker = &walk->makers[walk->place_of[twin]];
        if (chain->steps[i].span.begin < chain->steps[*maker].span.begin)
            *maker = (uint32_t)i;
    }
}

/* ---- reads ---- */

/* The place of a state; NONE: it is not in the chain. */
static uint32_t place_of_state(const struct vlock_chain_walk *walk, uint64_t id)
{
    if (id == walk->last.id)
        return walk->last_place;
    uint32_t next = *vlock_chain_find(walk, id);
    if (next == VLOCK_CHAIN_NONE || walk->place_of[next] == VLOCK_CHAIN_NONE)
        return VLOCK_CHAIN_NONE;
    return walk->place_of[next] - 1;
}

/* A write of unknown outcome that is not in the chain stands on a state all the same, and somebody
 * has read that. */
static void find_bases(struct vlock_chain_walk *walk)
{
    const struct vlock_chain *chain = walk->chain;
    for (size_t i = 0; i < chain->count; i++)
        if (!(chain->flags[i] & VLOCK_STEP_USED) &&
            place_of_state(walk, chain->steps[i].base) == VLOCK_CHAIN_NONE) {
            walk->result->unreported++;
            blame(walk, VLOCK_CHAIN_UNREPORTED, (uint32_t)i, VLOCK_CHAIN_NONE);
        }
}

static bool is_passed_twice(const struct vlock_chain_walk *walk, uint64_t id)
{
    uint32_t next = *vlock_chain_find(walk, id);
    return id == walk->last.id && next != VLOCK_CHAIN_NONE &&
           (walk->chain->flags[next] & VLOCK_STEP_USED);
}

static struct sighting look_up(struct order *order, uint64_t id)
{
    if (order->last.id != id)
        order->last = (struct sighting){id, place_of_state(order->walk, id),
                                        is_passed_twice(order->walk, id)};
    return order->last;
}

/* Whether a read found what the state was made with; true where that is not known. */
static bool is_content_right(const struct vlock_chain_walk *walk, uint32_t place, uint32_t content)
{
    uint32_t maker = walk->makers[place];
    if (place == 0)
        return vlock_chain_is_same(content, walk->first.content);
    return maker == VLOCK_CHAIN_NONE || (walk->chain->flags[maker] & VLOCK_STEP_UNPLACED) ||
           vlock_chain_is_same(content, walk->chain->steps[maker].made_content);
}

/* Finds the place of every read and notes which of each place ended first. */
static void place_reads(struct order *order)
{
    struct vlock_chain_walk *walk = order->walk;
    for (size_t i = 0; i < walk->chain->sight_count; i++) {
        struct vlock_chain_state found = walk->chain->sights[i].found;
        struct sighting sighting = look_up(order, found.id);
        uint32_t read = (uint32_t)i | IS_READ, place = sighting.place;
        if (place == VLOCK_CHAIN_NONE) {
            walk->result->unreported++;
            blame(walk, VLOCK_CHAIN_UNREPORTED, read, VLOCK_CHAIN_NONE);
            continue;
        }
        if (!is_content_right(walk, place, found.content)) {
            walk->result->altered++;
            blame(walk, VLOCK_CHAIN_ALTERED, read,
                  walk->makers[place] == VLOCK_CHAIN_NONE ? VLOCK_CHAIN_NONE : walk->makers[place]);
        }
        if (!sighting.is_passed_twice)
            order->first_read[place] = first_of(walk, order->first_read[place], read);
    }
}

static void judge_reads(struct order *order)
{
    struct vlock_chain_walk *walk = order->walk;
    for (size_t i = 0; i < walk->chain->sight_count; i++) {
        struct sighting found = look_up(order, walk->chain->sights[i].found.id);
        uint32_t read = (uint32_t)i | IS_READ;
        if (found.place == VLOCK_CHAIN_NONE || found.is_passed_twice)
            continue;
        if (had_ended(walk, order->first_behind[found.place], read)) {
            walk->result->stale_reads++;
            blame(walk, VLOCK_CHAIN_STALE, read, order->first_behind[found.place]);
        }
    }
}

/* ---- writes ---- */

/* Goes through the places from the last to the first, one part of the chain after the other: what
 * stands behind is what stands in the same part, and behind the first part all of them. */
static void judge_writes(struct order *order)
{
    struct vlock_chain_walk *walk = order->walk;
    uint32_t behind = VLOCK_CHAIN_NONE, parts = walk->parts, behind_first = VLOCK_CHAIN_NONE;
    for (uint32_t place = walk->places; place-- > 0;) {
        uint32_t maker = walk->makers[place];
        order->first_behind[place] = behind;
        behind = first_of(walk, behind, order->first_read[place]);
        if (maker != VLOCK_CHAIN_NONE) {
            if (had_ended(walk, behind, maker)) {
                walk->result->out_of_order++;
                blame(walk, VLOCK_CHAIN_OUT_OF_ORDER, maker, behind);
            }
            behind = first_of(walk, behind, maker);
        } else if (place > 0) {
            behind_first = first_of(walk, behind_first, behind);
            behind = --parts == 1 ? behind_first : VLOCK_CHAIN_NONE;
        }
    }
}

int vlock_chain_keep_order(struct vlock_chain_walk *walk)
{
    size_t size = walk->places * sizeof(uint32_t);
    struct order order = {.walk = walk, .first_read = malloc(size), .first_behind = malloc(size)};
    int status = -1;
    if (order.first_read && order.first_behind) {
        memset(order.first_read, 0xff, size);
        take_first_of_twins(walk);
        find_bases(walk);
        order.last = (struct sighting){walk->last.id, walk->last_place,
                                       is_passed_twice(walk, walk->last.id)};
        place_reads(&order);
        judge_writes(&order);
        judge_reads(&order);
        status = 0;
    }
    free(order.first_read);
    free(order.first_behind);
    return status;
}
