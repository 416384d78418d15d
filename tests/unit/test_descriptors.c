/* A program whose descriptors run out opens no engine, and is told so: nothing ends it. */
#include "check.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "vlock.h"

static int lowest_free_descriptor(void)
{
    int lowest = 0;
    while (fcntl(lowest, F_GETFD) >= 0)
        lowest++;
    return lowest;
}

/* Opens an engine and uses it where so many descriptors are free; false: it was refused. */
static bool opens_with(int room)
{
    struct rlimit usual, low;
    int lowest = lowest_free_descriptor();
    getrlimit(RLIMIT_NOFILE, &usual);
    low = (struct rlimit){.rlim_cur = (rlim_t)(lowest + room), .rlim_max = usual.rlim_max};
    setrlimit(RLIMIT_NOFILE, &low);
    struct vlock_error error = {.message = ""};
    vlock_engine *engine = vlock_open(NULL, &error);
    int code = error.code;
    if (engine)
        code = vlock_run_string(engine, "return 1", 8, "=one", NULL, NULL, NULL, &error);
    vlock_close(engine);
    setrlimit(RLIMIT_NOFILE, &usual);
    assert_int_equal(lowest_free_descriptor(), lowest);
    assert_int_equal(code, engine ? 0 : VLOCK_ERR_SYSTEM);
    if (!engine)
        assert_non_null(strstr(error.message, "event loop: Too many open files"));
    return engine != NULL;
}

static void where_descriptors_run_out_no_engine_is_opened_and_the_host_lives(void **state)
{
    (void)state;
    assert_false(opens_with(0));
    assert_true(opens_with(20));
    for (int room = 1; room < 20; room++)
        opens_with(room);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(where_descriptors_run_out_no_engine_is_opened_and_the_host_lives),
};
RUN_TESTS(tests)
