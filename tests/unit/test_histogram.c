/* The histogram against exact percentiles. */
#include "check.h"

#include <math.h>
#include <stdlib.h>

#include "base/histogram.h"
#include "base/random.h"

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
            /* From 1 ns to three hours, evenly in size. */
            values[i] = (int64_t)exp(vlock_random_unit(&random) * 30);
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

/* What the exact count of values up to `ns` may be off by: those that share its bucket, 0.4 %
 * around it. */
static void counts_up_to_a_value_agree_with_exact_ones(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static int64_t values[COUNT];
    struct vlock_random random;
    struct vlock_histogram *histogram = vlock_histogram_new();
    vlock_random_seed(&random, 4, 2);
    assert_int_equal(vlock_histogram_count_up_to(histogram, 1000), 0);
    for (int i = 0; i < COUNT; i++) {
        values[i] = (int64_t)exp(vlock_random_unit(&random) * 20);
        vlock_histogram_record(histogram, values[i]);
    }
    for (double ns = 1; ns < 1e9; ns *= 1.7) {
        int64_t low = 0, high = 0, told = vlock_histogram_count_up_to(histogram, (int64_t)ns);
        for (int i = 0; i < COUNT; i++) {
            low += values[i] <= (int64_t)ns;
            high += (double)values[i] <= floor(ns) * 1.004;
        }
        if (told < low || told > high)
            fail_msg("up to %g ns: %lld, not from %lld to %lld", ns, (long long)told,
                     (long long)low, (long long)high);
    }
    assert_int_equal(vlock_histogram_count_up_to(histogram, -1), 0);
    assert_int_equal(vlock_histogram_count_up_to(histogram, INT64_MAX), COUNT);
    vlock_histogram_free(histogram);
}

/* Whoever walks up the percentiles finds each one's value where it was counted, up to the last. */
static void a_percentile_and_the_count_up_to_it_agree(void **state)
{
    (void)state;
    struct vlock_random random;
    struct vlock_histogram *histogram = vlock_histogram_new();
    vlock_random_seed(&random, 5, 5);
    for (int i = 0; i < 1000; i++)
        vlock_histogram_record(histogram, (int64_t)exp(vlock_random_unit(&random) * 32));
    for (double percent = 0; percent <= 100; percent += 0.37) {
        int64_t count =
            vlock_histogram_count_up_to(histogram, vlock_histogram_percentile(histogram, percent));
        assert_true((double)count >= percent / 100 * 1000 - 1e-6);
    }
    assert_int_equal(
        vlock_histogram_count_up_to(histogram, vlock_histogram_percentile(histogram, 100)), 1000);
    vlock_histogram_free(histogram);
}

static void the_deviation_is_the_textbook_one(void **state)
{
    (void)state;
    struct vlock_histogram *histogram = vlock_histogram_new();
    assert_true(vlock_histogram_deviation(histogram) == 0);
    vlock_histogram_record(histogram, 77);
    assert_true(vlock_histogram_deviation(histogram) == 0);
    vlock_histogram_free(histogram);
    histogram = vlock_histogram_new();
    for (int i = 1; i <= 100; i++)
        vlock_histogram_record(histogram, i); /* of 1 to n: sqrt((n² - 1) / 12) */
    assert_true(fabs(vlock_histogram_deviation(histogram) - sqrt(9999.0 / 12)) < 1e-9);
    vlock_histogram_free(histogram);
    histogram = vlock_histogram_new();
    for (int i = 0; i < 1000; i++)
        vlock_histogram_record(histogram, (int64_t)1e9 + (i % 2 ? 100000000 : -100000000));
    /* 0.4 % of a value is 4 % of this. */
    assert_true(fabs(vlock_histogram_deviation(histogram) / 1e8 - 1) < 0.04);
    vlock_histogram_free(histogram);
}

/* The rank of a percentile is a whole number: p99.9 of 1,000 is the 999th. */
static void ranks_are_counted_in_whole_numbers(void **state)
{
    (void)state;
    static const struct {
        double percent;
        int count, rank;
    } cases[] = {
        {99.9, 1000, 999}, {99.9, 10000, 9990}, {99, 100, 99},  {50, 2, 1},    {50, 3, 2},
        {90, 10, 9},       {99.9, 100, 100},    {0.1, 1000, 1}, {29, 100, 29}, {57, 100, 57},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vlock_histogram *histogram = vlock_histogram_new();
        for (int rank = 1; rank <= cases[i].count; rank++)
            vlock_histogram_record(histogram, rank <= cases[i].rank ? 10 : 200);
        assert_int_equal(vlock_histogram_percentile(histogram, cases[i].percent), 10);
        vlock_histogram_free(histogram);
        histogram = vlock_histogram_new();
        for (int rank = 1; rank <= cases[i].count; rank++)
            vlock_histogram_record(histogram, rank < cases[i].rank ? 10 : 200);
        assert_int_equal(vlock_histogram_percentile(histogram, cases[i].percent), 200);
        vlock_histogram_free(histogram);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(ranks_are_counted_in_whole_numbers),
    cmocka_unit_test(percentiles_are_within_half_a_percent),
    cmocka_unit_test(small_values_are_exact_and_large_ones_are_held_at_the_limit),
    cmocka_unit_test(sums_of_histograms_are_histograms_of_sums),
    cmocka_unit_test(counts_up_to_a_value_agree_with_exact_ones),
    cmocka_unit_test(a_percentile_and_the_count_up_to_it_agree),
    cmocka_unit_test(the_deviation_is_the_textbook_one),
};
RUN_TESTS(tests)
