/* A log-linear histogram of times: see histogram.h. */
#include "base/histogram.h"

#include <math.h>
#include <stdlib.h>

#define CUT_BITS 8
#define CUTS VLOCK_HISTOGRAM_CUTS
#define BUCKETS (VLOCK_HISTOGRAM_ROWS * CUTS)

_Static_assert(CUTS == 1 << CUT_BITS, "a row is cut into a power of two");
_Static_assert(VLOCK_HISTOGRAM_LIMIT_NS == INT64_C(1) << (VLOCK_HISTOGRAM_ROWS + CUT_BITS - 2),
               "the limit begins the last row");

struct vlock_histogram {
    int64_t count, min, max;
    double sum;
    int64_t buckets[BUCKETS];
};

struct vlock_histogram *vlock_histogram_new(void)
{
    struct vlock_histogram *histogram = calloc(1, sizeof *histogram);
    if (histogram)
        histogram->min = INT64_MAX;
    return histogram;
}

void vlock_histogram_free(struct vlock_histogram *histogram)
{
    free(histogram);
}

/* Values below CUTS have a bucket each; from there on, row r holds the values with r + CUT_BITS
 * bits behind their first. */
static int bucket_of(int64_t ns)
{
    if (ns < CUTS)
        return (int)ns;
    int row = 63 - __builtin_clzll((unsigned long long)ns) - CUT_BITS;
    return (row + 1) * CUTS + (int)((ns >> row) - CUTS);
}

static int64_t middle_of(int bucket)
{
    if (bucket < CUTS)
        return bucket;
    int row = bucket / CUTS - 1;
    int64_t low = (int64_t)(CUTS + bucket % CUTS) << row;
    return low + ((int64_t)1 << row) / 2;
}

static int64_t within_limits(int64_t ns)
{
    if (ns < 0)
        return 0;
    return ns > VLOCK_HISTOGRAM_LIMIT_NS ? VLOCK_HISTOGRAM_LIMIT_NS : ns;
}

void vlock_histogram_record(struct vlock_histogram *histogram, int64_t ns)
{
    ns = within_limits(ns);
    histogram->buckets[bucket_of(ns)]++;
    histogram->count++;
    histogram->sum += (double)ns;
    if (ns < histogram->min)
        histogram->min = ns;
    if (ns > histogram->max)
        histogram->max = ns;
}

void vlock_histogram_add(struct vlock_histogram *histogram, const struct vlock_histogram *other)
{
    for (int i = 0; i < BUCKETS; i++)
        histogram->buckets[i] += other->buckets[i];
    histogram->count += other->count;
    histogram->sum += other->sum;
    if (other->min < histogram->min)
        histogram->min = other->min;
    if (other->max > histogram->max)
        histogram->max = other->max;
}

int64_t vlock_histogram_count(const struct vlock_histogram *histogram)
{
    return histogram->count;
}

/* The least whole number that is percent / 100 of count or more: in integers, since 0.999 * 1000 is
 * more than 999 in floats. */
static int64_t rank_of(double percent, int64_t count)
{
    const int64_t whole = 1000000000;
    int64_t part = llround(percent / 100 * (double)whole);
    return count / whole * part + (count % whole * part + whole - 1) / whole;
}

int64_t vlock_histogram_percentile(const struct vlock_histogram *histogram, double percent)
{
    if (histogram->count == 0)
        return 0;
    if (!(percent > 0))
        return histogram->min;
    if (percent >= 100)
        return histogram->max;
    int64_t rank = rank_of(percent, histogram->count), seen = 0;
    int bucket = 0;
    for (; bucket < BUCKETS - 1; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen >= rank)
            break;
    }
    int64_t ns = middle_of(bucket);
    return ns < histogram->min ? histogram->min : ns > histogram->max ? histogram->max : ns;
}

int64_t vlock_histogram_count_up_to(const struct vlock_histogram *histogram, int64_t ns)
{
    int64_t count = 0;
    if (ns < 0)
        return 0;
    for (int bucket = bucket_of(within_limits(ns)); bucket >= 0; bucket--)
        count += histogram->buckets[bucket];
    return count;
}

/* Two passes: the difference of large sums would lose the deviation of values that are all much
 * alike. */
double vlock_histogram_deviation(const struct vlock_histogram *histogram)
{
    double sum = 0, squares = 0, count = (double)histogram->count;
    if (histogram->count == 0)
        return 0;
    for (int bucket = 0; bucket < BUCKETS; bucket++)
        sum += (double)histogram->buckets[bucket] * (double)middle_of(bucket);
    for (int bucket = 0; bucket < BUCKETS; bucket++) {
        double distance = (double)middle_of(bucket) - sum / count;
        squares += (double)histogram->buckets[bucket] * distance * distance;
    }
    return sqrt(squares / count);
}

double vlock_histogram_mean(const struct vlock_histogram *histogram)
{
    return histogram->count ? histogram->sum / (double)histogram->count : 0;
}

int64_t vlock_histogram_min(const struct vlock_histogram *histogram)
{
    return histogram->count ? histogram->min : 0;
}

int64_t vlock_histogram_max(const struct vlock_histogram *histogram)
{
    return histogram->max;
}
