/* Looking for a reply before sleeping: for how long, and not where others need the processor. What
 * is counted is how often the loop yields it; others are those that this program plays. */
#include "check.h"

#include <string.h>

#include "base/clock.h"
#include "vlock.h"

/* ---- the processor ---- */

static int yields;
static int64_t clock_ns, first_ns, last_ns; /* now, and at the first and the last yield */
static bool others_are_there, has_yielded;

/* In place of sched_yield(). The processor is kept, and whoever else is on this machine is not
 * noticed: the time at which it is back is told here. */
int __wrap_sched_yield(void);
int __wrap_sched_yield(void)
{
    last_ns = clock_ns;
    if (yields++ == 0)
        first_ns = clock_ns;
    has_yielded = true;
    return 0;
}

/* In place of vlock_clock_now(), which is asked before and behind it. */
int64_t __real_vlock_clock_now(void);
int64_t __wrap_vlock_clock_now(void);
int64_t __wrap_vlock_clock_now(void)
{
    if (has_yielded) {
        has_yielded = false;
        return others_are_there ? clock_ns + 1000000 : clock_ns;
    }
    return clock_ns = __real_vlock_clock_now();
}

/* ---- a server that takes its time ---- */

static void run(vlock_engine *engine, const char *source)
{
    struct vlock_error error = {.message = ""};
    if (vlock_run_string(engine, source, strlen(source), "=test", NULL, NULL, NULL, &error) != 0)
        fail_msg("%s", error.message);
}

static vlock_engine *open_engine(double busy_poll)
{
    struct vlock_error error = {.message = ""};
    vlock_engine *engine =
        vlock_open(&(struct vlock_options){.private_server = true, .busy_poll = busy_poll}, &error);
    if (!engine)
        fail_msg("%s", error.message);
    return engine;
}

/* Waits for a reply for more than 0.4 s, after many that came soon, and counts anew. */
static void wait_for_reply(vlock_engine *engine, bool others)
{
    others_are_there = false;
    run(engine, "for _ = 1, 100 do redis.call('PING') end "
                "redis.call('CLIENT', 'PAUSE', 700, 'ALL')");
    others_are_there = others;
    yields = 0;
    first_ns = last_ns = 0;
    run(engine, "local began = vlock.now() redis.call('PING') assert(vlock.now() - began > 0.4)");
}

/* ---- the tests ---- */

static void it_looks_for_as_long_as_it_is_told(void **state)
{
    (void)state;
    vlock_engine *engine = open_engine(0.1);
    wait_for_reply(engine, false);
    assert_in_range(yields, 10, INT32_MAX);
    assert_in_range(last_ns - first_ns, 20 * 1000 * 1000, 100 * 1000 * 1000);
    vlock_close(engine);

    engine = open_engine(10);
    wait_for_reply(engine, false);
    assert_in_range(last_ns - first_ns, 300 * 1000 * 1000, 10 * VLOCK_NS_PER_SECOND);
    vlock_close(engine);
}

/* 0.2 ms: no yield is later than that after the command. */
static void by_default_it_looks_for_a_moment(void **state)
{
    (void)state;
    vlock_engine *engine = open_engine(0);
    wait_for_reply(engine, false);
    assert_in_range(last_ns - first_ns, 0, 200 * 1000);
    vlock_close(engine);
}

static void it_sleeps_where_it_is_told(void **state)
{
    (void)state;
    vlock_engine *engine = open_engine(-1);
    wait_for_reply(engine, false);
    assert_int_equal(yields, 0);
    vlock_close(engine);
}

/* A server that answers later than that is not polled for. */
static void it_sleeps_where_replies_come_late(void **state)
{
    (void)state;
    vlock_engine *engine = open_engine(0.05);
    wait_for_reply(engine, false);
    yields = 0;
    run(engine, "redis.call('CLIENT', 'PAUSE', 200, 'ALL')");
    assert_int_equal(yields, 0);
    vlock_close(engine);
}

/* It finds them there once, and then no sooner than 10, 20, 40, 80 … ms later. */
static void it_sleeps_where_others_need_the_processor(void **state)
{
    (void)state;
    vlock_engine *engine = open_engine(10);
    wait_for_reply(engine, true);
    assert_int_equal(yields, 1);
    yields = 0;
    run(engine,
        "local began = vlock.now() repeat redis.call('PING') until vlock.now() > began + 0.4");
    assert_in_range(yields, 2, 6);
    vlock_close(engine);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(it_looks_for_as_long_as_it_is_told),
    cmocka_unit_test(by_default_it_looks_for_a_moment),
    cmocka_unit_test(it_sleeps_where_it_is_told),
    cmocka_unit_test(it_sleeps_where_replies_come_late),
    cmocka_unit_test(it_sleeps_where_others_need_the_processor),
};
RUN_TESTS(tests)
