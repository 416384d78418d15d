/* The check that commits and reads keep to real time, against one that tries every order. */
#include "check.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/chain.h"
#include "base/clock.h"
#include "base/random.h"

enum kind { COMMIT, UNKNOWN, UNPLACED, READ };

/* A read found `base`. */
struct operation {
    enum kind kind;
    uint64_t base, made;
    int64_t begin, end;
};

#define MOST 8

struct history {
    struct operation operations[MOST];
    size_t count;
    uint64_t first, last;
};

static struct vlock_chain_state state(uint64_t id)
{
    return (struct vlock_chain_state){id, 0};
}

#define STATES 8 /* of a history: 0 to 7 */

/* are_one: whether the reads of a state are kept as one. */
static struct vlock_chain_result check_reads(const struct history *history, bool are_one)
{
    struct vlock_chain_sightings sightings[STATES] = {{{0}, 0}};
    struct vlock_chain *chain = vlock_chain_new();
    struct vlock_chain_result result;
    assert_non_null(chain);
    for (size_t i = 0; i < history->count; i++) {
        const struct operation *one = &history->operations[i];
        struct vlock_chain_span span = {one->begin, one->end};
        int added = -1;
        switch (one->kind) {
        case COMMIT:
            added = vlock_chain_commit(chain, state(one->base), state(one->made), span);
            break;
        case UNKNOWN:
            added = vlock_chain_unknown(chain, state(one->base), state(one->made), one->begin);
            break;
        case UNPLACED:
            added = vlock_chain_unplaced(chain, state(one->base), one->begin);
            break;
        case READ:
            added = are_one ? vlock_chain_read_more(chain, &sightings[one->base % STATES],
                                                    state(one->base), span)
                            : vlock_chain_read(chain, state(one->base), span);
            break;
        }
        assert_int_equal(added, 0);
    }
    assert_int_equal(vlock_chain_check(chain, state(history->first), state(history->last), &result),
                     0);
    vlock_chain_free(chain);
    return result;
}

static struct vlock_chain_result check(const struct history *history)
{
    return check_reads(history, false);
}

#define HISTORY(first, last, ...)                                                                  \
    &(struct history)                                                                              \
    {                                                                                              \
        {__VA_ARGS__}, sizeof((struct operation[]){__VA_ARGS__}) / sizeof(struct operation),       \
            first, last                                                                            \
    }

static void commits_keep_to_the_time(void **unused)
{
    (void)unused;
    /* Side by side, either may be first. */
    assert_true(check(HISTORY(1, 3, {COMMIT, 1, 2, 0, 5}, {COMMIT, 2, 3, 0, 5})).whole);
    assert_true(check(HISTORY(1, 3, {COMMIT, 1, 2, 5, 9}, {COMMIT, 2, 3, 0, 5})).whole);
    /* The first began after the second had ended. */
    struct vlock_chain_result result =
        check(HISTORY(1, 3, {COMMIT, 1, 2, 6, 9}, {COMMIT, 2, 3, 0, 5}));
    assert_false(result.whole);
    assert_int_equal(result.out_of_order, 1);
    assert_int_equal(result.stale_reads, 0);
    assert_int_equal(result.culprits[0].fault, VLOCK_CHAIN_OUT_OF_ORDER);
    assert_int_equal(result.culprits[0].commit, 0);
    assert_int_equal(result.culprits[0].other, 1);
    assert_false(result.culprits[0].is_read || result.culprits[0].is_other_read);
    /* Over others that stand between them. */
    result = check(HISTORY(1, 4, {COMMIT, 1, 2, 6, 9}, {COMMIT, 2, 3, 0, 9}, {COMMIT, 3, 4, 0, 5}));
    assert_int_equal(result.out_of_order, 1);
}

