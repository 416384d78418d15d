/* Durations and counts. */
#include "check.h"

#include <string.h>

#include "base/units.h"

static void durations_of_every_unit_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {{"0", 0},
                 {"250us", 250000},
                 {"2ms", 2000000},
                 {"1.5s", 1500000000},
                 {"5m", 300000000000},
                 {"1h", 3600000000000},
                 {"100ns", 100},
                 {"3", 3000000000},
                 {"1e3us", 1000000},
                 {".5ms", 500000},
                 {"0.0000000004s", 0},
                 {"277777h", 999997200000000000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t ns = -1;
        assert_int_equal(vlock_units_duration(cases[i].text, strlen(cases[i].text), &ns, NULL), 0);
        assert_int_equal(ns, cases[i].ns);
    }
}

static void what_is_no_duration_is_refused_with_the_forms(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    "-1s",    "+1s",     "1 s",  " 1s",      "1x",
                                      "ms",  "inf",    "nan",     "0x10", "1e",       "1.s.",
                                      "1ss", "1e300s", "278000h", "1ms ", "infinity", "1,5s"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ns = 77;
        struct vlock_error error;
        assert_int_equal(vlock_units_duration(bad[i], strlen(bad[i]), &ns, &error), -1);
        assert_int_equal(ns, 77);
        assert_int_equal(error.code, VLOCK_ERR_USAGE);
        assert_non_null(strstr(error.message, "250us"));
    }
    int64_t ns;
    assert_int_equal(vlock_units_duration("1s\0x", 4, &ns, NULL), -1);
}

static void counts_are_read_and_others_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double count;
    } cases[] = {{"50", 50},   {"10k", 10000}, {"1M", 1e6},  {"2G", 2e9},
                 {"0.5", 0.5}, {"1.5k", 1500}, {"1e3", 1000}};
    static const char *const bad[] = {"", "-1", "k", "1kk", "1m", "1 k", "ten", "nan", "1e301"};
    double count;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(vlock_units_count(cases[i].text, strlen(cases[i].text), &count, NULL), 0);
        assert_true(count == cases[i].count);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(vlock_units_count(bad[i], strlen(bad[i]), &count, NULL), -1);
}

static void durations_are_written_with_three_digits(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *text;
    } cases[] = {
        {0, "0s"},           {7, "7ns"},           {1500, "1.5us"},    {999999, "1ms"},
        {1250000, "1.25ms"}, {123456789, "123ms"}, {1000000000, "1s"}, {90000000000, "1.5m"},
        {-2000, "-2us"},     {7200000000000, "2h"},
        {59949999999, "59.9s"}, {59960000000, "1m"}, {3597600000000, "1h"},
        {1000000000000000000, "277777h"}};
    char text[24];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vlock_units_format_duration(cases[i].ns, text);
        assert_string_equal(text, cases[i].text);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(durations_of_every_unit_are_read),
    cmocka_unit_test(what_is_no_duration_is_refused_with_the_forms),
    cmocka_unit_test(counts_are_read_and_others_refused),
    cmocka_unit_test(durations_are_written_with_three_digits),
};
RUN_TESTS(tests)
