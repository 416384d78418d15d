/*
 * For a program that has a loop of its own: one descriptor that is readable when there is something
 * to do, whatever it is. An epoll descriptor (Linux) that holds the sockets, the pipe that
 * interrupts, and an alarm. Closed until vlock_host_loop_open().
 */
#ifndef VLOCK_HOST_LOOP_H
#define VLOCK_HOST_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct vlock_host_loop {
    int epoll_fd, alarm_fd;
};

#define VLOCK_HOST_LOOP_CLOSED                                                                     \
    {                                                                                              \
        -1, -1                                                                                     \
    }

/* Watches `fd` for input from the beginning. 0, or -1 when the system refuses. */
int vlock_host_loop_open(struct vlock_host_loop *host_loop, int fd);
void vlock_host_loop_close(struct vlock_host_loop *host_loop);

/* These do nothing while it is closed. */
void vlock_host_loop_add(struct vlock_host_loop *host_loop, int fd, bool for_writing);
void vlock_host_loop_change(struct vlock_host_loop *host_loop, int fd, bool for_writing);
void vlock_host_loop_remove(struct vlock_host_loop *host_loop, int fd);

/* Makes it readable after `delay_ns`, at once where that is not positive; never for INT64_MAX.
 * Replaces what was set before. */
void vlock_host_loop_wake_in(struct vlock_host_loop *host_loop, int64_t delay_ns);

#endif
