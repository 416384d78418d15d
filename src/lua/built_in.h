/* The Lua files that are built into the library: a table made from lua/ when vlock is built
 * (scripts/build/embed). */
#ifndef VLOCK_BUILT_IN_H
#define VLOCK_BUILT_IN_H

#include <stddef.h>

struct vlock_built_in {
    const char *name; /* below lua/: "backoff/full_jitter.lua" */
    const unsigned char *data;
    size_t length;
};

extern const struct vlock_built_in vlock_built_in_files[]; /* sorted by name */
extern const size_t vlock_built_in_count;

/* NULL where there is no such file. */
const struct vlock_built_in *vlock_built_in_find(const char *name);

#endif
