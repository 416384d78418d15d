/*
 * Random numbers: xoshiro256** 1.0 (D. Blackman, S. Vigna, "Scrambled linear pseudorandom number
 * generators", 2021), its state filled by splitmix64 as its authors advise
 * (https://prng.di.unimi.it/). Fast and reproducible; not for secrets.
 */
#ifndef VLOCK_RANDOM_H
#define VLOCK_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct vlock_random {
    uint64_t s[4];
};

/* Starts the stream `stream` of `seed`: the same numbers for the same pair, unrelated ones for
 * others. */
void vlock_random_seed(struct vlock_random *random, uint64_t seed, uint64_t stream);

static inline uint64_t vlock_random_rotate(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static inline uint64_t vlock_random_next(struct vlock_random *random)
{
    uint64_t *s = random->s;
    uint64_t result = vlock_random_rotate(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = vlock_random_rotate(s[3], 45);
    return result;
}

/* Uniform in [0,1), in steps of 2^-53. */
static inline double vlock_random_unit(struct vlock_random *random)
{
    return (double)(vlock_random_next(random) >> 11) * 0x1p-53;
}

/* `count` bytes from the system. 0, or -1 when it gives none. */
int vlock_random_entropy(void *bytes, size_t count);

#endif
