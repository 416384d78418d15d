/* What nodes of a cluster say of its slots. */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "net/route_answer.h"

static char told[400];

static void tell(void *user, const char *host, int port, int from, int to, bool is_replica)
{
    size_t length = strlen(told);
    (void)user;
    snprintf(told + length, sizeof told - length, "%s%s:%d %d-%d\n", is_replica ? "+" : "", host,
             port, from, to);
}

static redisReply *parse(const char *bytes)
{
    void *reply = NULL;
    redisReader *reader = redisReaderCreate();
    redisReaderFeed(reader, bytes, strlen(bytes));
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    assert_non_null(reply);
    redisReaderFree(reader);
    told[0] = '\0';
    return reply;
}

static void check_shards(const char *bytes, bool is_tls, bool is_read, const char *wanted)
{
    redisReply *reply = parse(bytes);
    assert_int_equal(vlock_topology_read_shards(reply, is_tls, tell, NULL), is_read);
    if (is_read)
        assert_string_equal(told, wanted);
    freeReplyObject(reply);
}

static void check_slots(const char *bytes, bool is_read, const char *wanted)
{
    redisReply *reply = parse(bytes);
    assert_int_equal(vlock_topology_read_slots(reply, tell, NULL), is_read);
    if (is_read)
        assert_string_equal(told, wanted);
    freeReplyObject(reply);
}

/* A node of a shard: names and values. */
#define TEXT(name, length) "$" #length "\r\n" name "\r\n"
#define NODE(port_name, port_length, port, endpoint, endpoint_length, role, role_length, health,   \
             health_length)                                                                        \
    "*8\r\n" TEXT(port_name, port_length) ":" #port "\r\n" TEXT("endpoint", 8)                     \
        TEXT(endpoint, endpoint_length) TEXT("role", 4) TEXT(role, role_length) TEXT("health", 6)  \
            TEXT(health, health_length)
#define SHARD(slots, nodes) "*4\r\n" TEXT("slots", 5) slots TEXT("nodes", 5) nodes

static void shards_are_read(void **state)
{
    (void)state;
    check_shards("*0\r\n", false, true, "");
    check_shards(
        "*2\r\n" SHARD("*4\r\n:0\r\n:99\r\n:200\r\n:300\r\n",
                       "*2\r\n" NODE("port", 4, 7001, "b", 1, "replica", 7, "online", 6)
                           NODE("port", 4, 7000, "a", 1, "master", 6, "online", 6))
            SHARD("*0\r\n", "*1\r\n" NODE("port", 4, 7002, "c", 1, "master", 6, "online", 6)),
        false, true, "a:7000 0-99\na:7000 200-300\n+b:7001 0-99\n+b:7001 200-300\n");
}

static void replicas_in_health_are_told_behind_their_primary(void **state)
{
    (void)state;
    check_shards("*1\r\n" SHARD("*2\r\n:0\r\n:99\r\n",
                                "*3\r\n" NODE("port", 4, 7001, "b", 1, "slave", 5, "fail", 4)
                                    NODE("port", 4, 7002, "c", 1, "slave", 5, "online", 6)
                                        NODE("port", 4, 7000, "a", 1, "primary", 7, "online", 6)),
                 false, true, "a:7000 0-99\n+c:7002 0-99\n");
    check_shards("*1\r\n" SHARD("*2\r\n:0\r\n:99\r\n",
                                "*1\r\n" NODE("port", 4, 7001, "b", 1, "slave", 5, "online", 6)),
                 false, true, "");
}

static void a_primary_that_failed_serves_nothing(void **state)
{
    (void)state;
    check_shards("*1\r\n" SHARD("*2\r\n:0\r\n:99\r\n",
                                "*2\r\n" NODE("port", 4, 7000, "a", 1, "master", 6, "fail", 4)
                                    NODE("port", 4, 7001, "b", 1, "master", 6, "online", 6)),
                 false, true, "b:7001 0-99\n");
    check_shards("*1\r\n" SHARD("*2\r\n:0\r\n:99\r\n",
                                "*1\r\n" NODE("port", 4, 7000, "a", 1, "master", 6, "fail", 4)),
                 false, true, "");
}

static void the_port_is_the_one_for_the_connection(void **state)
{
    (void)state;
    check_shards("*1\r\n" SHARD("*2\r\n:0\r\n:9\r\n", "*1\r\n" NODE("tls-port", 8, 7443, "?", 1,
                                                                    "master", 6, "online", 6)),
                 true, true, ":7443 0-9\n");
    check_shards("*1\r\n" SHARD("*2\r\n:0\r\n:9\r\n", "*1\r\n" NODE("tls-port", 8, 7443, "", 0,
                                                                    "master", 6, "online", 6)),
                 false, true, "");
}

static void slots_are_read(void **state)
{
    (void)state;
    check_slots("*0\r\n", true, "");
    check_slots("*2\r\n*4\r\n:0\r\n:5460\r\n*3\r\n$9\r\n127.0.0.1\r\n:7000\r\n$2\r\nid\r\n"
                "*3\r\n$9\r\n127.0.0.1\r\n:7003\r\n$2\r\nid\r\n"
                "*3\r\n:5461\r\n:16383\r\n*2\r\n$-1\r\n:7001\r\n",
                true, "127.0.0.1:7000 0-5460\n+127.0.0.1:7003 0-5460\n:7001 5461-16383\n");
}

static void what_is_none_of_this_is_refused(void **state)
{
    (void)state;
    static const char *const others[] = {
        "+OK\r\n",
        ":1\r\n",
        "$-1\r\n",
        "*1\r\n:1\r\n",
        "*1\r\n*0\r\n",
        "*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\na\r\n:1\r\n",
        "*1\r\n*3\r\n:-1\r\n:1\r\n*2\r\n$1\r\na\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\na\r\n:0\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\na\r\n:65536\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*1\r\n$1\r\na\r\n",
        "*1\r\n" SHARD("*1\r\n:0\r\n", "*0\r\n"),
        "*1\r\n" SHARD("*2\r\n:0\r\n:16384\r\n",
                       "*1\r\n" NODE("port", 4, 7000, "a", 1, "master", 6, "online", 6)),
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        check_slots(others[i], false, "");
        check_shards(others[i], false, false, "");
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(shards_are_read),
    cmocka_unit_test(replicas_in_health_are_told_behind_their_primary),
    cmocka_unit_test(a_primary_that_failed_serves_nothing),
    cmocka_unit_test(the_port_is_the_one_for_the_connection),
    cmocka_unit_test(slots_are_read),
    cmocka_unit_test(what_is_none_of_this_is_refused),
};
RUN_TESTS(tests)
