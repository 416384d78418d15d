/* A bound on what a Lua state may hold: see memory_bound.h. */
#include "base/memory_bound.h"

#include <stdio.h>

#define LENT 262144 /* bytes */

static void refuse(struct vlock_memory_bound *bound)
{
    bool is_another = !bound->has_refused || bound->least < bound->limit - bound->limit / 8;
    if (is_another && bound->tell_place)
        bound->tell_place(bound->owner, bound->place, sizeof bound->place);
    bound->has_refused = true;
    bound->least = bound->used;
}

void *vlock_memory_bound_allocate(void *opaque, void *block, size_t old_size, size_t size)
{
    struct vlock_memory_bound *bound = opaque;
    size_t before = block ? old_size : 0; /* of a new block Lua says its kind there */
    if (size > before && bound->used + (size - before) > bound->limit + bound->lent) {
        refuse(bound);
        return NULL;
    }
    void *result = bound->allocate(bound->user, block, old_size, size);
    if (result || size == 0)
        bound->used += size - before;
    if (bound->used < bound->least)
        bound->least = bound->used;
    return result;
}

void vlock_memory_bound_lend(struct vlock_memory_bound *bound, bool lends)
{
    if (bound)
        bound->lent = lends ? LENT : 0;
}

/* As people write it: 64M. */
static void write_size(size_t bytes, char *text, size_t size)
{
    if (bytes % 1000000 == 0)
        snprintf(text, size, "%zuM", bytes / 1000000);
    else if (bytes % 1000 == 0)
        snprintf(text, size, "%zuk", bytes / 1000);
    else
        snprintf(text, size, "%zu", bytes);
}

const char *vlock_memory_bound_text(struct vlock_memory_bound *bound)
{
    char limit[32];
    if (!bound || !bound->has_refused)
        return NULL;
    write_size(bound->limit, limit, sizeof limit);
    snprintf(bound->text, sizeof bound->text,
             "%s%snot enough memory: this needs more than --max-memory %s (max_memory) allows; "
             "let it hold less, or allow it more",
             bound->place, bound->place[0] ? ": " : "", limit);
    return bound->text;
}
