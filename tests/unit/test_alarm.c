/* A descriptor that becomes readable at a time. */
#include "check.h"

#include <poll.h>
#include <unistd.h>

#include "base/alarm.h"
#include "base/clock.h"

#define MS_NS 1000000LL

static bool is_readable_within(int fd, int ms)
{
    struct pollfd look = {.fd = fd, .events = POLLIN};
    return poll(&look, 1, ms) == 1;
}

static void it_goes_off_at_its_time_and_not_before(void **state)
{
    (void)state;
    int fd = vlock_alarm_open();
    assert_true(fd >= 0);
    assert_false(is_readable_within(fd, 0));
    for (int64_t delay_ns = 300; delay_ns < 10 * MS_NS; delay_ns *= 7) {
        int64_t began_ns = vlock_clock_now();
        vlock_alarm_set(fd, delay_ns);
        assert_true(is_readable_within(fd, 5000));
        assert_true(vlock_clock_now() - began_ns >= delay_ns);
        vlock_alarm_hear(fd);
        assert_false(is_readable_within(fd, 0));
    }
    close(fd);
}

static void a_time_that_has_passed_is_now(void **state)
{
    (void)state;
    int fd = vlock_alarm_open();
    vlock_alarm_set(fd, 0);
    assert_true(is_readable_within(fd, 5000));
    vlock_alarm_hear(fd);
    vlock_alarm_set(fd, -MS_NS);
    assert_true(is_readable_within(fd, 5000));
    close(fd);
}

static void what_is_set_replaces_what_was(void **state)
{
    (void)state;
    int fd = vlock_alarm_open();
    vlock_alarm_set(fd, MS_NS);
    vlock_alarm_set(fd, INT64_MAX);
    assert_false(is_readable_within(fd, 20));
    vlock_alarm_set(fd, 0);
    assert_true(is_readable_within(fd, 5000));
    vlock_alarm_set(fd, INT64_MAX); /* what has gone off, too */
    assert_false(is_readable_within(fd, 0));
    vlock_alarm_hear(fd); /* which does not wait, either */
    close(fd);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(it_goes_off_at_its_time_and_not_before),
    cmocka_unit_test(a_time_that_has_passed_is_now),
    cmocka_unit_test(what_is_set_replaces_what_was),
};
RUN_TESTS(tests)
