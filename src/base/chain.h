/*
 * Whether the commits of one key form one chain. Each commit says on which state of the cell it was
 * made, and which state it made. Taken together, in any order, they must lead from the first state
 * to the last, each used once, and each state must be found with the content that it was made with:
 * then no update was lost, and none was applied that nobody knows of.
 */
#ifndef VLOCK_CHAIN_H
#define VLOCK_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VLOCK_CHAIN_CULPRITS 8
#define VLOCK_CHAIN_NOBODY (-1)

struct vlock_chain;

/* A state of the cell. id: 64 bits that stand for what names it, its stamp or its value; content:
 * 32 bits that stand for its value. */
struct vlock_chain_state {
    uint64_t id;
    uint32_t content;
};

enum vlock_chain_fault {
    VLOCK_CHAIN_LOST, /* a commit on a base on which another commit, `other`, goes on */
    /* A commit that made, on another base, the state that `other` had made. */
    VLOCK_CHAIN_DUPLICATED,
    /* A commit on a state that nobody is known to have made; nobody: such a state stands at the
     * end. */
    VLOCK_CHAIN_UNREPORTED,
    /* A commit that found the state that `other` had made with another content; nobody: it is the
     * last state. */
    VLOCK_CHAIN_ALTERED,
    VLOCK_CHAIN_MISSING, /* a commit that the chain does not hold */
};

/* Commits are numbered as they were added, from 0; VLOCK_CHAIN_NOBODY where there is none. */
struct vlock_chain_culprit {
    enum vlock_chain_fault fault;
    int64_t commit, other;
};

struct vlock_chain_result {
    int64_t commits;
    int64_t lost_updates; /* commits on a base on which another commit goes on */
    int64_t duplicated;   /* commits that made, on another base, a state that was made before */
    int64_t unreported;   /* states that were found and that nobody is known to have made */
    /* States that were found with another content than they were made with. */
    int64_t altered;
    /* Commits that the chain does not hold, beside those that are counted as lost. */
    int64_t missing;
    int64_t unknown_applied; /* writes of unknown outcome that the chain needs */
    bool whole;              /* one chain, from the first state to the last, of all commits */
    struct vlock_chain_culprit culprits[VLOCK_CHAIN_CULPRITS]; /* the first few */
    size_t culprit_count;
};

/* Empty. NULL when out of memory. */
struct vlock_chain *vlock_chain_new(void);
void vlock_chain_free(struct vlock_chain *chain);

/* 64 bits that stand for these bytes. Two out of n million are taken for one with a probability of
 * n² / 37 million million. */
uint64_t vlock_chain_id(const void *bytes, size_t count);

/* A commit that was reported; a write of which nobody knows whether it was applied; the same of
 * which not even the state is known that it would have made. 0, or -1 when out of memory or beyond
 * 2^31. */
int vlock_chain_commit(struct vlock_chain *chain, struct vlock_chain_state base,
                       struct vlock_chain_state made);
int vlock_chain_unknown(struct vlock_chain *chain, struct vlock_chain_state base,
                        struct vlock_chain_state made);
int vlock_chain_unplaced(struct vlock_chain *chain, struct vlock_chain_state base);

/* Checks all that was added; linear in time, 25 bytes a commit while they are added (up to twice
 * that is reserved) and up to 16 more here. 0, or -1 when out of memory. */
int vlock_chain_check(struct vlock_chain *chain, struct vlock_chain_state first,
                      struct vlock_chain_state last, struct vlock_chain_result *result);

#endif
