/* Slots: the 16384 parts of a cluster's keys. */
#ifndef VLOCK_SLOT_H
#define VLOCK_SLOT_H

#include <stddef.h>

#define VLOCK_SLOTS 16384

/* The slot of a key: CRC-16/XMODEM (polynomial 0x1021, begun with 0) modulo 16384, of what stands
 * between the first { and the next } behind it, where that is not nothing; else of the whole key.
 * (Redis Cluster specification, "Key distribution model" and "Hash tags".) */
int vlock_slot_of(const char *key, size_t length);

#endif
