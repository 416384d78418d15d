/* What every fuzz target includes: the function that libFuzzer and replay.c call, and how a
 * property is asserted. A property that does not hold ends the process as a crash would, so that
 * both take the input for one that fails. */
#ifndef VLOCK_TESTS_PROPERTY_H
#define VLOCK_TESTS_PROPERTY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* One input. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* REQUIRE(condition, format, …): the format says which property does not hold, and with what. */
#define REQUIRE(condition, ...)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                        \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
