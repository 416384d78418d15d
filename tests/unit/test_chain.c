/* The check that commits form one chain. */
#include "check.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/chain.h"
#include "base/clock.h"

/* As if all had been under way all the time: then any order will do. */
static const struct vlock_chain_span always = {0, INT64_MAX};

struct step {
    uint64_t base, made;
    int kind;
    uint32_t base_content, made_content;
};

enum { IS_COMMIT, IS_UNKNOWN, IS_UNPLACED };

#define COMMIT(base, made)                                                                         \
    {                                                                                              \
        base, made, IS_COMMIT, 0, 0                                                                \
    }
#define UNKNOWN(base, made)                                                                        \
    {                                                                                              \
        base, made, IS_UNKNOWN, 0, 0                                                               \
    }
#define UNPLACED(base)                                                                             \
    {                                                                                              \
        base, 0, IS_UNPLACED, 0, 0                                                                 \
    }

static struct vlock_chain_state state(uint64_t id)
{
    return (struct vlock_chain_state){id, 0};
}

static struct vlock_chain_result check(const struct step *steps, size_t count, uint64_t first,
                                       uint64_t last)
{
    struct vlock_chain *chain = vlock_chain_new();
    struct vlock_chain_result result;
    assert_non_null(chain);
    for (size_t i = 0; i < count; i++) {
        struct vlock_chain_state base = {steps[i].base, steps[i].base_content},
                                 made = {steps[i].made, steps[i].made_content};
        int added = steps[i].kind == IS_UNPLACED  ? vlock_chain_unplaced(chain, base, 0)
                    : steps[i].kind == IS_UNKNOWN ? vlock_chain_unknown(chain, base, made, 0)
                                                  : vlock_chain_commit(chain, base, made, always);
        assert_int_equal(added, 0);
    }
    assert_int_equal(vlock_chain_check(chain, state(first), state(last), &result), 0);
    vlock_chain_free(chain);
    return result;
}

#define CHECK(first, last, ...)                                                                    \
    check((struct step[]){__VA_ARGS__},                                                            \
          sizeof((struct step[]){__VA_ARGS__}) / sizeof(struct step), first, last)

static void a_whole_chain_is_whole_in_any_order(void **unused)
{
    (void)unused;
    struct vlock_chain_result result =
        CHECK(10, 14, COMMIT(12, 13), COMMIT(10, 11), COMMIT(13, 14), COMMIT(11, 12));
    assert_true(result.whole);
    assert_int_equal(result.commits, 4);
    assert_int_equal(
        result.lost_updates + result.duplicated + result.missing + result.unknown_applied, 0);
    result = check(NULL, 0, 5, 5);
    assert_true(result.whole);
}

static void two_commits_on_one_base_are_a_lost_update(void **unused)
{
    (void)unused;
    struct vlock_chain_result result = CHECK(1, 3, COMMIT(1, 2), COMMIT(2, 3), COMMIT(2, 9));
    assert_false(result.whole);
    assert_int_equal(result.lost_updates, 1);
    assert_int_equal(result.missing, 0);
    /* The same value made twice: one of them is lost. */
    result = CHECK(1, 2, COMMIT(1, 2), COMMIT(1, 2));
    assert_int_equal(result.lost_updates, 1);
    assert_int_equal(result.duplicated, 0);
}

static void a_state_made_twice_is_a_duplicate(void **unused)
{
    (void)unused;
    struct vlock_chain_result result =
        CHECK(1, 4, COMMIT(1, 2), COMMIT(2, 3), COMMIT(3, 2), COMMIT(4, 4));
    assert_false(result.whole);
    assert_int_equal(result.duplicated, 1);
}

