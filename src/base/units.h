/* Durations and counts as people write them. */
#ifndef VLOCK_UNITS_H
#define VLOCK_UNITS_H

#include <stddef.h>
#include <stdint.h>

#include "vlock_error.h"

/* "250us", "2ms", "1.5s", "5m", "1h", "100ns"; a bare number is seconds. Up to 1e9 s; never
 * negative. 0, or -1 and a message that shows what is accepted; then *ns is not touched. */
int vlock_units_duration(const char *text, size_t length, int64_t *ns, struct vlock_error *error);

/* "50", "10k", "1M", "2G", "0.5": powers of 1000. Never negative. 0, or -1 and a message; then
 * *count is not touched. */
int vlock_units_count(const char *text, size_t length, double *count, struct vlock_error *error);

/* "1.25ms": three significant digits, in the largest unit that leaves a whole part. */
void vlock_units_format_duration(int64_t ns, char text[24]);

#endif
