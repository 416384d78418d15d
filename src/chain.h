/*
 * Whether the commits of one key form one chain. Each commit says on which state of the cell it was made, and which state it made.
 * Taken together, in any order, they must lead from the first state to the last, each used once: then no update was lost, and none was
 * applied that nobody knows of.
 */
#ifndef VLOCK_CHAIN_H
#define VLOCK_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vlock_chain;

struct vlock_chain_result {
    int64_t commits;
    int64_t lost_updates;    /* commits on a base on which another commit was made before */
    int64_t duplicated;      /* commits that made, on another base, a state that was made before */
    int64_t unknown_applied; /* writes of unknown outcome that the chain needs */
    int64_t missing;         /* commits that the chain from the first state does not reach */
    bool whole;              /* one chain, from the first state to the last, of all commits */
};

/* Empty. NULL when out of memory. */
struct vlock_chain *vlock_chain_new(void);
void vlock_chain_free(struct vlock_chain *chain);

/* 64 bits that stand for a state: a hash of its stamp, or its value. Two states out of n million are taken for one with a probability
 * of n² / 37 million million. */
uint64_t vlock_chain_id(const void *bytes, size_t count);

/* A commit that was reported; a write of which nobody knows whether it was applied. 0, or -1 when out of memory or beyond 2^31. */
int vlock_chain_commit(struct vlock_chain *chain, uint64_t base, uint64_t made);
int vlock_chain_unknown(struct vlock_chain *chain, uint64_t base, uint64_t made);

/* Checks all that was added; linear in time, 17 bytes a commit while they are added and up to 25 more here. 0, or -1 when out of
 * memory. */
int vlock_chain_check(struct vlock_chain *chain, uint64_t first, uint64_t last, struct vlock_chain_result *result);

#endif
