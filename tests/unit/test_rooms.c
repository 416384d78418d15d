/* The small rooms: growable bytes, near names, timers. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "nearest.h"
#include "random.h"
#include "timers.h"

static void buffers_keep_what_is_added(void **state)
{
    (void)state;
    struct vlock_buffer buffer = {0};
    for (int i = 0; i < 10000; i++) {
        unsigned char byte = (unsigned char)i;
        assert_int_equal(vlock_buffer_append(&buffer, &byte, 1), 0);
    }
    assert_int_equal(buffer.length, 10000);
    for (int i = 0; i < 10000; i++)
        assert_int_equal((unsigned char)buffer.data[i], (unsigned char)i);
    char *memory = buffer.data;
    vlock_buffer_reset(&buffer);
    assert_int_equal(buffer.length, 0);
    assert_int_equal(vlock_buffer_append(&buffer, "x", 1), 0);
    assert_ptr_equal(buffer.data, memory);
    assert_int_equal(vlock_buffer_reserve(&buffer, SIZE_MAX / 2), -1);
    assert_int_equal(buffer.length, 1);
    vlock_buffer_free(&buffer);
    assert_null(buffer.data);
}

static void the_name_that_was_meant_is_found(void **state)
{
    (void)state;
    static const char *const known[] = {"workers", "keys", "commits", "connections", "json", "seed"};
    static const struct {
        const char *typed, *meant;
    } cases[] = {{"worker", "workers"}, {"wrokers", "workers"}, {"kyes", "keys"},   {"josn", "json"},
                 {"comits", "commits"}, {"conn", "connections"}, {"seed", "seed"},  {"xyz", NULL},
                 {"", NULL},            {"a-name-that-is-like-nothing-here", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *near = vlock_nearest(cases[i].typed, known, sizeof known / sizeof *known);
        assert_string_equal(near ? near : "-", cases[i].meant ? cases[i].meant : "-");
    }
    char long_word[200];
    memset(long_word, 'a', sizeof long_word - 1);
    long_word[sizeof long_word - 1] = '\0';
    assert_null(vlock_nearest(long_word, known, 6));
}

static void timers_come_out_in_order_whatever_is_cancelled(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    struct vlock_timers timers = {0};
    struct vlock_timer *all = calloc(COUNT, sizeof *all);
    struct vlock_random random;
    assert_non_null(all);
    vlock_random_seed(&random, 3, 3);
    assert_true(vlock_timers_reserve(&timers, COUNT));
    for (int i = 0; i < COUNT; i++)
        vlock_timers_set(&timers, &all[i], (int64_t)(vlock_random_next(&random) % 500));
    for (int i = 0; i < COUNT; i += 3)
        vlock_timers_cancel(&timers, &all[i]);
    vlock_timers_cancel(&timers, &all[0]); /* once more: nothing happens */
    int64_t last = -1;
    int seen = 0;
    for (struct vlock_timer *first; (first = vlock_timers_first(&timers)); seen++) {
        assert_true(first->when_ns >= last);
        last = first->when_ns;
        vlock_timers_cancel(&timers, first);
        assert_int_equal(first->place, 0);
    }
    assert_int_equal(seen, COUNT - (COUNT + 2) / 3);
    vlock_timers_free(&timers);
    free(all);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(buffers_keep_what_is_added),
    cmocka_unit_test(the_name_that_was_meant_is_found),
    cmocka_unit_test(timers_come_out_in_order_whatever_is_cancelled),
};
RUN_TESTS(tests)
