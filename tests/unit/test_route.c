/* Where commands go in a cluster, and what is learned from errors. Nothing is connected to. */
#include "check.h"

#include <string.h>

#include <event2/event.h>

#include "net/host_loop.h"
#include "net/route.h"
#include "net/route_topology.h"

struct place {
    struct vlock_host_loop host_loop;
    struct vlock_link_pool pool;
    struct vlock_route *route;
};

static void set_up(struct place *place, const char *text)
{
    static const struct vlock_link_options options = {.connect_timeout_ns = 1000000000,
                                                      .reconnects = true};
    struct vlock_url url;
    struct vlock_error error;
    *place = (struct place){.host_loop = VLOCK_HOST_LOOP_CLOSED};
    place->pool.base = event_base_new();
    place->pool.host_loop = &place->host_loop;
    assert_int_equal(vlock_url_parse(text, &url, &error), 0);
    place->route = vlock_route_new(&place->pool, &url, &options, &error);
    vlock_url_clear(&url);
    assert_non_null(place->route);
}

static void tear_down(struct place *place)
{
    vlock_route_free(place->route);
    vlock_link_pool_flush(&place->pool);
    assert_null(place->pool.all);
    assert_null(place->pool.topologies);
    event_base_free(place->pool.base);
}

/* Where commands for this slot go, as the name of a link. */
static const char *way(struct place *place, int slot)
{
    return vlock_link_name(vlock_route_link(place->route, slot, false));
}

static void one_server_serves_all(void **state)
{
    (void)state;
    struct place place;
    struct vlock_link *asked = NULL;
    set_up(&place, "redis://h:1");
    assert_string_equal(way(&place, 0), "redis://h:1");
    assert_string_equal(way(&place, VLOCK_NO_SLOT), "redis://h:1");
    assert_true(vlock_route_is_known(place.route));
    assert_int_equal(vlock_route_heed(place.route, "MOVED 1 a:2", &asked), VLOCK_ROUTE_ARRIVED);
    assert_int_equal(vlock_route_heed(place.route, "READONLY x", &asked), VLOCK_ROUTE_ARRIVED);
    tear_down(&place);
}

static void nothing_goes_anywhere_before_it_is_known_where(void **state)
{
    (void)state;
    struct place place;
    set_up(&place, "redis+cluster://h:1,g:2");
    assert_string_equal(way(&place, 7), "redis+cluster://h:1,g:2"); /* the room */
    assert_false(vlock_route_is_known(place.route));
    assert_null(vlock_route_used(place.route, 0));
    tear_down(&place);
}

static void a_slot_that_moved_is_at_whom_the_error_names(void **state)
{
    (void)state;
    struct place place;
    struct vlock_link *asked = NULL;
    set_up(&place, "redis+cluster://h:1");
    assert_int_equal(vlock_route_heed(place.route, "MOVED 7 10.0.0.1:7001", &asked),
                     VLOCK_ROUTE_MOVED);
    assert_string_equal(way(&place, 7), "redis://10.0.0.1:7001");
    assert_string_equal(vlock_link_name(vlock_route_used(place.route, 0)), "redis://10.0.0.1:7001");
    assert_int_equal(vlock_route_heed(place.route, "MOVED 7 ::1:7002", &asked), VLOCK_ROUTE_MOVED);
    assert_string_equal(way(&place, 7), "redis://[::1]:7002");
    /* Nobody names his host: it is that of whom we asked. */
    assert_int_equal(vlock_route_heed(place.route, "MOVED 7 :7003", &asked), VLOCK_ROUTE_MOVED);
    assert_string_equal(way(&place, 7), "redis://[::1]:7003");
    assert_int_equal(vlock_route_heed(place.route, "MOVED 7 ?:7004", &asked), VLOCK_ROUTE_MOVED);
    assert_string_equal(way(&place, 7), "redis://[::1]:7004");
    assert_string_equal(way(&place, 8), "redis+cluster://h:1");
    tear_down(&place);
}

