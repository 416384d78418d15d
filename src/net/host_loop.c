/* For a program that has a loop of its own: see host_loop.h. */
#include "net/host_loop.h"

#include <sys/epoll.h>
#include <unistd.h>

#include "base/alarm.h"

static int control(struct vlock_host_loop *host_loop, int operation, int fd, bool for_writing)
{
    struct epoll_event event = {.events = EPOLLIN | (for_writing ? (uint32_t)EPOLLOUT : 0u)};
    return host_loop->epoll_fd >= 0 ? epoll_ctl(host_loop->epoll_fd, operation, fd, &event) : 0;
}

int vlock_host_loop_open(struct vlock_host_loop *host_loop, int fd)
{
    host_loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    host_loop->alarm_fd = vlock_alarm_open();
    if (host_loop->epoll_fd >= 0 && host_loop->alarm_fd >= 0 &&
        control(host_loop, EPOLL_CTL_ADD, host_loop->alarm_fd, false) == 0 &&
        control(host_loop, EPOLL_CTL_ADD, fd, false) == 0)
        return 0;
    vlock_host_loop_close(host_loop);
    return -1;
}

void vlock_host_loop_close(struct vlock_host_loop *host_loop)
{
    if (host_loop->epoll_fd >= 0)
        close(host_loop->epoll_fd);
    if (host_loop->alarm_fd >= 0)
        close(host_loop->alarm_fd);
    *host_loop = (struct vlock_host_loop)VLOCK_HOST_LOOP_CLOSED;
}

void vlock_host_loop_add(struct vlock_host_loop *host_loop, int fd, bool for_writing)
{
    control(host_loop, EPOLL_CTL_ADD, fd, for_writing);
}

void vlock_host_loop_change(struct vlock_host_loop *host_loop, int fd, bool for_writing)
{
    control(host_loop, EPOLL_CTL_MOD, fd, for_writing);
}

void vlock_host_loop_remove(struct vlock_host_loop *host_loop, int fd)
{
    control(host_loop, EPOLL_CTL_DEL, fd, false);
}

void vlock_host_loop_wake_in(struct vlock_host_loop *host_loop, int64_t delay_ns)
{
    if (host_loop->alarm_fd >= 0)
        vlock_alarm_set(host_loop->alarm_fd, delay_ns);
}
