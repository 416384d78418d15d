/* A mark of the process that set it, which a child that was forked from it does not have. To look
 * at it asks nothing of the system: a loop does so each turn. */
#ifndef VLOCK_FORK_MARK_H
#define VLOCK_FORK_MARK_H

#include <stdbool.h>
#include <sys/types.h>

struct vlock_fork_mark {
    volatile char *page; /* NULL: there is none, and the process is known by its number */
    pid_t process;
};

void vlock_fork_mark_set(struct vlock_fork_mark *mark);

/* Whether this is the process that set it, and not a child of that. */
bool vlock_fork_mark_is_here(const struct vlock_fork_mark *mark);

/* In a child, too: what is freed there is its copy. */
void vlock_fork_mark_free(struct vlock_fork_mark *mark);

#endif