static void a_slot_that_is_moving_is_asked_for_there_and_stays(void **state)
{
    (void)state;
    struct place place;
    struct vlock_link *asked = NULL;
    set_up(&place, "rediss+cluster://me:pw@h:1");
    vlock_route_heed(place.route, "MOVED 7 a:1", &asked);
    assert_int_equal(vlock_route_heed(place.route, "ASK 7 b:2", &asked), VLOCK_ROUTE_ASK);
    assert_string_equal(vlock_link_name(asked), "rediss://me:***@b:2");
    assert_string_equal(way(&place, 7), "rediss://me:***@a:1");
    tear_down(&place);
}

static void what_is_no_place_is_for_the_caller(void **state)
{
    (void)state;
    static const char *const errors[] = {"MOVED", "MOVED ", "MOVED 7", "MOVED 16384 a:1",
                                         "MOVED -1 a:1", "MOVED 7 a", "MOVED a:1 7", "ASK",
                                         "ASK 7 :", "ASK 99999 a:1", "ERR MOVED 7 a:1",
                                         "MOVED 7 :1"};
    struct place place;
    struct vlock_link *asked = NULL;
    set_up(&place, "redis+cluster://h:1");
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (vlock_route_heed(place.route, errors[i], &asked) != VLOCK_ROUTE_ARRIVED)
            fail_msg("%s was taken", errors[i]);
    assert_string_equal(way(&place, 7), "redis+cluster://h:1");
    tear_down(&place);
}

static void a_replica_is_left_and_who_waits_for_its_primary_waits_in_the_room(void **state)
{
    (void)state;
    static const char *const errors[] = {"READONLY You can't write against a read only replica.",
                                         "MASTERDOWN Link with MASTER is down"};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct place place;
        struct vlock_link *asked = NULL;
        set_up(&place, "redis+cluster://h:1");
        vlock_topology_move(place.pool.topologies, 7,
                            vlock_topology_find(place.pool.topologies, "a", 1));
        assert_string_equal(way(&place, 7), "redis://a:1");
        assert_string_equal(vlock_link_name(vlock_route_link(place.route, 7, true)),
                            "redis://a:1");
        assert_int_equal(vlock_route_heed(place.route, errors[i], &asked),
                         VLOCK_ROUTE_NO_PRIMARY);
        assert_string_equal(vlock_link_name(vlock_route_link(place.route, 7, true)),
                            "redis+cluster://h:1");
        assert_string_equal(way(&place, 7), "redis://a:1"); /* others go on */
        tear_down(&place);
    }
}

static void routes_of_one_url_share_what_is_known(void **state)
{
    (void)state;
    struct place place;
    struct vlock_link *asked = NULL;
    struct vlock_error error;
    set_up(&place, "redis+cluster://h:1");
    struct vlock_link_options options = {.connect_timeout_ns = 1000000000};
    struct vlock_route *other =
        vlock_route_new(&place.pool, vlock_route_url(place.route), &options, &error);
    vlock_route_heed(place.route, "MOVED 7 a:1", &asked);
    struct vlock_link *link = vlock_route_link(other, 7, false);
    assert_string_equal(vlock_link_name(link), "redis://a:1");
    assert_ptr_not_equal(link, vlock_route_link(place.route, 7, false));
    vlock_route_free(other);
    tear_down(&place);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(one_server_serves_all),
    cmocka_unit_test(nothing_goes_anywhere_before_it_is_known_where),
    cmocka_unit_test(a_slot_that_moved_is_at_whom_the_error_names),
    cmocka_unit_test(a_slot_that_is_moving_is_asked_for_there_and_stays),
    cmocka_unit_test(what_is_no_place_is_for_the_caller),
    cmocka_unit_test(a_replica_is_left_and_who_waits_for_its_primary_waits_in_the_room),
    cmocka_unit_test(routes_of_one_url_share_what_is_known),
};
RUN_TESTS(tests)