static void reads_see_nothing_older_than_what_was_known(void **unused)
{
    (void)unused;
    assert_true(check(HISTORY(1, 2, {COMMIT, 1, 2, 0, 5}, {READ, 1, 0, 5, 9})).whole);
    struct vlock_chain_result result =
        check(HISTORY(1, 2, {COMMIT, 1, 2, 0, 5}, {READ, 1, 0, 6, 9}));
    assert_int_equal(result.stale_reads, 1);
    assert_int_equal(result.out_of_order, 0);
    assert_int_equal(result.culprits[0].fault, VLOCK_CHAIN_STALE);
    assert_true(result.culprits[0].is_read);
    assert_int_equal(result.culprits[0].commit, 0);
    assert_int_equal(result.culprits[0].other, 0);
    assert_false(result.culprits[0].is_other_read);
    /* Nothing older than what another read has seen, though the write is not reported yet. */
    result = check(HISTORY(1, 2, {COMMIT, 1, 2, 0, 20}, {READ, 1, 0, 6, 9}, {READ, 2, 0, 3, 5}));
    assert_int_equal(result.stale_reads, 1);
    assert_true(result.culprits[0].is_other_read);
    assert_int_equal(result.culprits[0].other, 1);
    /* Nor what nobody has begun to write. */
    result = check(HISTORY(1, 2, {COMMIT, 1, 2, 6, 9}, {READ, 2, 0, 0, 5}));
    assert_int_equal(result.out_of_order, 1);
    assert_true(result.culprits[0].is_other_read);
    /* Nor what nobody has written, or with another content. */
    result = check(HISTORY(1, 2, {COMMIT, 1, 2, 0, 5}, {READ, 7, 0, 0, 5}));
    assert_int_equal(result.unreported, 1);
    assert_false(result.whole);
    struct vlock_chain *chain = vlock_chain_new();
    struct vlock_chain_span span = {0, 1};
    assert_int_equal(vlock_chain_read(chain, (struct vlock_chain_state){1, 5}, span), 0);
    assert_int_equal(vlock_chain_read(chain, (struct vlock_chain_state){1, 6}, span), 0);
    struct vlock_chain_state last = {1, 5};
    assert_int_equal(vlock_chain_check(chain, last, last, &result), 0);
    assert_int_equal(result.altered, 1);
    vlock_chain_free(chain);
}

static void reads_that_are_kept_as_one_show_what_each_shows(void **unused)
{
    (void)unused;
    struct vlock_chain_state other = {1, 7};
    struct vlock_chain_sightings sightings = {{0}, 0};
    struct vlock_chain_result result;
    struct vlock_chain *chain = vlock_chain_new();
    assert_non_null(chain);
    for (int64_t i = 0; i < 1000; i++)
        assert_int_equal(vlock_chain_read_more(chain, &sightings, (struct vlock_chain_state){1, 5},
                                               (struct vlock_chain_span){i, i + 1}),
                         0);
    assert_int_equal(sightings.read, 1);
    assert_int_equal(
        vlock_chain_read_more(chain, &sightings, other, (struct vlock_chain_span){0, 1}), 0);
    assert_int_equal(vlock_chain_check(chain, (struct vlock_chain_state){1, 5},
                                       (struct vlock_chain_state){1, 5}, &result),
                     0);
    assert_int_equal(result.altered,
                     1); /* a read that found something else is not lost among them */
    vlock_chain_free(chain);
    /* The last to begin is the one that is too late, the first to end the one that knew it all. */
    assert_int_equal(
        check_reads(HISTORY(1, 2, {COMMIT, 1, 2, 0, 5}, {READ, 1, 0, 1, 3}, {READ, 1, 0, 6, 9}),
                    true)
            .stale_reads,
        1);
    assert_int_equal(
        check_reads(HISTORY(1, 2, {COMMIT, 1, 2, 6, 9}, {READ, 2, 0, 7, 9}, {READ, 2, 0, 0, 5}),
                    true)
            .out_of_order,
        1);
}

static void writes_of_unknown_outcome_have_no_end(void **unused)
{
    (void)unused;
    assert_true(
        check(HISTORY(1, 3, {UNKNOWN, 1, 2, 0, 0}, {COMMIT, 2, 3, 5, 9}, {READ, 1, 0, 1, 4}))
            .whole);
    /* It was applied before the commit that stands on it was known. */
    assert_false(check(HISTORY(1, 3, {UNKNOWN, 1, 2, 10, 0}, {COMMIT, 2, 3, 5, 9})).whole);
    /* Either of two that make the same may have been applied: the earlier one. */
    assert_true(
        check(HISTORY(1, 3, {UNKNOWN, 1, 2, 10, 0}, {UNKNOWN, 1, 2, 3, 0}, {COMMIT, 2, 3, 5, 9}))
            .whole);
    assert_true(check(HISTORY(1, 4, {UNPLACED, 1, 0, 0, 0}, {COMMIT, 3, 4, 5, 9})).whole);
    assert_false(check(HISTORY(1, 4, {UNPLACED, 1, 0, 10, 0}, {COMMIT, 3, 4, 5, 9})).whole);
    assert_false(
        check(HISTORY(1, 4, {UNPLACED, 1, 0, 0, 0}, {COMMIT, 3, 4, 5, 9}, {READ, 1, 0, 10, 11}))
            .whole);
}

