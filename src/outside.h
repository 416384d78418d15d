/*
 * For a program that has a loop of its own: one descriptor that is readable when there is something to do, whatever it is. An epoll
 * descriptor (Linux) that holds the sockets, the pipe that interrupts, and a timer. Closed until vlock_outside_open().
 */
#ifndef VLOCK_OUTSIDE_H
#define VLOCK_OUTSIDE_H

#include <stdbool.h>
#include <stdint.h>

struct vlock_outside {
    int epoll_fd, timer_fd;
};

#define VLOCK_OUTSIDE_CLOSED {-1, -1}

/* Watches `fd` for input from the beginning. 0, or -1 when the system refuses. */
int vlock_outside_open(struct vlock_outside *outside, int fd);
void vlock_outside_close(struct vlock_outside *outside);

/* These do nothing while it is closed. */
void vlock_outside_add(struct vlock_outside *outside, int fd, bool for_writing);
void vlock_outside_change(struct vlock_outside *outside, int fd, bool for_writing);
void vlock_outside_remove(struct vlock_outside *outside, int fd);

/* Makes it readable after `delay_ns`, at once where that is not positive; never for INT64_MAX. Replaces what was set before. */
void vlock_outside_wake_in(struct vlock_outside *outside, int64_t delay_ns);

#endif
