/* Allocations that fail on demand: see allocations.h. The linker puts these functions in the place
 * of those they wrap. */
#include "allocations.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS (1 << 18) /* a power of 2, and more than there are ever blocks */

static long spared;
static long counted, failing_from, failing_to, failures;
static bool is_armed, is_paused;

/* The blocks that are watched: a hash table, each at the first free slot from its own on. */
static void *watched[SLOTS];
static long left;

static size_t slot_of(const void *block)
{
    return ((uintptr_t)block >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 32 & (SLOTS - 1);
}

static void watch(void *block)
{
    size_t slot = slot_of(block);
    while (watched[slot])
        slot = (slot + 1) & (SLOTS - 1);
    watched[slot] = block;
    left++;
}

/* Whether it was watched. */
static bool unwatch(const void *block)
{
    size_t slot = slot_of(block);
    while (watched[slot] != block)
        if (!watched[slot])
            return false;
        else
            slot = (slot + 1) & (SLOTS - 1);
    watched[slot] = NULL;
    left--;
    /* Those behind it move up. */
    for (slot = (slot + 1) & (SLOTS - 1); watched[slot]; slot = (slot + 1) & (SLOTS - 1)) {
        void *other = watched[slot];
        watched[slot] = NULL;
        left--;
        watch(other);
    }
    return true;
}

void allocations_watch(void)
{
    memset(watched, 0, sizeof watched);
    left = 0;
}

long allocations_left(void)
{
    return left;
}

void allocations_fail(long nth, bool for_good)
{
    counted = failures = 0;
    failing_from = nth;
    failing_to = for_good ? __LONG_MAX__ : nth;
    is_armed = true;
}

long allocations_succeed(void)
{
    is_armed = false;
    return failures;
}

void allocations_pause(void)
{
    is_paused = true;
}

void allocations_resume(void)
{
    is_paused = false;
}

long allocations_spared(void)
{
    return spared;
}

static bool fails(void)
{
    if (!is_armed || is_paused)
        return false;
    counted++;
    if (counted < failing_from || counted > failing_to)
        return false;
    failures++;
    errno = ENOMEM;
    return true;
}

static void *noted(void *block)
{
    if (block && !is_paused)
        watch(block);
    return block;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);
int __real_vasprintf(char **text, const char *format, va_list arguments);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t number, size_t size);
void *__wrap_realloc(void *block, size_t size);
void __wrap_free(void *block);
char *__wrap_strdup(const char *text);
int __wrap_vasprintf(char **text, const char *format, va_list arguments);
int __wrap_asprintf(char **text, const char *format, ...);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : noted(__real_malloc(size));
}

void *__wrap_calloc(size_t number, size_t size)
{
    return fails() ? NULL : noted(__real_calloc(number, size));
}

void *__wrap_realloc(void *block, size_t size)
{
    if (!block)
        return __wrap_malloc(size);
    if (fails())
        return NULL;
    bool was_watched = unwatch(block);
    void *grown = __real_realloc(block, size);
    if (was_watched)
        watch(grown ? grown : block);
    return grown;
}

void __wrap_free(void *block)
{
    if (block)
        unwatch(block);
    __real_free(block);
}

char *__wrap_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = __wrap_malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

int __wrap_vasprintf(char **text, const char *format, va_list arguments)
{
    if (fails())
        return -1;
    int length = __real_vasprintf(text, format, arguments);
    if (length >= 0)
        noted(*text);
    return length;
}

int __wrap_asprintf(char **text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = __wrap_vasprintf(text, format, arguments);
    va_end(arguments);
    return length;
}

/* ---- hiredis 0.14, whose own allocations of this kind abort() where they fail ---- */

void *__wrap_hi_malloc(size_t size);
char *__wrap_hi_strdup(const char *text);

static void spare(void)
{
    if (fails())
        spared++;
}

void *__wrap_hi_malloc(size_t size)
{
    spare();
    return noted(__real_malloc(size));
}

char *__wrap_hi_strdup(const char *text)
{
    spare();
    size_t size = strlen(text) + 1;
    char *copy = noted(__real_malloc(size));
    return copy ? memcpy(copy, text, size) : NULL;
}
