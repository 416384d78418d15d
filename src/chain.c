/* Whether the commits of one key form one chain: see chain.h. */
#include "chain.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

enum { IS_UNKNOWN = 1, IS_USED = 2 };

struct step {
    uint64_t base, made;
};

struct vlock_chain {
    struct step *steps;
    unsigned char *flags;
    size_t count, capacity;
};

/* Steps by one of their two states: open addressing, steps with the same state one after another. */
struct step_index {
    uint32_t *slots;
    size_t mask;
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

static int add(struct vlock_chain *chain, uint64_t base, uint64_t made, unsigned char flag)
{
    if (chain->count == chain->capacity) {
        size_t capacity = chain->capacity ? chain->capacity * 2 : 16;
        if (capacity > (size_t)1 << 31)
            return -1;
        struct step *steps = realloc(chain->steps, capacity * sizeof *steps);
        if (steps)
            chain->steps = steps;
        unsigned char *flags = steps ? realloc(chain->flags, capacity) : NULL;
        if (!flags)
            return -1;
        chain->flags = flags;
        chain->capacity = capacity;
    }
    chain->steps[chain->count] = (struct step){base, made};
    chain->flags[chain->count++] = flag;
    return 0;
}

int vlock_chain_commit(struct vlock_chain *chain, uint64_t base, uint64_t made)
{
    return add(chain, base, made, 0);
}

int vlock_chain_unknown(struct vlock_chain *chain, uint64_t base, uint64_t made)
{
    return add(chain, base, made, IS_UNKNOWN);
}

/* Slots for the steps, at most half of them used. */
static bool make_index(struct step_index *index, size_t count)
{
    size_t size = 4;
    while (size < count * 2)
        size *= 2;
    index->slots = malloc(size * sizeof *index->slots);
    index->mask = size - 1;
    if (index->slots)
        memset(index->slots, 0xff, size * sizeof *index->slots);
    return index->slots != NULL;
}

static void put(struct step_index *index, uint64_t state, size_t step)
{
    size_t slot = mix(state) & index->mask;
    while (index->slots[slot] != NONE)
        slot = (slot + 1) & index->mask;
    index->slots[slot] = (uint32_t)step;
}

/* Counts commits on a base that an earlier commit has, and indexes all steps by their base. */
static int64_t index_bases(const struct vlock_chain *chain, struct step_index *index)
{
    int64_t lost = 0;
    for (size_t i = 0; i < chain->count; i++) {
        size_t slot = mix(chain->steps[i].base) & index->mask;
        bool is_taken = false;
        for (; index->slots[slot] != NONE; slot = (slot + 1) & index->mask) {
            uint32_t other = index->slots[slot];
            if (chain->steps[other].base == chain->steps[i].base && !(chain->flags[other] & IS_UNKNOWN)) {
                is_taken = true;
                break; /* one is enough: thousands on one base would make this quadratic */
            }
        }
        bool is_commit = !(chain->flags[i] & IS_UNKNOWN);
        if (is_commit && is_taken)
            lost++; /* stays out of the index: it cannot be in the chain */
        else
            put(index, chain->steps[i].base, i);
    }
    return lost;
}

static bool is_base(const struct vlock_chain *chain, const struct step_index *index, uint64_t state)
{
    for (size_t slot = mix(state) & index->mask; index->slots[slot] != NONE; slot = (slot + 1) & index->mask)
        if (chain->steps[index->slots[slot]].base == state)
            return true;
    return false;
}

/* The unused step from this state: a commit; else an unknown write, where the chain must go on, and of several one that leads on. */
static uint32_t find_next(const struct vlock_chain *chain, const struct step_index *index, uint64_t state, uint64_t last)
{
    uint32_t unknown = NONE;
    for (size_t slot = mix(state) & index->mask; index->slots[slot] != NONE; slot = (slot + 1) & index->mask) {
        uint32_t i = index->slots[slot];
        const struct step *step = &chain->steps[i];
        if (step->base != state || (chain->flags[i] & IS_USED))
            continue;
        if (!(chain->flags[i] & IS_UNKNOWN))
            return i;
        if (unknown == NONE || step->made == last || is_base(chain, index, step->made))
            unknown = i;
    }
    return state == last ? NONE : unknown;
}

static uint64_t walk(struct vlock_chain *chain, const struct step_index *index, uint64_t state, uint64_t last,
                     struct vlock_chain_result *result)
{
    uint32_t i;
    while ((i = find_next(chain, index, state, last)) != NONE) {
        chain->flags[i] |= IS_USED;
        if (chain->flags[i] & IS_UNKNOWN)
            result->unknown_applied++;
        else
            result->missing--;
        state = chain->steps[i].made;
    }
    return state;
}

static int64_t count_duplicates(const struct vlock_chain *chain, struct step_index *index)
{
    int64_t duplicated = 0;
    memset(index->slots, 0xff, (index->mask + 1) * sizeof *index->slots);
    for (size_t i = 0; i < chain->count; i++) {
        const struct step *step = &chain->steps[i];
        size_t slot = mix(step->made) & index->mask;
        bool is_known = false;
        if (chain->flags[i] & IS_UNKNOWN)
            continue;
        for (; index->slots[slot] != NONE && !is_known; slot = (slot + 1) & index->mask)
            if (chain->steps[index->slots[slot]].made == step->made) {
                is_known = true;
                duplicated += chain->steps[index->slots[slot]].base != step->base;
            }
        if (!is_known)
            put(index, step->made, i);
    }
    return duplicated;
}

int vlock_chain_check(struct vlock_chain *chain, uint64_t first, uint64_t last, struct vlock_chain_result *result)
{
    struct step_index index;
    memset(result, 0, sizeof *result);
    if (!make_index(&index, chain->count))
        return -1;
    for (size_t i = 0; i < chain->count; i++) {
        chain->flags[i] &= IS_UNKNOWN;
        result->commits += !(chain->flags[i] & IS_UNKNOWN);
    }
    result->missing = result->commits;
    result->lost_updates = index_bases(chain, &index);
    uint64_t end = walk(chain, &index, first, last, result);
    result->missing -= result->lost_updates; /* those are counted already */
    result->duplicated = count_duplicates(chain, &index);
    result->whole = end == last && result->missing == 0 && result->lost_updates == 0 && result->duplicated == 0;
    free(index.slots);
    return 0;
}
