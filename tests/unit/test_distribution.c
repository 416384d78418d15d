/* Distributions of times: each has the mean and the deviation that its formula says, and its
 * bounds. */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/distribution.h"
#include "base/random.h"

#define DRAWS 200000

struct moments {
    double mean, deviation, least, most;
};

static struct moments draw_many(struct vlock_distribution distribution)
{
    struct vlock_random random;
    struct moments m = {0, 0, INFINITY, -INFINITY};
    double squares = 0;
    vlock_random_seed(&random, 11, 1);
    for (int i = 0; i < DRAWS; i++) {
        double value = vlock_distribution_draw(&distribution, &random);
        m.mean += value / DRAWS;
        squares += value * value / DRAWS;
        m.least = fmin(m.least, value);
        m.most = fmax(m.most, value);
    }
    m.deviation = sqrt(fmax(squares - m.mean * m.mean, 0));
    return m;
}

/* Within five standard errors of the mean, and 2 % of the deviation. */
static void check(struct vlock_distribution distribution, double mean, double deviation)
{
    struct moments m = draw_many(distribution);
    if (fabs(m.mean - mean) > 5 * deviation / sqrt(DRAWS) + 1e-9 ||
        fabs(m.deviation - deviation) > 0.02 * deviation + 1e-4)
        fail_msg("mean %g, deviation %g; expected %g, %g", m.mean, m.deviation, mean, deviation);
}

static void each_has_its_mean_and_deviation(void **state)
{
    (void)state;
    double sigma = 0.5, median = 3;
    check((struct vlock_distribution){.kind = VLOCK_CONSTANT, .a = 7}, 7, 0);
    check((struct vlock_distribution){.kind = VLOCK_UNIFORM, .a = 2, .b = 6}, 4, 4 / sqrt(12));
    check((struct vlock_distribution){.kind = VLOCK_NORMAL, .a = 10, .b = 2}, 10, 2);
    check((struct vlock_distribution){.kind = VLOCK_FOLDED, .a = 10, .b = 2}, 10, 2);
    check((struct vlock_distribution){.kind = VLOCK_EXPONENTIAL, .a = 3, .minimum = 5}, 8, 3);
    check((struct vlock_distribution){.kind = VLOCK_LOGNORMAL, .a = median, .b = sigma},
          median * exp(sigma * sigma / 2),
          median * sqrt((exp(sigma * sigma) - 1) * exp(sigma * sigma)));
}

/* Of |N(0, 1)|: sqrt(2/pi), and 1 - 2/pi is its variance. Of N(0, 1) above 0, the same. */
static void half_a_normal_is_folded_or_drawn_again(void **state)
{
    (void)state;
    double mean = sqrt(2 / M_PI), deviation = sqrt(1 - 2 / M_PI);
    check((struct vlock_distribution){.kind = VLOCK_FOLDED, .b = 1}, mean, deviation);
    check((struct vlock_distribution){.kind = VLOCK_NORMAL, .b = 1}, mean, deviation);
}

static void none_leaves_its_bounds(void **state)
{
    (void)state;
    struct moments m = draw_many(
        (struct vlock_distribution){.kind = VLOCK_NORMAL, .a = 1, .b = 5, .minimum = 0.5});
    assert_true(m.least >= 0.5 && m.least < 0.51);
    m = draw_many((struct vlock_distribution){.kind = VLOCK_UNIFORM, .a = 2, .b = 3});
    assert_true(m.least >= 2 && m.most < 3);
    m = draw_many(
        (struct vlock_distribution){.kind = VLOCK_EXPONENTIAL, .a = 1, .minimum = 4});
    assert_true(m.least >= 4);
}

/* A quarter of the draws in each of four steps, straight lines within. */
static void measured_quantiles_are_met(void **state)
{
    (void)state;
    struct vlock_random random;
    struct vlock_distribution d = {.kind = VLOCK_QUANTILES, .count = 5};
    static const double measured[] = {1, 2, 4, 8, 100};
    int below[5] = {0};
    d.quantiles = malloc(sizeof measured);
    memcpy(d.quantiles, measured, sizeof measured);
    vlock_random_seed(&random, 3, 1);
    for (int i = 0; i < DRAWS; i++) {
        double value = vlock_distribution_draw(&d, &random);
        assert_true(value >= 1 && value < 100);
        for (int q = 0; q < 5; q++)
            below[q] += value < measured[q];
    }
    for (int q = 0; q < 5; q++)
        assert_true(abs(below[q] - q * DRAWS / 4) < 1000);
    vlock_distribution_clear(&d);
    assert_null(d.quantiles);
    assert_true(vlock_distribution_draw(&d, &random) == 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_has_its_mean_and_deviation),
    cmocka_unit_test(half_a_normal_is_folded_or_drawn_again),
    cmocka_unit_test(none_leaves_its_bounds),
    cmocka_unit_test(measured_quantiles_are_met),
};
RUN_TESTS(tests)
