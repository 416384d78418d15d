/* By how much a counter has grown. */
#include "check.h"

#include <string.h>

#include "base/growth.h"

static struct vlock_growth_value value(const char *text)
{
    return (struct vlock_growth_value){text, text ? strlen(text) : 0};
}

static void a_number_is_what_a_value_begins_with(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t number;
    } cases[] = {{"0", 0},
                 {"12", 12},
                 {"12 ...", 12},
                 {"000000000000000000000000000000007", 7},
                 {"9223372036854775807", INT64_MAX},
                 {NULL, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t number = -1;
        assert_true(vlock_growth_number(value(cases[i].text), &number));
        assert_int_equal(number, cases[i].number);
    }
    static const char *const bad[] = {
        "", "x", "-1", " 1", "9223372036854775808", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t number;
        assert_false(vlock_growth_number(value(bad[i]), &number));
    }
}

static void it_is_the_sum_of_what_each_commit_added(void **state)
{
    (void)state;
    struct vlock_growth growth = {0};
    vlock_growth_add(&growth, value(NULL), value("1"));
    vlock_growth_add(&growth, value("1"), value("5"));
    vlock_growth_add(&growth, value("5"), value("4"));
    vlock_growth_add(&growth, value("4"), value(NULL));
    assert_int_equal(growth.sum, 0);
    assert_false(growth.is_unknown);
    vlock_growth_add(&growth, value("4"), value("four"));
    assert_true(growth.is_unknown);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_number_is_what_a_value_begins_with),
    cmocka_unit_test(it_is_the_sum_of_what_each_commit_added)};
RUN_TESTS(tests)
