/* The check that commits form one chain. */
#include "check.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain.h"
#include "clock.h"

struct step {
    uint64_t base, made;
    bool is_unknown;
};

static struct vlock_chain_result check(const struct step *steps, size_t count, uint64_t first, uint64_t last)
{
    struct vlock_chain *chain = vlock_chain_new();
    struct vlock_chain_result result;
    assert_non_null(chain);
    for (size_t i = 0; i < count; i++) {
        int added = steps[i].is_unknown ? vlock_chain_unknown(chain, steps[i].base, steps[i].made)
                                        : vlock_chain_commit(chain, steps[i].base, steps[i].made);
        assert_int_equal(added, 0);
    }
    assert_int_equal(vlock_chain_check(chain, first, last, &result), 0);
    vlock_chain_free(chain);
    return result;
}

#define CHECK(first, last, ...) \
    check((struct step[]){__VA_ARGS__}, sizeof((struct step[]){__VA_ARGS__}) / sizeof(struct step), first, last)

static void a_whole_chain_is_whole_in_any_order(void **state)
{
    (void)state;
    struct vlock_chain_result result = CHECK(10, 14, {12, 13, 0}, {10, 11, 0}, {13, 14, 0}, {11, 12, 0});
    assert_true(result.whole);
    assert_int_equal(result.commits, 4);
    assert_int_equal(result.lost_updates + result.duplicated + result.missing + result.unknown_applied, 0);
    result = check(NULL, 0, 5, 5);
    assert_true(result.whole);
}

static void two_commits_on_one_base_are_a_lost_update(void **state)
{
    (void)state;
    struct vlock_chain_result result = CHECK(1, 3, {1, 2, 0}, {2, 3, 0}, {2, 9, 0});
    assert_false(result.whole);
    assert_int_equal(result.lost_updates, 1);
    assert_int_equal(result.missing, 0);
    result = CHECK(1, 2, {1, 2, 0}, {1, 2, 0}); /* the same value made twice: one of them is lost */
    assert_int_equal(result.lost_updates, 1);
    assert_int_equal(result.duplicated, 0);
}

static void a_state_made_twice_is_a_duplicate(void **state)
{
    (void)state;
    struct vlock_chain_result result = CHECK(1, 4, {1, 2, 0}, {2, 3, 0}, {3, 2, 0}, {4, 4, 0});
    assert_false(result.whole);
    assert_int_equal(result.duplicated, 1);
}

static void a_gap_and_a_wrong_end_are_found(void **state)
{
    (void)state;
    struct vlock_chain_result result = CHECK(1, 5, {1, 2, 0}, {3, 4, 0}, {4, 5, 0});
    assert_false(result.whole);
    assert_int_equal(result.missing, 2);
    assert_false(CHECK(1, 9, {1, 2, 0}, {2, 3, 0}).whole); /* something else stands there */
    assert_false(CHECK(1, 2, {1, 2, 0}, {2, 3, 0}).whole); /* the last commit is not there */
    assert_false(check(NULL, 0, 5, 6).whole);
}

static void an_unknown_write_may_fill_a_gap_or_not_have_happened(void **state)
{
    (void)state;
    struct vlock_chain_result result = CHECK(1, 4, {1, 2, 0}, {2, 3, 1}, {3, 4, 0});
    assert_true(result.whole);
    assert_int_equal(result.unknown_applied, 1);
    result = CHECK(1, 3, {1, 2, 0}, {2, 9, 1}, {2, 3, 0});
    assert_true(result.whole);
    assert_int_equal(result.unknown_applied, 0);
    assert_true(CHECK(1, 2, {1, 2, 0}, {2, 3, 1}).whole);                         /* not applied, at the end */
    assert_true(CHECK(1, 3, {1, 2, 0}, {2, 3, 1}).whole);                         /* applied, at the end */
    assert_true(CHECK(1, 4, {1, 2, 0}, {2, 8, 1}, {2, 3, 1}, {3, 4, 0}).whole);   /* one of two */
    assert_true(CHECK(1, 4, {1, 2, 0}, {2, 3, 1}, {2, 8, 1}, {3, 4, 0}).whole);
    assert_false(CHECK(1, 5, {1, 2, 0}, {3, 4, 1}, {4, 5, 0}).whole);             /* fills another gap */
}

static void a_value_that_comes_back_is_no_endless_loop(void **state)
{
    (void)state;
    assert_true(CHECK(1, 1, {1, 1, 0}).whole);
    struct vlock_chain_result result = CHECK(1, 1, {1, 2, 0}, {2, 1, 0});
    assert_true(result.whole);
    assert_int_equal(result.commits, 2);
}

static void a_million_commits_take_linear_time(void **state)
{
    (void)state;
    enum { COUNT = 1000000 };
    struct vlock_chain *chain = vlock_chain_new();
    struct vlock_chain_result result;
    int64_t start = vlock_clock_now();
    for (uint64_t i = COUNT; i > 0; i--)
        assert_int_equal(vlock_chain_commit(chain, i, i + 1), 0);
    assert_int_equal(vlock_chain_check(chain, 1, COUNT + 1, &result), 0);
    assert_true(result.whole);
    assert_int_equal(result.commits, COUNT);
    assert_true(vlock_clock_now() - start < 60 * VLOCK_NS_PER_SECOND); /* some 0.2 s; under valgrind, 10; quadratic, hours */
    vlock_chain_free(chain);

    chain = vlock_chain_new(); /* all on one base */
    start = vlock_clock_now();
    for (uint64_t i = 0; i < COUNT / 10; i++)
        assert_int_equal(vlock_chain_commit(chain, 1, i + 2), 0);
    assert_int_equal(vlock_chain_check(chain, 1, 2, &result), 0);
    assert_int_equal(result.lost_updates, COUNT / 10 - 1);
    assert_true(vlock_clock_now() - start < 60 * VLOCK_NS_PER_SECOND); /* some 0.2 s; under valgrind, 10; quadratic, hours */
    vlock_chain_free(chain);
}

static void identities_tell_texts_apart(void **state)
{
    (void)state;
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

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_whole_chain_is_whole_in_any_order),
    cmocka_unit_test(two_commits_on_one_base_are_a_lost_update),
    cmocka_unit_test(a_state_made_twice_is_a_duplicate),
    cmocka_unit_test(a_gap_and_a_wrong_end_are_found),
    cmocka_unit_test(an_unknown_write_may_fill_a_gap_or_not_have_happened),
    cmocka_unit_test(a_value_that_comes_back_is_no_endless_loop),
    cmocka_unit_test(a_million_commits_take_linear_time),
    cmocka_unit_test(identities_tell_texts_apart),
};
RUN_TESTS(tests)
