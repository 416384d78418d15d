/*
 * The pace of a writer: whether its next update of a cell begins with the state that its last
 * commit made, or with a read; and whether it rests first, so that others have their chance. Why,
 * and for how long: rest_of in lua/vlock/cell/session.lua. A zeroed struct is that of a writer
 * which has not written yet. Times are on one clock, that of vlock_scheduler_now().
 */
#ifndef VLOCK_PACE_H
#define VLOCK_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct vlock_pace {
    int64_t disturbed_until_ns; /* until then others count as being at work */
    int64_t new_until_ns;       /* until then nobody knows whether others are; 0: not set */
    int64_t follows_until_ns;   /* an update that begins until then follows the last one at once */
    int turn;                   /* updates in a row on commits of its own */
    bool has_base;              /* whether the next update can begin with the last commit's state */
};

/* How an update begins. */
enum vlock_pace_start {
    VLOCK_PACE_READS, /* with a read */
    VLOCK_PACE_RESTS_AND_READS,
    VLOCK_PACE_BUILDS, /* with the last commit's state, if that is still the last one's and
                                  its lifetime is not over: else with a read */
    VLOCK_PACE_RESTS_AND_BUILDS,
    VLOCK_PACE_RESTS_LONG_AND_BUILDS /* for as long as its turn was */
};

/* An update begins now. */
enum vlock_pace_start vlock_pace_begin(struct vlock_pace *pace, int64_t now_ns);

/* How many round trips at most an update rests that begins so. */
int vlock_pace_rest(enum vlock_pace_start start);

/* After a commit, which was sent then, and known now. has_base: whether it is known how long its
 * value lasts. */
void vlock_pace_committed(struct vlock_pace *pace, bool has_base, int64_t sent_ns, int64_t now_ns);

/* After a conflict, or what may have been one, of a write that was sent then, and has ended now. */
void vlock_pace_disturbed(struct vlock_pace *pace, int64_t sent_ns, int64_t now_ns);

#endif
