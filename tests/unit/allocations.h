/* Allocations that fail on demand: those of libvlock, Lua, hiredis and libevent, which are linked
 * into the program for that (see the Makefile). Those of libc and of lua-cjson go by. */
#ifndef VLOCK_TESTS_ALLOCATIONS_H
#define VLOCK_TESTS_ALLOCATIONS_H

#include <stdbool.h>

/* From now on the nth allocation fails, counted from 1; and, for_good, all that follow it. */
void allocations_fail(long nth, bool for_good);

/* From now on none fails. Returns how many have failed since allocations_fail(). */
long allocations_succeed(void);

/* Around what is not meant: nothing in there fails, is counted, or is held to be left. They do not
 * nest. */
void allocations_pause(void);
void allocations_resume(void);

/* Blocks that were allocated since the last allocations_watch() and have not been freed. */
void allocations_watch(void);
long allocations_left(void);

/* How often hiredis 0.14 was about to end the process for want of memory (hi_malloc, hi_strdup): it
 * was given it. */
long allocations_spared(void);

#endif
