/* The pace of a writer: see pace.h. */
#include "base/pace.h"

#include "base/clock.h"

/* Updates in a row on commits of its own, before it rests: where others are about, and where it met
 * nobody, for whom a rest would be time lost. */
#define TURN 8
#define STREAK 16
#define REST 16 /* round trips at most: on an average as long as a turn */
/* For how long a conflict counts: for the first, or so many turns where they take longer. */
#define DISTURBED_NS VLOCK_NS_PER_SECOND
#define DISTURBED_TURNS 32
/* For how long a writer is new, and takes turns as if it had met others: these may begin just now.
 * Else whoever comes first of two may go on undisturbed for a second, as the attempts of the other
 * one, which leave no trace, become rarer and rarer. It does not read: if somebody wrote meanwhile,
 * a conflict says so, and if not, its rest cost no command. */
#define NEW_NS (10 * 1000 * 1000LL)

static enum vlock_pace_start end_turn(struct vlock_pace *pace, enum vlock_pace_start start)
{
    pace->turn = 0;
    return start;
}

enum vlock_pace_start vlock_pace_begin(struct vlock_pace *pace, int64_t now_ns)
{
    if (!pace->has_base)
        return end_turn(pace, VLOCK_PACE_READS);
    bool is_disturbed = now_ns < pace->disturbed_until_ns;
    if (is_disturbed && now_ns > pace->follows_until_ns)
        return end_turn(pace, VLOCK_PACE_READS);
    bool is_new = now_ns < pace->new_until_ns;
    if (pace->turn++ < (is_disturbed || is_new ? TURN : STREAK))
        return VLOCK_PACE_BUILDS;
    return end_turn(pace, is_disturbed ? VLOCK_PACE_RESTS_AND_READS
                          : is_new     ? VLOCK_PACE_RESTS_LONG_AND_BUILDS
                                       : VLOCK_PACE_RESTS_AND_BUILDS);
}

int vlock_pace_rest(enum vlock_pace_start start)
{
    switch (start) {
    case VLOCK_PACE_RESTS_AND_READS:
        return REST;
    case VLOCK_PACE_RESTS_AND_BUILDS:
        return 1;
    case VLOCK_PACE_RESTS_LONG_AND_BUILDS:
        return TURN;
    default:
        return 0;
    }
}

void vlock_pace_committed(struct vlock_pace *pace, bool has_base, int64_t sent_ns, int64_t now_ns)
{
    if (pace->new_until_ns == 0)
        pace->new_until_ns = now_ns + NEW_NS;
    pace->has_base = has_base;
    pace->follows_until_ns = now_ns + (now_ns - sent_ns);
}

void vlock_pace_disturbed(struct vlock_pace *pace, int64_t sent_ns, int64_t now_ns)
{
    int64_t turns_ns = DISTURBED_TURNS * TURN * (now_ns - sent_ns);
    int64_t lasts_ns = turns_ns > DISTURBED_NS ? turns_ns : DISTURBED_NS;
    *pace = (struct vlock_pace){.disturbed_until_ns = now_ns + lasts_ns,
                                .new_until_ns = pace->new_until_ns};
}
