/* Random numbers: see random.h. */
#include "base/random.h"

#include <sys/random.h>

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* The pair is mixed into one number first: neighbouring seeds or streams have nothing in common. */
void vlock_random_seed(struct vlock_random *random, uint64_t seed, uint64_t stream)
{
    uint64_t other = stream;
    uint64_t state = seed ^ splitmix64(&other);
    for (int i = 0; i < 4; i++)
        random->s[i] = splitmix64(&state);
}

int vlock_random_entropy(void *bytes, size_t count)
{
    char *at = bytes;
    while (count > 0) {
        ssize_t got = getrandom(at, count, 0);
        if (got <= 0)
            return -1;
        at += got;
        count -= (size_t)got;
    }
    return 0;
}
