/* URLs of servers. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "base/url.h"

/* The parts, as "kind host port path user password db", with - for what is not there. */
static void check(const char *text, enum vlock_url_kind kind, const char *place, int port,
                  const char *user, const char *password, int db)
{
    struct vlock_url url;
    struct vlock_error error = {.message = ""};
    if (vlock_url_parse(text, &url, &error) != 0)
        fail_msg("%s: %s", text, error.message);
    assert_int_equal(url.kind, kind);
    assert_string_equal(kind == VLOCK_URL_TCP ? url.host : url.path, place);
    assert_int_equal(url.port, port);
    assert_int_equal(url.db, db);
    assert_string_equal(url.user ? url.user : "-", user);
    assert_string_equal(url.password ? url.password : "-", password);
    vlock_url_clear(&url);
    assert_null(url.password);
}

static void tcp_urls_are_read_with_defaults(void **state)
{
    (void)state;
    check("redis://", VLOCK_URL_TCP, "localhost", 6379, "-", "-", 0);
    check("redis://example.org", VLOCK_URL_TCP, "example.org", 6379, "-", "-", 0);
    check("redis://example.org:7000/3", VLOCK_URL_TCP, "example.org", 7000, "-", "-", 3);
    check("redis://example.org/?db=4", VLOCK_URL_TCP, "example.org", 6379, "-", "-", 4);
    check("redis://:7000", VLOCK_URL_TCP, "localhost", 7000, "-", "-", 0);
    check("redis://[::1]:7000/1", VLOCK_URL_TCP, "::1", 7000, "-", "-", 1);
    check("redis://[fe80::1]", VLOCK_URL_TCP, "fe80::1", 6379, "-", "-", 0);
}

static void check_tls(const char *text, bool is_tls, const char *printed)
{
    struct vlock_url url, copy;
    struct vlock_error error = {.message = ""};
    char shown[64];
    assert_int_equal(vlock_url_parse(text, &url, &error), 0);
    assert_int_equal(url.is_tls, is_tls);
    assert_int_equal(vlock_url_copy(&url, &copy), 0);
    assert_int_equal(copy.is_tls, is_tls);
    vlock_url_print(&copy, shown, sizeof shown);
    assert_string_equal(shown, printed);
    vlock_url_clear(&url);
    vlock_url_clear(&copy);
}

static void the_scheme_says_whether_it_goes_by_tls(void **state)
{
    (void)state;
    check("rediss://me:pw@h:7/2", VLOCK_URL_TCP, "h", 7, "me", "pw", 2);
    check_tls("redis://h", false, "redis://h:6379");
    check_tls("valkey://h", false, "redis://h:6379");
    check_tls("rediss://me:pw@h/1", true, "rediss://me:***@h:6379/1");
    check_tls("Valkeys://[::1]", true, "rediss://[::1]:6379");
    check_tls("unix:///s", false, "unix:///s");
}

static void schemes_are_read_in_any_case_and_blanks_around_are_not(void **state)
{
    (void)state;
    check("REDIS://h", VLOCK_URL_TCP, "h", 6379, "-", "-", 0);
    check("valkey://h/2", VLOCK_URL_TCP, "h", 6379, "-", "-", 2);
    check(" Unix:///run/redis.sock\r\n", VLOCK_URL_UNIX, "/run/redis.sock", 0, "-", "-", 0);
}

static void unix_urls_are_read(void **state)
{
    (void)state;
    check("unix:///run/redis.sock", VLOCK_URL_UNIX, "/run/redis.sock", 0, "-", "-", 0);
    check("unix:///run/redis.sock?db=2", VLOCK_URL_UNIX, "/run/redis.sock", 0, "-", "-", 2);
    check("unix://me:secret@/run/a%20b", VLOCK_URL_UNIX, "/run/a b", 0, "me", "secret", 0);
    check("unix:///run/@odd", VLOCK_URL_UNIX, "/run/@odd", 0, "-", "-", 0);
}

static void users_and_passwords_are_decoded(void **state)
{
    (void)state;
    check("redis://:pw@h", VLOCK_URL_TCP, "h", 6379, "-", "pw", 0);
    check("redis://me:p%40ss%3aw%2Frd@h:1", VLOCK_URL_TCP, "h", 1, "me", "p@ss:w/rd", 0);
    check("redis://me:p@ss@h", VLOCK_URL_TCP, "h", 6379, "me", "p@ss", 0);
    check("redis://me:@h", VLOCK_URL_TCP, "h", 6379, "me", "-", 0); /* an empty one is none */
    check("redis://:@h", VLOCK_URL_TCP, "h", 6379, "-", "-", 0);
    check("redis://@h", VLOCK_URL_TCP, "h", 6379, "-", "-", 0);
    check("redis://me@h", VLOCK_URL_TCP, "h", 6379, "me", "-", 0);
}

