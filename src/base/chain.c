/* Whether the commits of one key form one chain: see chain.h. */
#include "base/chain_parts.h"

#include <stdlib.h>
#include <string.h>

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
    free(chain->sights);
    free(chain);
}

static uint64_t take(uint64_t hash, const unsigned char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return vlock_chain_mix(hash ^ word) + 0x9e3779b97f4a7c15u;
}

#define LONG 256 /* bytes */

/* Of a long text takes in all but the last bytes, four words at once: none waits for another. */
static uint64_t take_fours(uint64_t hash, const unsigned char **at, size_t *count)
{
    uint64_t a = hash, b = hash + 1, c = hash + 2, d = hash + 3;
    for (; *count >= 32; *at += 32, *count -= 32) {
        a = take(a, *at);
        b = take(b, *at + 8);
        c = take(c, *at + 16);
        d = take(d, *at + 24);
    }
    return vlock_chain_mix(vlock_chain_mix(vlock_chain_mix(a) ^ b) ^ c) ^ d;
}

uint64_t vlock_chain_id(const void *bytes, size_t count)
{
    const unsigned char *at = bytes;
    uint64_t hash = vlock_chain_mix(count + 0x9e3779b97f4a7c15u);
    if (count >= LONG)
        hash = take_fours(hash, &at, &count);
    for (; count >= 8; at += 8, count -= 8)
        hash = take(hash, at);
    uint64_t rest = 0;
    if (count)
        memcpy(&rest, at, count);
    return vlock_chain_mix(hash ^ rest);
}

/* ---- adding ---- */

#define FIRST_CAPACITY 4 /* there may be many keys, each with a read or two */

/* The capacity of a list that has to take one more; 0: it is too long. */
static size_t more_than(size_t capacity)
{
    size_t more = capacity ? capacity * 2 : FIRST_CAPACITY;
    return more > (size_t)1 << 30 ? 0 : more;
}

static int add(struct vlock_chain *chain, struct vlock_chain_step step, unsigned char flags)
{
    if (chain->count == chain->capacity) {
        size_t capacity = more_than(chain->capacity);
        struct vlock_chain_step *steps =
            capacity ? realloc(chain->steps, capacity * sizeof *steps) : NULL;
        if (steps)
            chain->steps = steps;
        unsigned char *all_flags = steps ? realloc(chain->flags, capacity) : NULL;
        if (!all_flags)
            return -1;
        chain->flags = all_flags;
        chain->capacity = capacity;
    }
    chain->steps[chain->count] = step;
    chain->flags[chain->count++] = flags;
    return 0;
}

int vlock_chain_commit(struct vlock_chain *chain, struct vlock_chain_state base,
                       struct vlock_chain_state made, struct vlock_chain_span span)
{
    return add(chain, (struct vlock_chain_step){base.id, made.id, base.content, made.content, span},
               0);
}

int vlock_chain_unknown(struct vlock_chain *chain, struct vlock_chain_state base,
                        struct vlock_chain_state made, int64_t begin)
{
    return add(
        chain,
        (struct vlock_chain_step){base.id, made.id, base.content, made.content, {begin, INT64_MAX}},
        VLOCK_STEP_UNKNOWN);
}

int vlock_chain_unplaced(struct vlock_chain *chain, struct vlock_chain_state base, int64_t begin)
{
    return add(
        chain,
        (struct vlock_chain_step){base.id, base.id, base.content, base.content, {begin, INT64_MAX}},
        VLOCK_STEP_UNKNOWN | VLOCK_STEP_UNPLACED);
}

int vlock_chain_read(struct vlock_chain *chain, struct vlock_chain_state found,
                     struct vlock_chain_span span)
{
    if (chain->sight_count == chain->sight_capacity) {
        size_t capacity = more_than(chain->sight_capacity);
        struct vlock_chain_sight *sights =
            capacity ? realloc(chain->sights, capacity * sizeof *sights) : NULL;
        if (!sights)
            return -1;
        chain->sights = sights;
        chain->sight_capacity = capacity;
    }
    chain->sights[chain->sight_count++] = (struct vlock_chain_sight){found, span};
    return 0;
}

int vlock_chain_read_more(struct vlock_chain *chain, struct vlock_chain_sightings *sightings,
                          struct vlock_chain_state found, struct vlock_chain_span span)
{
    if (!sightings->read || sightings->state.id != found.id ||
        sightings->state.content != found.content) {
        if (vlock_chain_read(chain, found, span) != 0)
            return -1;
        *sightings = (struct vlock_chain_sightings){found, (uint32_t)chain->sight_count};
        return 0;
    }
    struct vlock_chain_span *all = &chain->sights[sightings->read - 1].span;
    if (all->begin < span.begin)
        all->begin = span.begin;
    if (all->end > span.end)
        all->end = span.end;
    return 0;
}

int64_t vlock_chain_count(const struct vlock_chain *chain)
{
    return (int64_t)chain->count;
}

/* ---- checking ---- */

static bool is_faultless(const struct vlock_chain_result *result)
{
    return result->lost_updates + result->duplicated + result->unreported + result->altered +
               result->missing + result->out_of_order + result->stale_reads ==
           0;
}

int vlock_chain_check(struct vlock_chain *chain, struct vlock_chain_state first,
                      struct vlock_chain_state last, struct vlock_chain_result *result)
{
    struct vlock_chain_walk walk = {.chain = chain, .first = first, .last = last, .result = result};
    memset(result, 0, sizeof *result);
    int status = vlock_chain_follow(&walk);
    if (status == 0 && is_faultless(result))
        status = vlock_chain_keep_order(&walk);
    result->whole = is_faultless(result);
    vlock_chain_end_walk(&walk);
    return status;
}