static void a_gap_and_a_wrong_end_are_found(void **unused)
{
    (void)unused;
    struct vlock_chain_result result = CHECK(1, 5, COMMIT(1, 2), COMMIT(3, 4), COMMIT(4, 5));
    assert_false(result.whole);
    assert_int_equal(result.unreported, 1); /* state 3 */
    assert_int_equal(result.missing, 0);
    result = CHECK(1, 9, COMMIT(1, 2), COMMIT(2, 3)); /* something else stands there */
    assert_false(result.whole);
    assert_int_equal(result.unreported, 1);
    /* The last two commits are not there. */
    result = CHECK(1, 2, COMMIT(1, 2), COMMIT(2, 3), COMMIT(3, 4));
    assert_false(result.whole);
    assert_int_equal(result.missing, 2);
    result = CHECK(1, 1, COMMIT(1, 2)); /* not one of them is */
    assert_false(result.whole);
    assert_int_equal(result.missing, 1);
    assert_false(check(NULL, 0, 5, 6).whole);
    result = CHECK(1, 2, COMMIT(1, 2), COMMIT(7, 8), COMMIT(8, 7)); /* a ring beside the chain */
    assert_false(result.whole);
    assert_int_equal(result.missing, 2);
}

static void an_unknown_write_may_fill_a_gap_or_not_have_happened(void **unused)
{
    (void)unused;
    struct vlock_chain_result result = CHECK(1, 4, COMMIT(1, 2), UNKNOWN(2, 3), COMMIT(3, 4));
    assert_true(result.whole);
    assert_int_equal(result.unknown_applied, 1);
    result = CHECK(1, 3, COMMIT(1, 2), UNKNOWN(2, 9), COMMIT(2, 3));
    assert_true(result.whole);
    assert_int_equal(result.unknown_applied, 0);
    /* Not applied, at the end. */
    assert_true(CHECK(1, 2, COMMIT(1, 2), UNKNOWN(2, 3)).whole);
    /* Applied, at the end. */
    assert_true(CHECK(1, 3, COMMIT(1, 2), UNKNOWN(2, 3)).whole);
    /* One of two. */
    assert_true(CHECK(1, 4, COMMIT(1, 2), UNKNOWN(2, 8), UNKNOWN(2, 3), COMMIT(3, 4)).whole);
    assert_true(CHECK(1, 4, COMMIT(1, 2), UNKNOWN(2, 3), UNKNOWN(2, 8), COMMIT(3, 4)).whole);
    /* Fills another gap. */
    assert_false(CHECK(1, 5, COMMIT(1, 2), UNKNOWN(3, 4), COMMIT(4, 5)).whole);
}

static void the_survivor_of_two_commits_goes_on_and_the_loser_is_named(void **unused)
{
    (void)unused;
    struct vlock_chain_result result =
        CHECK(1, 5, COMMIT(1, 9), COMMIT(1, 2), COMMIT(2, 3), COMMIT(3, 4), COMMIT(4, 5));
    assert_int_equal(result.lost_updates, 1);
    assert_int_equal(result.missing + result.unreported + result.altered + result.duplicated, 0);
    assert_int_equal(result.culprit_count, 1);
    assert_int_equal(result.culprits[0].fault, VLOCK_CHAIN_LOST);
    assert_int_equal(result.culprits[0].commit, 0);
    assert_int_equal(result.culprits[0].other, 1);
}

static void states_that_nobody_made_are_counted_and_the_chain_goes_on_behind_them(void **unused)
{
    (void)unused;
    struct vlock_chain_result result =
        CHECK(1, 9, COMMIT(1, 2), COMMIT(3, 4), COMMIT(4, 5), COMMIT(7, 8), COMMIT(8, 9));
    assert_false(result.whole);
    assert_int_equal(result.unreported, 2); /* 3 and 7 */
    assert_int_equal(result.missing + result.lost_updates, 0);
    assert_int_equal(result.culprits[0].fault, VLOCK_CHAIN_UNREPORTED);
    assert_int_equal(result.culprits[0].commit, 1);
    assert_int_equal(result.culprits[1].commit, 3);
    /* Somebody read 7. */
    result = CHECK(1, 3, COMMIT(1, 2), COMMIT(2, 3), UNKNOWN(3, 4), UNKNOWN(7, 8));
    assert_false(result.whole);
    assert_int_equal(result.unreported, 1);
}

