/*
 * Whether the commits of one key form one chain, and whether they and the reads keep to real time.
 * Each commit says on which state of the cell it was made, and which state it made. Taken together,
 * in any order, they must lead from the first state to the last, each used once, and each state
 * must be found with the content that it was made with: then no update was lost, and none was
 * applied that nobody knows of.
 *
 * Such a chain is also the only order in which the commits can have been made. Every operation
 * must have taken effect at some moment between its begin and its end, and these moments must
 * follow the chain: what began after something had ended stands behind it (linearizability,
 * M. Herlihy and J. Wing, 1990). Since the order is known, it is enough that no operation began
 * after another had ended that stands behind it in the chain.
 */
#ifndef VLOCK_CHAIN_H
#define VLOCK_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VLOCK_CHAIN_CULPRITS 8
#define VLOCK_CHAIN_NOBODY (-1)

struct vlock_chain;

/* A content that is not known: any other is the same. Others are odd, or 0 for an absent value. */
#define VLOCK_CHAIN_ANY 2

/* A state of the cell. id: 64 bits that stand for what names it, its stamp or its value; content:
 * 32 bits that stand for its value. */
struct vlock_chain_state {
    uint64_t id;
    uint32_t content;
};

/* When an operation began and when its result was known, on one monotonic clock of any unit. */
struct vlock_chain_span {
    int64_t begin, end;
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
    /* A commit that began after `other`, which stands behind it in the chain, had ended. */
    VLOCK_CHAIN_OUT_OF_ORDER,
    /* A read that began after `other`, a commit behind the state that it found, or a read of a
     * later one, had ended. */
    VLOCK_CHAIN_STALE,
};

/* Commits and writes of unknown outcome are numbered as they were added, from 0, and reads beside
 * them, from 0 too; VLOCK_CHAIN_NOBODY where there is none. */
struct vlock_chain_culprit {
    enum vlock_chain_fault fault;
    int64_t commit, other;
    bool is_read, is_other_read; /* which of the two it is that is numbered */
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
    /* Commits and reads that began after something behind them had ended. Judged only where all of
     * the above is faultless: where there is no chain there is no order. */
    int64_t out_of_order, stale_reads;
    bool whole; /* one chain, from the first state to the last, of all commits, in their order */
    struct vlock_chain_culprit culprits[VLOCK_CHAIN_CULPRITS]; /* the first few */
    size_t culprit_count;
};

/* Empty. NULL when out of memory. */
struct vlock_chain *vlock_chain_new(void);
void vlock_chain_free(struct vlock_chain *chain);

/* 64 bits that stand for these bytes. Two out of n million are taken for one with a probability of
 * n² / 37 million million. */
uint64_t vlock_chain_id(const void *bytes, size_t count);

/* A commit that was reported; a write of which nobody knows whether it was applied, and from when;
 * the same of which not even the state is known that it would have made; a read, and what it found.
 * 0, or -1 when out of memory or beyond 2^30 of a kind. */
int vlock_chain_commit(struct vlock_chain *chain, struct vlock_chain_state base,
                       struct vlock_chain_state made, struct vlock_chain_span span);
int vlock_chain_unknown(struct vlock_chain *chain, struct vlock_chain_state base,
                        struct vlock_chain_state made, int64_t begin);
int vlock_chain_unplaced(struct vlock_chain *chain, struct vlock_chain_state base, int64_t begin);
int vlock_chain_read(struct vlock_chain *chain, struct vlock_chain_state found,
                     struct vlock_chain_span span);

/* Reads of one state that are kept as one. A zeroed struct: none yet. */
struct vlock_chain_sightings {
    struct vlock_chain_state state;
    uint32_t read; /* its number, from 1; 0: there is none */
};

/* A read of a state that has many: those that are told of with the same `sightings`, until one
 * finds another state, are kept as one, which began when the last of them did and ended when the
 * first of them had. It shows what any of them would show, so `whole` is as of vlock_chain_read();
 * but it counts once. */
int vlock_chain_read_more(struct vlock_chain *chain, struct vlock_chain_sightings *sightings,
                          struct vlock_chain_state found, struct vlock_chain_span span);

/* How many commits and writes of unknown outcome were added. */
int64_t vlock_chain_count(const struct vlock_chain *chain);

/* Checks all that was added; linear in time, 41 bytes a commit and 32 a read while they are added
 * (up to twice that is reserved) and up to 32 more a commit here. 0, or -1 when out of memory.
 *
 * Where more than one write of unknown outcome and state was applied, the chain has several parts
 * behind the first, and nobody knows in which order they follow each other: each is judged in
 * itself and against the first. */
int vlock_chain_check(struct vlock_chain *chain, struct vlock_chain_state first,
                      struct vlock_chain_state last, struct vlock_chain_result *result);

#endif
