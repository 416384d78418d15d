/* SHA-1: see sha1.h. */
#include "base/sha1.h"

#include <stdint.h>
#include <string.h>

static uint32_t rotate(uint32_t x, int bits)
{
    return (x << bits) | (x >> (32 - bits));
}

/* One block of 64 bytes: FIPS 180-4, 6.1.2. */
static void digest_block(uint32_t state[5], const unsigned char block[64])
{
    uint32_t w[80];
    for (int t = 0; t < 16; t++)
        w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 |
               (uint32_t)block[4 * t + 2] << 8 | block[4 * t + 3];
    for (int t = 16; t < 80; t++)
        w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);

    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int t = 0; t < 80; t++) {
        uint32_t f, k;
        if (t < 20) {
            f = (b & c) ^ (~b & d);
            k = 0x5a827999;
        } else if (t < 40) {
            f = b ^ c ^ d;
            k = 0x6ed9eba1;
        } else if (t < 60) {
            f = (b & c) ^ (b & d) ^ (c & d);
            k = 0x8f1bbcdc;
        } else {
            f = b ^ c ^ d;
            k = 0xca62c1d6;
        }
        uint32_t next = rotate(a, 5) + f + e + k + w[t];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

void vlock_sha1_hex(const void *bytes, size_t count, char hex[41])
{
    static const char digits[] = "0123456789abcdef";
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    const unsigned char *at = bytes;
    size_t left = count;
    for (; left >= 64; at += 64, left -= 64)
        digest_block(state, at);

    /* What is left, a single 1 bit, zeros, and the length in bits. */
    unsigned char last[128] = {0};
    size_t size = left < 56 ? 64 : 128;
    if (left)
        memcpy(last, at, left);
    last[left] = 0x80;
    uint64_t bits = (uint64_t)count * 8;
    for (int i = 0; i < 8; i++)
        last[size - 1 - (size_t)i] = (unsigned char)(bits >> (8 * i));
    digest_block(state, last);
    if (size == 128)
        digest_block(state, last + 64);

    for (int i = 0; i < 40; i++)
        hex[i] = digits[state[i / 8] >> (28 - i % 8 * 4) & 15];
    hex[40] = '\0';
}