static void a_state_that_is_found_with_another_content_is_altered(void **unused)
{
    (void)unused;
    struct vlock_chain_result result =
        CHECK(1, 3, {1, 2, IS_COMMIT, 0, 20}, {2, 3, IS_COMMIT, 20, 0});
    assert_true(result.whole);
    result = CHECK(1, 3, {1, 2, IS_COMMIT, 0, 20}, {2, 3, IS_COMMIT, 21, 0});
    assert_false(result.whole);
    assert_int_equal(result.altered, 1);
    assert_int_equal(result.culprits[0].fault, VLOCK_CHAIN_ALTERED);
    assert_int_equal(result.culprits[0].commit, 1);
    assert_int_equal(result.culprits[0].other, 0);
    assert_int_equal(CHECK(1, 2, {1, 2, IS_COMMIT, 5, 0}).altered, 1); /* the first state */
    result = CHECK(1, 2, {1, 2, IS_COMMIT, 0, 7});                     /* the last */
    assert_int_equal(result.altered, 1);
    assert_false(result.whole);
    assert_int_equal(result.culprits[0].commit, VLOCK_CHAIN_NOBODY);
}

static void an_unplaced_write_explains_one_state_that_nobody_made(void **unused)
{
    (void)unused;
    assert_true(CHECK(1, 4, COMMIT(1, 2), UNPLACED(2), COMMIT(3, 4)).whole);
    assert_true(CHECK(1, 2, COMMIT(1, 2), UNPLACED(2)).whole); /* not applied */
    assert_true(CHECK(1, 7, COMMIT(1, 2), UNPLACED(2)).whole); /* applied, at the end */
    assert_true(CHECK(1, 3, COMMIT(1, 2), UNPLACED(2), COMMIT(2, 3)).whole);
    struct vlock_chain_result result = CHECK(1, 9, COMMIT(1, 2), UNPLACED(2), COMMIT(6, 7),
                                             COMMIT(4, 5), UNPLACED(5), UNPLACED(7));
    assert_true(result.whole);
    assert_int_equal(result.unknown_applied, 3);
    result = CHECK(1, 9, COMMIT(1, 2), UNPLACED(2), COMMIT(4, 5), COMMIT(6, 9));
    assert_false(result.whole);
    assert_int_equal(result.unreported, 1); /* one of 4 and 6 */
    /* It, and not the one of which it is known where it would have led. */
    assert_true(CHECK(1, 3, UNKNOWN(1, 2), UNPLACED(1)).whole);
    /* The other one, since it is known that it was made. */
    assert_true(CHECK(1, 3, UNPLACED(1), UNKNOWN(1, 2), COMMIT(2, 3)).whole);
    /* On a state that nobody made. */
    assert_false(CHECK(1, 4, COMMIT(1, 2), UNPLACED(9), COMMIT(3, 4)).whole);
    /* Somebody else went on from 1. */
    assert_false(CHECK(1, 4, COMMIT(1, 2), UNPLACED(1), COMMIT(3, 4)).whole);
    /* It leads on from a state that nobody made, and nothing leads there. */
    assert_false(CHECK(1, 2, COMMIT(1, 2), COMMIT(3, 4), UNPLACED(4)).whole);
}

static void thousands_of_unknown_writes_on_one_base_take_linear_time(void **unused)
{
    enum { COUNT = 300000 };
    (void)unused;
    struct vlock_chain *chain = vlock_chain_new();
    struct vlock_chain_result result;
    int64_t start = vlock_clock_now();
    for (uint64_t i = 0; i < COUNT; i++)
        assert_int_equal(vlock_chain_unknown(chain, state(1), state(i + 2), 0), 0);
    assert_int_equal(vlock_chain_check(chain, state(1), state(COUNT), &result), 0);
    assert_true(result.whole);
    assert_int_equal(result.unknown_applied, 1);
    /* Some 0.1 s; quadratic, minutes. */
    assert_true(vlock_clock_now() - start < 60 * VLOCK_NS_PER_SECOND);
    vlock_chain_free(chain);
}

static void a_value_that_comes_back_is_no_endless_loop(void **unused)
{
    (void)unused;
    assert_true(CHECK(1, 1, COMMIT(1, 1)).whole);
    struct vlock_chain_result result = CHECK(1, 1, COMMIT(1, 2), COMMIT(2, 1));
    assert_true(result.whole);
    assert_int_equal(result.commits, 2);
}