/* ---- against every order ---- */

#define ANY 0 /* the state that an unplaced write makes, until somebody has found it */

struct search {
    const struct history *history;
    bool is_done[MOST];
    bool has_stood[64]; /* by state */
};

static bool is_made_by_somebody(const struct history *history, uint64_t id)
{
    for (size_t i = 0; i < history->count; i++)
        if ((history->operations[i].kind == COMMIT || history->operations[i].kind == UNKNOWN) &&
            history->operations[i].made == id)
            return true;
    return id == history->first;
}

static bool may_be(const struct search *search, uint64_t present, uint64_t wanted)
{
    return present == wanted || (present == ANY && !is_made_by_somebody(search->history, wanted));
}

/* Whether nothing that is still to come had ended before this one began. */
static bool may_be_next(const struct search *search, size_t next)
{
    const struct operation *operations = search->history->operations;
    for (size_t i = 0; i < search->history->count; i++)
        if (!search->is_done[i] && (operations[i].kind == COMMIT || operations[i].kind == READ) &&
            operations[i].end < operations[next].begin)
            return false;
    return true;
}

static bool can_go_on(struct search *search, uint64_t present);

/* The same with one more state that has stood there. */
static bool can_go_on_from(struct search *search, uint64_t found, uint64_t after)
{
    bool had_stood = search->has_stood[found];
    search->has_stood[found] = true;
    bool can = can_go_on(search, after);
    search->has_stood[found] = had_stood;
    return can;
}

/* Whether the rest can follow on this state, in some order. What is unknown may be left out, but
 * whoever made it has found the state that it was made on. */
static bool can_go_on(struct search *search, uint64_t present)
{
    const struct history *history = search->history;
    bool is_complete = may_be(search, present, history->last);
    bool had_stood = search->has_stood[history->last];
    search->has_stood[history->last] |= is_complete;
    for (size_t i = 0; i < history->count; i++)
        is_complete =
            is_complete && (search->is_done[i] || search->has_stood[history->operations[i].base]);
    search->has_stood[history->last] = had_stood;
    for (size_t i = 0; i < history->count; i++) {
        const struct operation *one = &history->operations[i];
        if (search->is_done[i])
            continue;
        if (one->kind == COMMIT || one->kind == READ)
            is_complete = false;
        if (!may_be(search, present, one->base) || !may_be_next(search, i))
            continue;
        search->is_done[i] = true;
        uint64_t after = one->kind == READ ? one->base : one->kind == UNPLACED ? ANY : one->made;
        bool can = can_go_on_from(search, one->base, after);
        search->is_done[i] = false;
        if (can)
            return true;
    }
    return is_complete;
}

static int64_t below(struct vlock_random *random, int64_t limit)
{
    return (int64_t)(vlock_random_next(random) % (uint64_t)limit);
}

/* Writes that were made one after the other and reads between them, each with some time around the
 * moment in which it took effect; and in two of three histories something is wrong with it. */