static void what_is_no_url_is_refused_without_its_password(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "localhost:6379",
                                      "http://me:s3cret@h",
                                      "redis://me:s3cret@h:0",
                                      "redis://me:s3cret@h:65536",
                                      "redis://me:s3cret@h:x",
                                      "redis://me:s3cret@h/x",
                                      "redis://me:s3cret@h/-1",
                                      "redis://me:s3cret@h?x=1",
                                      "redis://s3cret@h:x",
                                      "redis://me:s3cret%4@h",
                                      "redis://me:s3cret%00@h",
                                      "redis://[::1",
                                      "redis://[::1]x",
                                      "redis://[]",
                                      "unix://",
                                      "unix://relative",
                                      "unix://?db=1",
                                      "redis+sentinel://me:s3cret@h",
                                      "redis+sentinel://me:s3cret@h/",
                                      "redis+sentinel://me:s3cret@h/main/x",
                                      "redis+cluster://me:s3cret@h/1",
                                      "redis+cluster://me:s3cret@h,h:x",
                                      "redis+cluster://me:s3cret@h?db=2",
                                      "redis+elsewhere://me:s3cret@h",
                                      "redis://me:s3cret@h,g",
                                      "redis://h/2?db=3",
                                      "redis://me:s3cret/x@h",
                                      "redis://me:s3cret x@h",
                                      "redis://me:'s3cret@h",
                                      "unix://me:s3cret\"@/s",
                                      "redis://s3cret\tx@h",
                                      "redis://:12/s3cret@h",
                                      "redis://:12?s3cret@h",
                                      "redis://me/s3cret@h"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct vlock_url url;
        struct vlock_error error;
        if (vlock_url_parse(bad[i], &url, &error) == 0)
            fail_msg("%s was taken", bad[i]);
        assert_int_equal(error.code, VLOCK_ERR_USAGE);
        assert_null(strstr(error.message, "s3cret"));
        assert_null(url.host);
        assert_null(url.password);
    }
}

static void a_password_that_ends_the_host_is_told_how_to_be_written(void **state)
{
    (void)state;
    static const char *const bad[] = {"redis://me:pass/word@h", "redis://:12/word@h",
                                      "redis://:12?word@h"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct vlock_url url;
        struct vlock_error error;
        assert_int_equal(vlock_url_parse(bad[i], &url, &error), -1);
        assert_non_null(strstr(error.message, "/ is written %2F and ? is written %3F"));
    }
}

static void printed_urls_hide_the_password(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } cases[] = {{"redis://me:pw@h:1/2", "redis://me:***@h:1/2"},
                 {"redis://:pw@[::1]", "redis://:***@[::1]:6379"},
                 {"redis://h", "redis://h:6379"},
                 {"unix://me:pw@/s?db=1", "unix://me:***@/s?db=1"},
                 {"unix:///s", "unix:///s"},
                 {"unix:///a%20%1b%25%3Fdb=1", "unix:///a%20%1B%25%3Fdb=1"},
                 {"redis://m%40%3a:pw@h%2f%5d", "redis://m%40%3A:***@h%2F%5D:6379"},
                 {"redis://[fe80::1%25eth0]", "redis://[fe80::1%25eth0]:6379"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vlock_url url;
        char shown[100];
        assert_int_equal(vlock_url_parse(cases[i].text, &url, NULL), 0);
        vlock_url_print(&url, shown, sizeof shown);
        assert_string_equal(shown, cases[i].shown);
        vlock_url_clear(&url);
    }
}

static void copies_stand_alone(void **state)
{
    (void)state;
    struct vlock_url url, copy;
    assert_int_equal(vlock_url_parse("redis://me:pw@h:1/2", &url, NULL), 0);
    assert_int_equal(vlock_url_copy(&url, &copy), 0);
    vlock_url_clear(&url);
    assert_string_equal(copy.host, "h");
    assert_string_equal(copy.user, "me");
    assert_string_equal(copy.password, "pw");
    assert_int_equal(copy.port, 1);
    assert_int_equal(copy.db, 2);
    vlock_url_clear(&copy);
}

