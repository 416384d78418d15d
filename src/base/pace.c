/* The pace of a writer: see pace.h. */
#include "base/pace.h"

#define STREAK 16 /* updates: one that was never disturbed pauses after so many */

bool vlock_pace_has_base(const struct vlock_pace *pace)
{
    return pace->has_base && pace->disturbed == 0;
}

bool vlock_pace_gives_way(const struct vlock_pace *pace)
{
    return pace->has_base && pace->disturbed > 0;
}

bool vlock_pace_builds(struct vlock_pace *pace)
{
    return ++pace->streak % STREAK == 0;
}

void vlock_pace_committed(struct vlock_pace *pace, bool has_base)
{
    pace->has_base = has_base;
    if (pace->disturbed > 0)
        pace->disturbed--;
}

void vlock_pace_disturbed(struct vlock_pace *pace, int updates)
{
    *pace = (struct vlock_pace){.disturbed = updates};
}
