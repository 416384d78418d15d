/* The Lua files that are built into the library: a table made from lua/ when vlock is built (scripts/embed). */
#ifndef VLOCK_EMBEDDED_H
#define VLOCK_EMBEDDED_H

#include <stddef.h>

struct vlock_embedded {
    const char *name; /* below lua/: "backoff/full_jitter.lua" */
    const unsigned char *data;
    size_t length;
};

extern const struct vlock_embedded vlock_embedded_files[]; /* sorted by name */
extern const size_t vlock_embedded_count;

/* NULL where there is no such file. */
const struct vlock_embedded *vlock_embedded_find(const char *name);

#endif
