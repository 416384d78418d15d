/* For a program that has a loop of its own: see outside.h. */
#include "net/host_loop.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

static int control(struct vlock_host_loop *outside, int operation, int fd, bool for_writing)
{
    struct epoll_event event = {.events = EPOLLIN | (for_writing ? (uint32_t)EPOLLOUT : 0u)};
    return outside->epoll_fd >= 0 ? epoll_ctl(outside->epoll_fd, operation, fd, &event) : 0;
}

int vlock_host_loop_open(struct vlock_host_loop *outside, int fd)
{
    outside->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    outside->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (outside->epoll_fd >= 0 && outside->timer_fd >= 0 &&
        control(outside, EPOLL_CTL_ADD, outside->timer_fd, false) == 0 &&
        control(outside, EPOLL_CTL_ADD, fd, false) == 0)
        return 0;
    vlock_host_loop_close(outside);
    return -1;
}

void vlock_host_loop_close(struct vlock_host_loop *outside)
{
    if (outside->epoll_fd >= 0)
        close(outside->epoll_fd);
    if (outside->timer_fd >= 0)
        close(outside->timer_fd);
    *outside = (struct vlock_host_loop)VLOCK_HOST_LOOP_CLOSED;
}

void vlock_host_loop_add(struct vlock_host_loop *outside, int fd, bool for_writing)
{
    control(outside, EPOLL_CTL_ADD, fd, for_writing);
}

void vlock_host_loop_change(struct vlock_host_loop *outside, int fd, bool for_writing)
{
    control(outside, EPOLL_CTL_MOD, fd, for_writing);
}

void vlock_host_loop_remove(struct vlock_host_loop *outside, int fd)
{
    control(outside, EPOLL_CTL_DEL, fd, false);
}

void vlock_host_loop_wake_in(struct vlock_host_loop *outside, int64_t delay_ns)
{
    struct itimerspec timer = {0};
    if (outside->timer_fd < 0)
        return;
    if (delay_ns < 1)
        delay_ns = 1; /* zero would stop the timer */
    if (delay_ns != INT64_MAX) {
        timer.it_value.tv_sec = delay_ns / VLOCK_NS_PER_SECOND;
        timer.it_value.tv_nsec = delay_ns % VLOCK_NS_PER_SECOND;
    }
    timerfd_settime(outside->timer_fd, 0, &timer, NULL);
}
