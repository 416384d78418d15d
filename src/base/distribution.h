/*
 * Distributions of times: from which a modelled network draws its delays. Every draw comes from a
 * stream of random numbers of the caller's, so the same seed gives the same delays.
 */
#ifndef VLOCK_DISTRIBUTION_H
#define VLOCK_DISTRIBUTION_H

#include <stdbool.h>
#include <stddef.h>

struct vlock_random;

enum vlock_distribution_kind {
    VLOCK_CONSTANT,    /* a */
    VLOCK_UNIFORM,     /* from a to b */
    VLOCK_NORMAL,      /* mean a, deviation b; what is below `minimum` is drawn again */
    VLOCK_FOLDED,      /* the same, without its sign */
    VLOCK_LOGNORMAL,   /* median a; b: the deviation of its logarithm */
    VLOCK_EXPONENTIAL, /* mean a, above `minimum` */
    VLOCK_QUANTILES,   /* measured: see `quantiles` */
};

/* In the unit of its parameters. Zeroed: constantly 0. */
struct vlock_distribution {
    enum vlock_distribution_kind kind;
    double a, b, minimum;
    /* Of VLOCK_QUANTILES, rising: the least, the greatest, and what lies at equal steps of
     * probability between them; straight lines in between. malloc'd, and the owner's. */
    double *quantiles;
    size_t count; /* of them, 2 or more */
    double spare; /* normal variates come in pairs: the second one */
    bool has_spare;
};

double vlock_distribution_draw(struct vlock_distribution *distribution,
                               struct vlock_random *random);

/* Frees its quantiles, and makes it constantly 0. */
void vlock_distribution_clear(struct vlock_distribution *distribution);

#endif
