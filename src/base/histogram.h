/*
 * A log-linear histogram of times, in the manner of G. Tene's HdrHistogram: each power of two is
 * cut into 256 equal buckets, so that a percentile is off by 0.4 % of its value at most, whatever
 * the value, in 80 KiB.
 */
#ifndef VLOCK_HISTOGRAM_H
#define VLOCK_HISTOGRAM_H

#include <stdint.h>

struct vlock_histogram;

/* The largest value told from greater ones: 2^46 ns, some 19 hours. Greater ones count as this one;
 * negative ones as 0. */
#define VLOCK_HISTOGRAM_LIMIT_NS (INT64_C(1) << 46)

/* It has so many rows, one for each power of two, of so many buckets each. */
#define VLOCK_HISTOGRAM_CUTS 256
#define VLOCK_HISTOGRAM_ROWS 40

/* Empty. NULL when out of memory. */
struct vlock_histogram *vlock_histogram_new(void);
void vlock_histogram_free(struct vlock_histogram *histogram);

void vlock_histogram_record(struct vlock_histogram *histogram, int64_t ns);

/* Adds what `other` has recorded. */
void vlock_histogram_add(struct vlock_histogram *histogram, const struct vlock_histogram *other);

int64_t vlock_histogram_count(const struct vlock_histogram *histogram);

/* The value that `percent` (0 to 100) of the values do not exceed: the middle of its bucket, never
 * beyond the smallest and the largest value recorded, which 0 and 100 return exactly. 0 where
 * nothing was recorded. */
int64_t vlock_histogram_percentile(const struct vlock_histogram *histogram, double percent);

/* How many of the values lie in the bucket of `ns` or below it. */
int64_t vlock_histogram_count_up_to(const struct vlock_histogram *histogram, int64_t ns);

/* The standard deviation of all that was recorded, each value taken as the middle of its bucket; 0
 * where nothing was recorded. */
double vlock_histogram_deviation(const struct vlock_histogram *histogram);

/* Exact; 0 where nothing was recorded. */
double vlock_histogram_mean(const struct vlock_histogram *histogram);
int64_t vlock_histogram_min(const struct vlock_histogram *histogram);
int64_t vlock_histogram_max(const struct vlock_histogram *histogram);

#endif
