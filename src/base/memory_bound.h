/* A bound on what a Lua state may hold: an allocator before the state's own, which counts, and
 * refuses what would be too much. Lua then collects its garbage, asks once more, and raises "not
 * enough memory" where it is refused again. */
#ifndef VLOCK_MEMORY_BOUND_H
#define VLOCK_MEMORY_BOUND_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed: there is no bound. It must outlive the state. */
struct vlock_memory_bound {
    size_t limit, lent, used; /* bytes */
    size_t least;             /* that was used since the last refusal */
    /* The allocator behind it, as lua_getallocf() gives it. */
    void *(*allocate)(void *user, void *block, size_t old_size, size_t size);
    void *user;
    /* Writes where the code is that wants more, "script.lua:3", or leaves what stands there. Called
     * at a refusal, from inside the state's allocation. NULL: nobody knows. */
    void (*tell_place)(void *owner, char *text, size_t size);
    void *owner;
    /* Of a refusal. Those that follow are of the same shortage, and not to blame for it, until an
     * eighth of the whole has been let go of. */
    char place[80];
    bool has_refused;
    char text[240];
};

/* The allocator, for lua_setallocf() with the bound as its user. */
void *vlock_memory_bound_allocate(void *bound, void *block, size_t old_size, size_t size);

/* Lends a quarter of a megabyte to what puts a failure into words, or takes it back. NULL is
 * ignored. */
void vlock_memory_bound_lend(struct vlock_memory_bound *bound, bool lends);

/* What to tell a person about "not enough memory": that the bound was reached, where, and what to
 * do; valid until the next call. NULL where it was not reached, or there is none. */
const char *vlock_memory_bound_text(struct vlock_memory_bound *bound);

#endif
