/*
 * The pace of a writer: whether its next update of a cell begins with the state that its last
 * commit made, or with a read; and whether it lets some time pass first, so that others have their
 * chance. Why, and for how long: pause_of in lua/vlock/cell/session.lua. A zeroed struct is that of
 * a writer which has not written yet.
 */
#ifndef VLOCK_PACE_H
#define VLOCK_PACE_H

#include <stdbool.h>

struct vlock_pace {
    int disturbed; /* updates that begin with a read, because others were seen at work */
    int streak;    /* updates in a row on commits of its own */
    bool has_base; /* whether the next update can begin with the last commit's state */
};

/* Whether the next update can do without a read, if the state's lifetime is not over. */
bool vlock_pace_has_base(const struct vlock_pace *pace);

/* Whether an update that begins now, after others by which the writer was disturbed, lets a random
 * time pass before it reads. */
bool vlock_pace_gives_way(const struct vlock_pace *pace);

/* An update begins with the last commit's state; whether it lets a round trip pass first. */
bool vlock_pace_builds(struct vlock_pace *pace);

/* After a commit. has_base: whether it is known how long its value lasts. */
void vlock_pace_committed(struct vlock_pace *pace, bool has_base);

/* After a conflict, or what may have been one: so many updates begin with a read. */
void vlock_pace_disturbed(struct vlock_pace *pace, int updates);

#endif
