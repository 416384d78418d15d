/* The name that was probably meant: see nearest.h. */
#include "base/nearest.h"

#include <string.h>

#define LETTERS 63
#define PREFIX_LETTERS 3

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t rows[3][LETTERS + 1]; /* of the last two letters of a, and of the present one */
    for (size_t j = 0; j <= b_length; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            row[j] =
                least(least(above[j] + 1, row[j - 1] + 1), above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], two_above[j - 2] + 1);
        }
    }
    return rows[a_length % 3][b_length];
}

const char *vlock_nearest(const char *word, const char *const *known, size_t count)
{
    size_t length = strlen(word);
    const char *best = NULL;
    size_t limit = length / 3 > 1 ? length / 3 : 1, best_distance = limit + 1;
    if (length > LETTERS || length == 0)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t known_length = strlen(known[i]);
        if (known_length > LETTERS)
            continue;
        size_t d = distance(word, length, known[i], known_length);
        if (d > limit && length >= PREFIX_LETTERS && strncmp(word, known[i], length) == 0)
            d = limit;
        if (d < best_distance) {
            best = known[i];
            best_distance = d;
        }
    }
    return best;
}
