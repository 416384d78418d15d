/* The histogram against exact percentiles. */
#include "check.h"

#include <math.h>
#include <stdlib.h>

#include "histogram.h"
#include "random.h"

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void percentiles_are_within_half_a_percent(void **state)
{
    (void)state;
    static const int counts[] = {1, 2, 10, 1000, 100000};
    static const double percents[] = {0, 0.1, 1, 10, 50, 90, 99, 99.9, 99.99, 100};
    struct vlock_random random;
    vlock_random_seed(&random, 9, 9);
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        int n = counts[c];
        int64_t *values = malloc((size_t)n * sizeof *values);
        struct vlock_histogram *histogram = vlock_histogram_new();
        assert_non_null(values);
        assert_non_null(histogram);
        for (int i = 0; i < n; i++) {
            values[i] = (int64_t)exp(vlock_random_unit(&random) * 30); /* from 1 ns to three hours, evenly in size */
            vlock_histogram_record(histogram, values[i]);
        }
        qsort(values, (size_t)n, sizeof *values, compare);
        for (size_t p = 0; p < sizeof percents / sizeof *percents; p++) {
            int rank = (int)ceil(percents[p] / 100 * n);
            double exact = (double)values[rank > 0 ? rank - 1 : 0];
            double told = (double)vlock_histogram_percentile(histogram, percents[p]);
            if (fabs(told - exact) > exact * 0.005)
                fail_msg("n %d p %g: %g instead of %g", n, percents[p], told, exact);
        }
        assert_int_equal(vlock_histogram_count(histogram), n);
        assert_int_equal(vlock_histogram_min(histogram), values[0]);
        assert_int_equal(vlock_histogram_max(histogram), values[n - 1]);
        vlock_histogram_free(histogram);
        free(values);
    }
}

static void small_values_are_exact_and_large_ones_are_held_at_the_limit(void **state)
{
    (void)state;
    struct vlock_histogram *histogram = vlock_histogram_new();
    assert_int_equal(vlock_histogram_percentile(histogram, 50), 0);
    for (int i = 0; i <= 255; i++)
        vlock_histogram_record(histogram, i);
    assert_int_equal(vlock_histogram_percentile(histogram, 50), 127);
    vlock_histogram_record(histogram, INT64_MAX);
    vlock_histogram_record(histogram, -5);
    assert_int_equal(vlock_histogram_max(histogram), VLOCK_HISTOGRAM_LIMIT_NS);
    assert_int_equal(vlock_histogram_min(histogram), 0);
    assert_int_equal(vlock_histogram_percentile(histogram, 100), VLOCK_HISTOGRAM_LIMIT_NS);
    vlock_histogram_free(histogram);
}

static void sums_of_histograms_are_histograms_of_sums(void **state)
{
    (void)state;
    struct vlock_histogram *one = vlock_histogram_new(), *other = vlock_histogram_new();
    for (int i = 1; i <= 100; i++)
        vlock_histogram_record(i % 2 ? one : other, i);
    vlock_histogram_add(one, other);
    assert_int_equal(vlock_histogram_count(one), 100);
    assert_int_equal(vlock_histogram_percentile(one, 50), 50);
    assert_int_equal(vlock_histogram_min(one), 1);
    assert_int_equal(vlock_histogram_max(one), 100);
    assert_true(fabs(vlock_histogram_mean(one) - 50.5) < 1e-9);
    vlock_histogram_free(one);
    vlock_histogram_free(other);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(percentiles_are_within_half_a_percent),
    cmocka_unit_test(small_values_are_exact_and_large_ones_are_held_at_the_limit),
    cmocka_unit_test(sums_of_histograms_are_histograms_of_sums),
};
RUN_TESTS(tests)
