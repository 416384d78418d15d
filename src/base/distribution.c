/* Distributions of times: see distribution.h. */
#include "base/distribution.h"

#include <math.h>
#include <stdlib.h>

#include "base/random.h"

/* Normal, mean 0 and deviation 1: the polar method. (G. Marsaglia, T. A. Bray, "A Convenient Method
 * for Generating Normal Variables", SIAM Review 6, 1964) */
static double draw_normal(struct vlock_distribution *d, struct vlock_random *random)
{
    double x, y, squares;
    if (d->has_spare) {
        d->has_spare = false;
        return d->spare;
    }
    do {
        x = 2 * vlock_random_unit(random) - 1;
        y = 2 * vlock_random_unit(random) - 1;
        squares = x * x + y * y;
    } while (squares >= 1 || squares == 0);
    double scale = sqrt(-2 * log(squares) / squares);
    d->spare = y * scale;
    d->has_spare = true;
    return x * scale;
}

static double draw_truncated(struct vlock_distribution *d, struct vlock_random *random)
{
    double value;
    do
        value = d->a + d->b * draw_normal(d, random);
    while (value < d->minimum);
    return value;
}

static double draw_measured(const struct vlock_distribution *d, struct vlock_random *random)
{
    double place = vlock_random_unit(random) * (double)(d->count - 1);
    size_t below = (size_t)place;
    double part = place - (double)below;
    return d->quantiles[below] + part * (d->quantiles[below + 1] - d->quantiles[below]);
}

double vlock_distribution_draw(struct vlock_distribution *d, struct vlock_random *random)
{
    switch (d->kind) {
    case VLOCK_UNIFORM:
        return d->a + vlock_random_unit(random) * (d->b - d->a);
    case VLOCK_NORMAL:
        return draw_truncated(d, random);
    case VLOCK_FOLDED:
        return fabs(d->a + d->b * draw_normal(d, random));
    case VLOCK_LOGNORMAL:
        return d->a * exp(d->b * draw_normal(d, random));
    case VLOCK_EXPONENTIAL:
        return d->minimum - d->a * log(1 - vlock_random_unit(random));
    case VLOCK_QUANTILES:
        return draw_measured(d, random);
    default:
        return d->a;
    }
}

void vlock_distribution_clear(struct vlock_distribution *d)
{
    free(d->quantiles);
    *d = (struct vlock_distribution){0};
}