static void check_places(const char *text, enum vlock_url_topology topology, const char *service,
                         const char *printed)
{
    struct vlock_url url, copy, one;
    struct vlock_error error = {.message = ""};
    char shown[200];
    if (vlock_url_parse(text, &url, &error) != 0)
        fail_msg("%s: %s", text, error.message);
    assert_int_equal(url.topology, topology);
    assert_string_equal(url.service ? url.service : "-", service);
    assert_int_equal(vlock_url_copy(&url, &copy), 0);
    assert_true(vlock_url_is_equal(&url, &copy));
    vlock_url_print(&copy, shown, sizeof shown);
    assert_string_equal(shown, printed);
    assert_int_equal(vlock_url_at(&copy, "there", 7, &one), 0);
    assert_int_equal(one.topology, VLOCK_URL_ONE);
    assert_string_equal(one.host, "there");
    assert_int_equal(one.db, url.db);
    assert_int_equal(one.is_tls, url.is_tls);
    assert_true(url.password ? strcmp(one.password, url.password) == 0 : !one.password);
    assert_false(vlock_url_is_equal(&url, &one));
    vlock_url_clear(&one);
    vlock_url_clear(&copy);
    vlock_url_clear(&url);
}

static void several_servers_are_read(void **state)
{
    (void)state;
    check_places("redis+cluster://", VLOCK_URL_CLUSTER, "-", "redis+cluster://localhost:6379");
    check_places("rediss+cluster://me:pw@a:1,b,[::1]:3/0", VLOCK_URL_CLUSTER, "-",
                 "rediss+cluster://me:***@a:1,b:6379,[::1]:3");
    check_places("valkey+cluster://a,,c:9", VLOCK_URL_CLUSTER, "-",
                 "redis+cluster://a:6379,localhost:6379,c:9");
    check_places("redis+sentinel://a,b:2/main", VLOCK_URL_SENTINEL, "main",
                 "redis+sentinel://a:26379,b:2/main");
    check_places("VALKEYS+SENTINEL://:pw@a/my%20one/4", VLOCK_URL_SENTINEL, "my one",
                 "rediss+sentinel://:***@a:26379/my%20one/4");
}

/* `length` bytes of %FF as a service's name. */
static int parse_service_of(size_t length, struct vlock_url *url)
{
    char text[1024] = "redis+sentinel://h:1/";
    struct vlock_error error;
    for (size_t i = 0; i < length; i++)
        strcat(text, "%FF");
    return vlock_url_parse(text, url, &error);
}

static void a_service_may_have_200_bytes_however_they_are_written(void **state)
{
    (void)state;
    struct vlock_url url, again;
    struct vlock_error error;
    char shown[1024];
    assert_int_equal(parse_service_of(201, &url), -1);
    assert_int_equal(parse_service_of(200, &url), 0);
    vlock_url_print(&url, shown, sizeof shown);
    assert_int_equal(vlock_url_parse(shown, &again, &error), 0);
    assert_true(vlock_url_is_equal(&url, &again));
    vlock_url_clear(&url);
    vlock_url_clear(&again);
}

static void equal_urls_are_those_of_the_same_place_and_user(void **state)
{
    (void)state;
    static const char *const different[] = {"redis://h",
                                            "redis://g",
                                            "redis://h:1",
                                            "redis://h/1",
                                            "rediss://h",
                                            "redis://me:x@h",
                                            "redis://me:y@h",
                                            "redis+cluster://h",
                                            "redis+cluster://h,g",
                                            "redis+cluster://h,f",
                                            "redis+cluster://h,g:1",
                                            "unix:///h",
                                            "redis+sentinel://h/a",
                                            "redis+sentinel://h/b"};
    size_t count = sizeof different / sizeof *different;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            struct vlock_url one, other;
            struct vlock_error error;
            assert_int_equal(vlock_url_parse(different[i], &one, &error), 0);
            assert_int_equal(vlock_url_parse(different[j], &other, &error), 0);
            assert_int_equal(vlock_url_is_equal(&one, &other), i == j);
            vlock_url_clear(&one);
            vlock_url_clear(&other);
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(tcp_urls_are_read_with_defaults),
    cmocka_unit_test(the_scheme_says_whether_it_goes_by_tls),
    cmocka_unit_test(schemes_are_read_in_any_case_and_blanks_around_are_not),
    cmocka_unit_test(several_servers_are_read),
    cmocka_unit_test(a_service_may_have_200_bytes_however_they_are_written),
    cmocka_unit_test(equal_urls_are_those_of_the_same_place_and_user),
    cmocka_unit_test(unix_urls_are_read),
    cmocka_unit_test(users_and_passwords_are_decoded),
    cmocka_unit_test(what_is_no_url_is_refused_without_its_password),
    cmocka_unit_test(a_password_that_ends_the_host_is_told_how_to_be_written),
    cmocka_unit_test(printed_urls_hide_the_password),
    cmocka_unit_test(copies_stand_alone),
};
RUN_TESTS(tests)
