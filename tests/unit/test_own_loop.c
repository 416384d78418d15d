/* vlock_descriptor() in a loop of the program's own: readable when there is work, and only then. */
#include "check.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "vlock.h"

#define QUIET_MS 100

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static vlock_engine *open_engine(double command_timeout)
{
    struct vlock_error error = {.message = ""};
    vlock_engine *engine = vlock_open(
        &(struct vlock_options){.private_server = true, .command_timeout = command_timeout},
        &error);
    if (!engine)
        fail_msg("%s", error.message);
    assert_true(vlock_descriptor(engine) >= 0);
    return engine;
}

static bool is_readable(vlock_engine *engine, int ms)
{
    struct pollfd ready = {.fd = vlock_descriptor(engine), .events = POLLIN};
    return poll(&ready, 1, ms) > 0;
}

static void start(vlock_engine *engine, const char *source)
{
    struct vlock_error error = {.message = ""};
    if (vlock_start(engine, source, strlen(source), "=test", NULL, NULL, NULL, &error) != 0)
        fail_msg("%s", error.message);
}

/* Turns to the end of the run, stepping only when there is work. Returns what the last step did;
 * `wakes` counts. */
static int finish(vlock_engine *engine, int *wakes, struct vlock_error *error)
{
    int result = 1;
    for (*wakes = 0; result == 1; ++*wakes) {
        if (!is_readable(engine, 2000))
            fail_msg("nothing happened for 2 s");
        result = vlock_step(engine, error);
    }
    return result;
}

/* How often a loop that waits for the descriptor is woken in vain. */
static int idle_wakes(vlock_engine *engine)
{
    struct vlock_error error;
    double end = now() + QUIET_MS / 1e3;
    int wakes = 0;
    while (now() < end)
        if (is_readable(engine, QUIET_MS)) {
            wakes++;
            assert_int_equal(vlock_step(engine, &error), 0);
        }
    return wakes;
}

static void between_runs_there_is_nothing_to_do(void **state)
{
    static const char *const sources[] = {
        "return 1",
        "redis.call('PING')",
        "vlock.sleep(0.01)",
        "error('x')",
        "vlock.spawn(function() vlock.sleep(100) end) redis.call('PING') error('x')",
        ("vlock.spawn(function() redis.connect():call('BLPOP', 'q', 0) end) vlock.sleep(0.01) "
         "error('x')"),
    };
    (void)state;
    vlock_engine *engine = open_engine(0);
    struct vlock_error error;
    int wakes;
    assert_int_equal(idle_wakes(engine), 0);
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        start(engine, sources[i]);
        finish(engine, &wakes, &error);
        /* A connection that was let go may still have to be closed. */
        assert_in_range(idle_wakes(engine), 0, 1);
        assert_int_equal(idle_wakes(engine), 0);
        vlock_run_string(engine, sources[i], strlen(sources[i]), "=test", NULL, NULL, NULL, &error);
        assert_in_range(idle_wakes(engine), 0, 1);
    }
    vlock_close(engine);
}

static void what_happens_between_runs_is_said_once(void **state)
{
    (void)state;
    vlock_engine *engine = open_engine(0);
    struct vlock_error error;
    int wakes;
    vlock_interrupt(engine, "nobody is there");
    assert_in_range(idle_wakes(engine), 1, 2);
    assert_int_equal(idle_wakes(engine), 0);
    start(engine, "redis.call('CLIENT', 'KILL', 'SKIPME', 'no')");
    finish(engine, &wakes, &error);
    /* The server closes the connection after its reply. */
    assert_in_range(idle_wakes(engine), 0, 2);
    assert_int_equal(idle_wakes(engine), 0);
    start(engine, "redis.call('PING')");
    assert_int_equal(finish(engine, &wakes, &error), 0);
    vlock_close(engine);
}

static void a_run_wakes_for_what_happens_only(void **state)
{
    static const struct {
        const char *source;
        int most_wakes;
    } runs[] = {{"return 1", 2},
                {"redis.call('PING')", 10},
                {"vlock.sleep(0.3)", 6},
                {"redis.connect():call('BLPOP', 'q', 0.3)", 14}};
    (void)state;
    vlock_engine *engine = open_engine(0);
    struct vlock_error error = {.message = ""};
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        int wakes;
        double began = now();
        start(engine, runs[i].source);
        if (finish(engine, &wakes, &error) != 0)
            fail_msg("%s", error.message);
        assert_in_range(wakes, 1, runs[i].most_wakes);
        assert_true(now() - began < 5);
    }
    vlock_close(engine);
}

static void time_outs_wake_as_well(void **state)
{
    (void)state;
    vlock_engine *engine = open_engine(0.1);
    struct vlock_error error = {.message = ""};
    int wakes;
    double began = now();
    start(engine, "redis.call('CLIENT', 'PAUSE', 3000, 'ALL') redis.call('PING')");
    assert_int_equal(finish(engine, &wakes, &error), -1);
    assert_non_null(strstr(error.message, "in time"));
    assert_true(now() - began < 2.5); /* the server's pause */
    assert_in_range(wakes, 1, 14);
    vlock_close(engine);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(between_runs_there_is_nothing_to_do),
    cmocka_unit_test(what_happens_between_runs_is_said_once),
    cmocka_unit_test(a_run_wakes_for_what_happens_only),
    cmocka_unit_test(time_outs_wake_as_well),
};
RUN_TESTS(tests)
