/*
 * By how much a counter has grown, by what its commits say: the sum of what each added to the
 * number that the value begins with. An absent value counts as 0.
 */
#ifndef VLOCK_GROWTH_H
#define VLOCK_GROWTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A zeroed struct is that of a counter that has not grown. */
struct vlock_growth {
    int64_t sum;
    bool is_unknown; /* a value began with no number, or with one of 2^63 or more */
};

/* A value; bytes NULL: absent. */
struct vlock_growth_value {
    const char *bytes;
    size_t count;
};

/* The number that a value begins with; false: with none that an int64_t holds. */
bool vlock_growth_number(struct vlock_growth_value value, int64_t *number);

/* A commit that made one of the other. */
void vlock_growth_add(struct vlock_growth *growth, struct vlock_growth_value base,
                      struct vlock_growth_value made);

#endif
