/* Random numbers: the published generator's outputs, streams, range. */
#include "check.h"

#include "base/random.h"

/* xoshiro256** from the state {1, 2, 3, 4}: the first numbers as its authors' code gives them. */
static void outputs_are_those_of_the_published_generator(void **state)
{
    (void)state;
    struct vlock_random random = {{1, 2, 3, 4}};
    static const uint64_t expected[] = {11520, 0, 1509978240, 1215971899390074240};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_int_equal(vlock_random_next(&random), expected[i]);
}

/* Worked out with a separate program from the published splitmix64. */
static void seeding_is_splitmix64_of_the_mixed_pair(void **state)
{
    (void)state;
    struct vlock_random random;
    vlock_random_seed(&random, 42, 7);
    assert_int_equal(vlock_random_next(&random), UINT64_C(0x24bfb39aeb008c15));
    assert_int_equal(vlock_random_next(&random), UINT64_C(0xd858489e7fc02496));
    assert_int_equal(vlock_random_next(&random), UINT64_C(0x3deebe24036964f3));
}

static void streams_of_one_seed_differ(void **state)
{
    (void)state;
    struct vlock_random one, other;
    int same = 0;
    vlock_random_seed(&one, 5, 1);
    vlock_random_seed(&other, 5, 2);
    for (int i = 0; i < 1000; i++)
        same += vlock_random_next(&one) == vlock_random_next(&other);
    assert_int_equal(same, 0);
}

static void units_are_uniform_in_their_range(void **state)
{
    (void)state;
    struct vlock_random random;
    double sum = 0;
    int low = 0;
    vlock_random_seed(&random, 1, 1);
    for (int i = 0; i < 100000; i++) {
        double unit = vlock_random_unit(&random);
        assert_true(unit >= 0 && unit < 1);
        sum += unit;
        low += unit < 0.1;
    }
    assert_true(sum > 49500 && sum < 50500); /* five standard deviations are 456 */
    assert_true(low > 9500 && low < 10500);
}

static void entropy_fills_all_bytes(void **state)
{
    (void)state;
    unsigned char bytes[64] = {0}, seen = 0;
    assert_int_equal(vlock_random_entropy(bytes, sizeof bytes), 0);
    for (size_t i = 32; i < 64; i++)
        seen |= bytes[i];
    assert_true(seen != 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(outputs_are_those_of_the_published_generator),
    cmocka_unit_test(seeding_is_splitmix64_of_the_mixed_pair),
    cmocka_unit_test(streams_of_one_seed_differ),
    cmocka_unit_test(units_are_uniform_in_their_range),
    cmocka_unit_test(entropy_fills_all_bytes),
};
RUN_TESTS(tests)
