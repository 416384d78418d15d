/* By how much a counter has grown: see growth.h. */
#include "base/growth.h"

bool vlock_growth_number(struct vlock_growth_value value, int64_t *number)
{
    int64_t found = 0;
    size_t at = 0;
    for (; at < value.count && value.bytes[at] >= '0' && value.bytes[at] <= '9'; at++) {
        int digit = value.bytes[at] - '0';
        if (found > (INT64_MAX - digit) / 10)
            return false;
        found = found * 10 + digit;
    }
    *number = found;
    return !value.bytes || at > 0;
}

void vlock_growth_add(struct vlock_growth *growth, struct vlock_growth_value base,
                      struct vlock_growth_value made)
{
    int64_t from, to;
    if (!vlock_growth_number(base, &from) || !vlock_growth_number(made, &to))
        growth->is_unknown = true;
    else /* round the end of the integers, where it comes to that, as Lua's do */
        growth->sum = (int64_t)((uint64_t)growth->sum + (uint64_t)to - (uint64_t)from);
}
