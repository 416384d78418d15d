/* The small rooms: growable bytes, near names, timers, what a terminal may be sent, passwords. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/nearest.h"
#include "base/printable.h"
#include "base/random.h"
#include "base/secret.h"
#include "base/timers.h"

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
    static const char *const known[] = {"workers",     "keys", "commits",
                                        "connections", "json", "seed"};
    static const struct {
        const char *typed, *meant;
    } cases[] = {{"worker", "workers"},
                 {"wrokers", "workers"},
                 {"kyes", "keys"},
                 {"josn", "json"},
                 {"comits", "commits"},
                 {"conn", "connections"},
                 {"seed", "seed"},
                 {"xyz", NULL},
                 {"", NULL},
                 {"a-name-that-is-like-nothing-here", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *near = vlock_nearest(cases[i].typed, known, sizeof known / sizeof *known);
        assert_string_equal(near ? near : "-", cases[i].meant ? cases[i].meant : "-");
    }
    char long_word[200];
    memset(long_word, 'a', sizeof long_word - 1);
    long_word[sizeof long_word - 1] = '\0';
    assert_null(vlock_nearest(long_word, known, 6));
}

static void print(const char *text, size_t length, char *to)
{
    char shown[VLOCK_PRINTABLE_SIZE];
    for (size_t taken; length > 0; text += taken, length -= taken) {
        taken = vlock_printable_step(text, length, shown);
        assert_true(taken >= 1 && taken <= length && strlen(shown) < sizeof shown);
        to = stpcpy(to, shown);
    }
    *to = '\0';
}

static void what_a_terminal_is_sent_is_printable(void **state)
{
    (void)state;
    static const char text[] = "a\033[2J\n\tb\177\0\302\233c";
    char shown[100];
    print(text, sizeof text - 1, shown);
    assert_string_equal(shown, "a\\x1b[2J\n\tb\\x7f\\x00\\xc2\\x9bc");
    /* 2, 3 and 4 bytes; the first behind the controls of Latin-1. */
    print("\303\251 \342\202\254 \360\237\230\200 \302\240", 14, shown);
    assert_string_equal(shown, "\303\251 \342\202\254 \360\237\230\200 \302\240");
    /* None of these is a character. */
    print("\300\200 \340\200\200 \355\240\200 \364\220\200\200 \303", 17, shown);
    assert_string_equal(shown,
                        "\\xc0\\x80 \\xe0\\x80\\x80 \\xed\\xa0\\x80 \\xf4\\x90\\x80\\x80 \\xc3");
}

/* Of every text of three bytes: no control character comes through but ends of lines and tabs, and
 * all bytes are taken. */
static void no_control_character_comes_through(void **state)
{
    (void)state;
    char shown[32];
    for (unsigned value = 0; value < 1u << 24; value += value % 251 ? 1 : 7) {
        char text[] = {(char)value, (char)(value >> 8), (char)(value >> 16)};
        print(text, sizeof text, shown);
        for (const unsigned char *c = (unsigned char *)shown; *c; c++)
            if ((*c < ' ' && *c != '\n' && *c != '\t') || *c == 127 ||
                (*c == 0xc2 && c[1] < 0xa0) || *c == 0xc0)
                fail_msg("%06x became %s", value, shown);
    }
}

static void passwords_of_urls_are_overwritten(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } cases[] = {{"redis://me:pw@h:1", "redis://me:**@h:1"},
                 {"--url=redis://:p:a@ss@h/1", "--url=redis://:******@h/1"},
                 {"redis://pw@h", "redis://**@h"},
                 {"redis://pw:@h", "redis://**:@h"},
                 {"a('redis://:x@h', \"unix://:y@/s\")", "a('redis://:*@h', \"unix://:*@/s\")"},
                 {"unix:///tmp/a@b:c", "unix:///tmp/a@b:c"},
                 {"redis://h x@y", "redis://h x@y"},
                 {"://:pw@h", "://:pw@h"},
                 {"redis://:@h", "redis://:@h"},
                 {"redis://", "redis://"},
                 {"", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64];
        strcpy(text, cases[i].text);
        vlock_secret_overwrite(text);
        assert_string_equal(text, cases[i].shown);
    }
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
    cmocka_unit_test(what_a_terminal_is_sent_is_printable),
    cmocka_unit_test(no_control_character_comes_through),
    cmocka_unit_test(passwords_of_urls_are_overwritten),
};
RUN_TESTS(tests)
