/*
 * A cleanup: a process that waits, and when this one is gone, however it went (SIGKILL included),
 * runs this program once more to put things in order: the lab has it remove a run's keys from a
 * server that is not ours. Dismissed, it does nothing.
 */
#ifndef VLOCK_CLEANUP_H
#define VLOCK_CLEANUP_H

#include "vlock_error.h"

struct vlock_cleanup;

/* words: the command line, words[0] included, NULL at its end; url: what VLOCK_REDIS_URL says to
 * it, where nobody else sees it. Both are copied. NULL and `error` on failure. */
struct vlock_cleanup *vlock_cleanup_new(const char *const *words, const char *url,
                                        struct vlock_error *error);

/* Frees it: dismissed, it goes home; abandoned, it goes to work at once. NULL is ignored. */
void vlock_cleanup_dismiss(struct vlock_cleanup *cleanup);
void vlock_cleanup_abandon(struct vlock_cleanup *cleanup);

#endif
