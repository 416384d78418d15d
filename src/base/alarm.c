/* A descriptor that becomes readable at a time: see alarm.h. */
#include "base/alarm.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"

int vlock_alarm_open(void)
{
    return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
}

void vlock_alarm_set(int fd, int64_t delay_ns)
{
    struct itimerspec timer = {0};
    if (delay_ns < 1)
        delay_ns = 1; /* zero would stop it */
    if (delay_ns != INT64_MAX) {
        timer.it_value.tv_sec = delay_ns / VLOCK_NS_PER_SECOND;
        timer.it_value.tv_nsec = delay_ns % VLOCK_NS_PER_SECOND;
    }
    timerfd_settime(fd, 0, &timer, NULL);
}

void vlock_alarm_hear(int fd)
{
    uint64_t times;
    ssize_t size = read(fd, &times, sizeof times); /* all of them, or none has come */
    (void)size;
}