static struct history random_history(struct vlock_random *random)
{
    struct history history = {.first = 1, .last = 1, .count = 2 + (size_t)below(random, MOST - 1)};
    bool has_unplaced = false;
    for (size_t i = 0; i < history.count; i++) {
        struct operation *one = &history.operations[i];
        int64_t moment = 4 * (int64_t)i;
        *one = (struct operation){READ, history.last, 0, moment - below(random, 9),
                                  moment + below(random, 9)};
        int64_t choice = below(random, 10);
        if (choice < 4)
            continue;
        one->kind = choice < 8 ? COMMIT : UNKNOWN;
        one->made = history.last + 1;
        if (one->kind == UNKNOWN && below(random, 2) == 0)
            continue; /* not applied */
        if (one->kind == UNKNOWN && !has_unplaced && below(random, 2) == 0) {
            one->kind = UNPLACED;
            has_unplaced = true;
        }
        history.last++;
    }
    if (below(random, 3) == 0)
        return history;
    struct operation *one = &history.operations[below(random, (int64_t)history.count)];
    switch (below(random, 4)) {
    case 0:
        one->begin += 12;
        one->end += 12;
        break;
    case 1:
        one->begin -= 12;
        one->end -= 12;
        break;
    case 2:
        one->base = 1 + (uint64_t)below(random, (int64_t)history.last);
        break;
    default:
        one->kind = one->kind == READ ? READ : UNKNOWN;
        break;
    }
    return history;
}

/* What the check of the chain refuses whatever the order: two commits that made one state, or one
 * that left it as it was. */
static bool makes_a_state_twice(const struct history *history)
{
    for (size_t i = 0; i < history->count; i++)
        for (size_t j = 0; j < history->count; j++) {
            const struct operation *one = &history->operations[i], *other = &history->operations[j];
            if (one->kind != READ && one->kind != UNPLACED &&
                (one->made <= one->base ||
                 (i != j && other->kind != READ && other->kind != UNPLACED &&
                  one->made == other->made && one->base != other->base)))
                return true;
        }
    return false;
}

static void random_histories_are_judged_as_by_trying_every_order(void **unused)
{
    (void)unused;
    enum { COUNT = 20000 };
    const char *seed = getenv("VLOCK_TEST_SEED");
    struct vlock_random random;
    vlock_random_seed(&random, seed ? strtoull(seed, NULL, 10) : 1, 0);
    int tried = 0, whole = 0, disordered = 0;
    for (int i = 0; i < COUNT; i++) {
        struct history history = random_history(&random);
        if (makes_a_state_twice(&history))
            continue;
        struct search search = {&history, {false}, {false}};
        bool is_possible = can_go_on(&search, history.first);
        struct vlock_chain_result result = check(&history);
        if (result.whole != is_possible) {
            for (size_t j = 0; j < history.count; j++)
                print_error("%d: %d -> %d, from %d to %d\n", history.operations[j].kind,
                            (int)history.operations[j].base, (int)history.operations[j].made,
                            (int)history.operations[j].begin, (int)history.operations[j].end);
            fail_msg("history %d, 1 ... %d: judged %s, and that is wrong", i, (int)history.last,
                     result.whole ? "whole" : "broken");
        }
        assert_int_equal(check_reads(&history, true).whole, is_possible);
        tried++;
        whole += result.whole;
        disordered += result.out_of_order + result.stale_reads > 0;
    }
    assert_true(tried > 10000);
    assert_true(whole > 2000);
    assert_true(disordered > 1000);
}

static void millions_of_operations_take_linear_time(void **unused)
{
    (void)unused;
    enum { COUNT = 500000 };
    struct vlock_chain *chain = vlock_chain_new();
    struct vlock_chain_result result;
    int64_t start = vlock_clock_now();
    for (int64_t i = 1; i <= COUNT; i++) {
        struct vlock_chain_span span = {i, i + 3};
        assert_int_equal(
            vlock_chain_commit(chain, state((uint64_t)i), state((uint64_t)i + 1), span), 0);
        assert_int_equal(vlock_chain_read(chain, state((uint64_t)i), span), 0);
    }
    assert_int_equal(vlock_chain_check(chain, state(1), state(COUNT + 1), &result), 0);
    assert_true(result.whole);
    /* Some 0.2 s; quadratic, hours. */
    assert_true(vlock_clock_now() - start < 60 * VLOCK_NS_PER_SECOND);
    vlock_chain_free(chain);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(commits_keep_to_the_time),
    cmocka_unit_test(reads_see_nothing_older_than_what_was_known),
    cmocka_unit_test(reads_that_are_kept_as_one_show_what_each_shows),
    cmocka_unit_test(writes_of_unknown_outcome_have_no_end),
    cmocka_unit_test(random_histories_are_judged_as_by_trying_every_order),
    cmocka_unit_test(millions_of_operations_take_linear_time),
};
RUN_TESTS(tests)
