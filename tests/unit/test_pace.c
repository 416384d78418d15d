/* The pace of a writer: whose updates build on their own commits, and when it rests. */
#include "check.h"

#include "base/pace.h"

#define TOOK 40 /* ns that a commit takes here */
#define SECOND 1000000000LL
#define NEW (SECOND / 100) /* for so long a writer is new */

/* A commit that is sent now, and is known TOOK later. */
static void commit(struct vlock_pace *pace, int64_t *now)
{
    vlock_pace_committed(pace, true, *now, *now + TOOK);
    *now += TOOK;
}

/* Writes without a break, each update as soon as the last one is known. Returns how many began with
 * the last one's state before the first that did not, and how that one began. */
static int updates_in_a_row(struct vlock_pace *pace, int64_t *now, enum vlock_pace_start *other)
{
    for (int count = 0;; count++) {
        *other = vlock_pace_begin(pace, *now);
        if (*other != VLOCK_PACE_BUILDS)
            return count;
        commit(pace, now);
    }
}

static void the_first_update_reads(void **state)
{
    (void)state;
    struct vlock_pace pace = {0};
    assert_int_equal(vlock_pace_begin(&pace, 1000), VLOCK_PACE_READS);
    vlock_pace_committed(&pace, false, 1000, 1000 + TOOK); /* nobody knows how long that lasts */
    assert_int_equal(vlock_pace_begin(&pace, 1000 + TOOK), VLOCK_PACE_READS);
}

static void one_that_met_nobody_rests_but_does_not_read(void **state)
{
    (void)state;
    struct vlock_pace pace = {0};
    enum vlock_pace_start other;
    int64_t now = 1000;
    commit(&pace, &now);
    now += NEW;
    for (int turn = 0; turn < 3; turn++) {
        assert_int_equal(updates_in_a_row(&pace, &now, &other), 16);
        assert_int_equal(other, VLOCK_PACE_RESTS_AND_BUILDS);
    }
    now += 1000000; /* nor does it when it comes back later */
    assert_int_equal(vlock_pace_begin(&pace, now), VLOCK_PACE_BUILDS);
}

/* Others may begin just now. But that is no reason to read. */
static void a_new_one_takes_turns_for_ten_milliseconds(void **state)
{
    (void)state;
    struct vlock_pace pace = {0};
    enum vlock_pace_start other;
    int64_t now = 1000;
    commit(&pace, &now);
    int64_t first = now;
    for (int turn = 0; turn < 3; turn++) {
        assert_int_equal(updates_in_a_row(&pace, &now, &other), 8);
        assert_int_equal(other, VLOCK_PACE_RESTS_LONG_AND_BUILDS);
        commit(&pace, &now);
    }
    now = first + NEW / 2;
    assert_int_equal(vlock_pace_begin(&pace, now), VLOCK_PACE_BUILDS);
    commit(&pace, &now);
    now = first + NEW;
    assert_int_equal(updates_in_a_row(&pace, &now, &other), 15);
    assert_int_equal(other, VLOCK_PACE_RESTS_AND_BUILDS);
}

static void after_a_conflict_turns_end_with_a_rest_and_a_read(void **state)
{
    (void)state;
    struct vlock_pace pace = {0};
    enum vlock_pace_start other;
    int64_t now = 1000;
    commit(&pace, &now);
    vlock_pace_disturbed(&pace, now - TOOK, now);
    assert_int_equal(vlock_pace_begin(&pace, now), VLOCK_PACE_READS);
    for (int turn = 0; turn < 3; turn++) {
        commit(&pace, &now);
        assert_int_equal(updates_in_a_row(&pace, &now, &other), 8);
        assert_int_equal(other, VLOCK_PACE_RESTS_AND_READS);
    }
    /* A conflict ends a turn, and the commit that follows it begins one. */
    commit(&pace, &now);
    assert_int_equal(vlock_pace_begin(&pace, now), VLOCK_PACE_BUILDS);
    vlock_pace_disturbed(&pace, now - TOOK, now);
    commit(&pace, &now);
    assert_int_equal(updates_in_a_row(&pace, &now, &other), 8);
    assert_int_equal(other, VLOCK_PACE_RESTS_AND_READS);
}

/* How an update begins that comes so long after a conflict of a write that took so long, and after
 * eight others. */
static enum vlock_pace_start start_after(int64_t took, int64_t later)
{
    struct vlock_pace pace = {0};
    int64_t now = 1000;
    commit(&pace, &now);
    vlock_pace_disturbed(&pace, now - took, now);
    now += later - 9 * TOOK;
    commit(&pace, &now);
    for (int count = 0; count < 8; count++) {
        assert_int_equal(vlock_pace_begin(&pace, now), VLOCK_PACE_BUILDS);
        commit(&pace, &now);
    }
    return vlock_pace_begin(&pace, now);
}

static void a_conflict_counts_for_a_second_or_32_turns(void **state)
{
    (void)state;
    assert_int_equal(start_after(TOOK, SECOND - 1), VLOCK_PACE_RESTS_AND_READS);
    assert_int_equal(start_after(TOOK, SECOND), VLOCK_PACE_BUILDS);
    int64_t far = SECOND / 25; /* as where the server is in another part of the world */
    assert_int_equal(start_after(far, 32 * 8 * far - 1), VLOCK_PACE_RESTS_AND_READS);
    assert_int_equal(start_after(far, 32 * 8 * far), VLOCK_PACE_BUILDS);
}

/* What somebody else may have written meanwhile is no guess worth a write; and who takes that long
 * has let others have their chance. */
static void after_a_conflict_an_update_that_comes_later_reads_at_once(void **state)
{
    (void)state;
    struct vlock_pace pace = {0};
    int64_t now = 1000;
    vlock_pace_disturbed(&pace, now - TOOK, now);
    commit(&pace, &now);
    assert_int_equal(vlock_pace_begin(&pace, now + TOOK), VLOCK_PACE_BUILDS);
    commit(&pace, &now);
    assert_int_equal(vlock_pace_begin(&pace, now + TOOK + 1), VLOCK_PACE_READS);
}

static void a_rest_is_longer_where_others_are_about(void **state)
{
    (void)state;
    assert_int_equal(vlock_pace_rest(VLOCK_PACE_READS), 0);
    assert_int_equal(vlock_pace_rest(VLOCK_PACE_BUILDS), 0);
    assert_int_equal(vlock_pace_rest(VLOCK_PACE_RESTS_AND_BUILDS), 1);
    assert_int_equal(vlock_pace_rest(VLOCK_PACE_RESTS_LONG_AND_BUILDS), 8);
    assert_int_equal(vlock_pace_rest(VLOCK_PACE_RESTS_AND_READS), 16);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_first_update_reads),
    cmocka_unit_test(one_that_met_nobody_rests_but_does_not_read),
    cmocka_unit_test(a_new_one_takes_turns_for_ten_milliseconds),
    cmocka_unit_test(after_a_conflict_turns_end_with_a_rest_and_a_read),
    cmocka_unit_test(a_conflict_counts_for_a_second_or_32_turns),
    cmocka_unit_test(after_a_conflict_an_update_that_comes_later_reads_at_once),
    cmocka_unit_test(a_rest_is_longer_where_others_are_about),
};
RUN_TESTS(tests)
