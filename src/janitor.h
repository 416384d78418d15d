/*
 * A janitor: a process that waits, and when this one is gone, however it went (SIGKILL included), runs this program once more to put things
 * in order: the lab has it remove a run's keys from a server that is not ours. Dismissed, it does nothing.
 */
#ifndef VLOCK_JANITOR_H
#define VLOCK_JANITOR_H

#include "vlock_error.h"

struct vlock_janitor;

/* words: the command line, words[0] included, NULL at its end; url: what VLOCK_REDIS_URL says to it, where nobody else sees it. Both are
 * copied. NULL and `error` on failure. */
struct vlock_janitor *vlock_janitor_new(const char *const *words, const char *url, struct vlock_error *error);

/* Frees it: dismissed, it goes home; abandoned, it goes to work at once. NULL is ignored. */
void vlock_janitor_dismiss(struct vlock_janitor *janitor);
void vlock_janitor_abandon(struct vlock_janitor *janitor);

#endif