static void a_million_commits_take_linear_time(void **unused)
{
    (void)unused;
    enum { COUNT = 1000000 };
    struct vlock_chain *chain = vlock_chain_new();
    struct vlock_chain_result result;
    int64_t start = vlock_clock_now();
    for (uint64_t i = COUNT; i > 0; i--)
        assert_int_equal(vlock_chain_commit(chain, state(i), state(i + 1), always), 0);
    assert_int_equal(vlock_chain_check(chain, state(1), state(COUNT + 1), &result), 0);
    assert_true(result.whole);
    assert_int_equal(result.commits, COUNT);
    /* Some 0.2 s; under valgrind, 10; quadratic, hours. */
    assert_true(vlock_clock_now() - start < 60 * VLOCK_NS_PER_SECOND);
    vlock_chain_free(chain);

    chain = vlock_chain_new(); /* all on one base */
    start = vlock_clock_now();
    for (uint64_t i = 0; i < COUNT / 10; i++)
        assert_int_equal(vlock_chain_commit(chain, state(1), state(i + 2), always), 0);
    assert_int_equal(vlock_chain_check(chain, state(1), state(2), &result), 0);
    assert_int_equal(result.lost_updates, COUNT / 10 - 1);
    /* Some 0.2 s; under valgrind, 10; quadratic, hours. */
    assert_true(vlock_clock_now() - start < 60 * VLOCK_NS_PER_SECOND);
    vlock_chain_free(chain);
}

static void identities_tell_texts_apart(void **unused)
{
    (void)unused;
    assert_true(vlock_chain_id("1", 1) == vlock_chain_id("1", 1));
    assert_true(vlock_chain_id("", 0) != vlock_chain_id("\0", 1));
    assert_true(vlock_chain_id("12345678", 8) != vlock_chain_id("12345678\0", 9));
    uint64_t seen[1000];
    for (int i = 0; i < 1000; i++) {
        char text[32];
        snprintf(text, sizeof text, "%d:pabcdef.1:abcdef.%d", i, i);
        seen[i] = vlock_chain_id(text, strlen(text));
        for (int j = 0; j < i; j++)
            assert_true(seen[i] != seen[j]);
    }
}

/* Each byte counts, wherever it stands, in the parts that are taken in together as in the rest. */
static void identities_of_long_texts_tell_of_every_byte(void **unused)
{
    (void)unused;
    static const size_t sizes[] = {255, 256, 257, 288, 295, 519};
    for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++) {
        char text[519];
        memset(text, '.', sizeof text);
        uint64_t seen[520] = {vlock_chain_id(text, sizes[n])};
        for (size_t i = 0; i < sizes[n]; i++) {
            text[i] = '/';
            seen[i + 1] = vlock_chain_id(text, sizes[n]);
            text[i] = '.';
            for (size_t j = 0; j <= i; j++)
                assert_true(seen[i + 1] != seen[j]);
        }
        assert_true(vlock_chain_id(text, sizes[n] - 1) != seen[0]);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_whole_chain_is_whole_in_any_order),
    cmocka_unit_test(two_commits_on_one_base_are_a_lost_update),
    cmocka_unit_test(a_state_made_twice_is_a_duplicate),
    cmocka_unit_test(a_gap_and_a_wrong_end_are_found),
    cmocka_unit_test(an_unknown_write_may_fill_a_gap_or_not_have_happened),
    cmocka_unit_test(the_survivor_of_two_commits_goes_on_and_the_loser_is_named),
    cmocka_unit_test(states_that_nobody_made_are_counted_and_the_chain_goes_on_behind_them),
    cmocka_unit_test(a_state_that_is_found_with_another_content_is_altered),
    cmocka_unit_test(an_unplaced_write_explains_one_state_that_nobody_made),
    cmocka_unit_test(thousands_of_unknown_writes_on_one_base_take_linear_time),
    cmocka_unit_test(a_value_that_comes_back_is_no_endless_loop),
    cmocka_unit_test(a_million_commits_take_linear_time),
    cmocka_unit_test(identities_tell_texts_apart),
    cmocka_unit_test(identities_of_long_texts_tell_of_every_byte),
};
RUN_TESTS(tests)
