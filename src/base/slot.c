/* Slots: see slot.h. */
#include "base/slot.h"

#include <stdint.h>
#include <string.h>

/* Four bits at a time: the remainders of 0 ... 15. */
static uint16_t crc16(const unsigned char *bytes, size_t length)
{
    static const uint16_t remainders[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5,
                                            0x60c6, 0x70e7, 0x8108, 0x9129, 0xa14a, 0xb16b,
                                            0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};
    uint16_t crc = 0;
    for (size_t i = 0; i < length; i++) {
        crc = (uint16_t)(crc << 4) ^ remainders[(crc >> 12 ^ bytes[i] >> 4) & 15];
        crc = (uint16_t)(crc << 4) ^ remainders[(crc >> 12 ^ bytes[i]) & 15];
    }
    return crc;
}

int vlock_slot_of(const char *key, size_t length)
{
    const char *open = memchr(key, '{', length);
    if (open) {
        const char *tag = open + 1;
        const char *close = memchr(tag, '}', length - (size_t)(tag - key));
        if (close && close > tag) {
            key = tag;
            length = (size_t)(close - tag);
        }
    }
    return crc16((const unsigned char *)key, length) % VLOCK_SLOTS;
}
