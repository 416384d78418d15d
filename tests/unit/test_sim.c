/* A modelled network: when messages arrive, in which order, and what their clients see. */
#include "check.h"

#include <stdbool.h>

#include "net/sim.h"

#define MS 1000000LL

static struct vlock_clock clock_of_test = {.is_virtual = true};

static struct vlock_sim *new_sim(struct vlock_sim_settings settings)
{
    settings.clock = &clock_of_test;
    if (!settings.timeout_ns)
        settings.timeout_ns = 1000 * MS;
    clock_of_test.virtual_ns = 0;
    struct vlock_sim *sim = vlock_sim_new(&settings);
    assert_non_null(sim);
    return sim;
}

static struct vlock_distribution constant(double ns)
{
    return (struct vlock_distribution){.a = ns};
}

/* Goes on to the next event that anybody notices; NOTHING: there is none. */
static enum vlock_sim_event next(struct vlock_sim *sim, struct vlock_sim_message **message)
{
    enum vlock_sim_event event = VLOCK_SIM_NOTHING;
    while (event == VLOCK_SIM_NOTHING && vlock_sim_next_ns(sim) < INT64_MAX) {
        assert_true(vlock_sim_next_ns(sim) >= clock_of_test.virtual_ns);
        clock_of_test.virtual_ns = vlock_sim_next_ns(sim);
        event = vlock_sim_take(sim, message);
    }
    return event;
}

static void expect(struct vlock_sim *sim, enum vlock_sim_event event, int64_t when_ns,
                   const struct vlock_sim_message *whose)
{
    struct vlock_sim_message *message;
    assert_int_equal(next(sim, &message), event);
    assert_int_equal(clock_of_test.virtual_ns, when_ns);
    assert_ptr_equal(message, whose);
    if (event == VLOCK_SIM_REPLY || event == VLOCK_SIM_TIMEOUT || event == VLOCK_SIM_CUT)
        vlock_sim_forget(sim, message);
}

static void answer(struct vlock_sim *sim, struct vlock_sim_message *message, int64_t service_ns)
{
    vlock_sim_answer(sim, message, vlock_sim_serve(sim, message, service_ns));
}

static void commands_are_served_one_after_the_other(void **state)
{
    (void)state;
    struct vlock_sim *sim = new_sim((struct vlock_sim_settings){.delay = constant(10 * MS)});
    struct vlock_sim_wire *wire = vlock_sim_wire_new(sim, false);
    struct vlock_sim_message *one = vlock_sim_send(sim, wire, 0);
    struct vlock_sim_message *other = vlock_sim_send(sim, wire, 0);
    assert_int_equal(vlock_sim_counts(sim)->travelling, 2);
    expect(sim, VLOCK_SIM_ARRIVAL, 10 * MS, one);
    answer(sim, one, 3 * MS);
    expect(sim, VLOCK_SIM_ARRIVAL, 10 * MS, other);
    answer(sim, other, 3 * MS);
    assert_int_equal(vlock_sim_counts(sim)->travelling, 0);
    expect(sim, VLOCK_SIM_REPLY, 23 * MS, one);
    expect(sim, VLOCK_SIM_REPLY, 26 * MS, other);
    assert_int_equal(vlock_sim_next_ns(sim), INT64_MAX);
    vlock_sim_free(sim);
}

static void one_who_looks_from_outside_takes_no_time(void **state)
{
    (void)state;
    struct vlock_sim *sim = new_sim(
        (struct vlock_sim_settings){.delay = constant(10 * MS), .lost_request = 1});
    struct vlock_sim_wire *wire = vlock_sim_wire_new(sim, true);
    struct vlock_sim_message *message = vlock_sim_send(sim, wire, 0);
    expect(sim, VLOCK_SIM_ARRIVAL, 0, message);
    answer(sim, message, 5 * MS);
    expect(sim, VLOCK_SIM_REPLY, 0, message);
    vlock_sim_free(sim);
}

/* Whether 100 commands, sent at the same time, arrive in the order in which they were sent. */
static bool is_in_order(bool is_ordered)
{
    struct vlock_sim *sim = new_sim((struct vlock_sim_settings){
        .delay = {.kind = VLOCK_EXPONENTIAL, .a = 10 * MS}, .is_ordered = is_ordered, .seed = 4});
    struct vlock_sim_wire *wire = vlock_sim_wire_new(sim, false);
    struct vlock_sim_message *message;
    bool in_order = true;
    for (int i = 0; i < 100; i++)
        vlock_sim_send(sim, wire, 0)->mark = i;
    for (int arrived = 0; arrived < 100;) {
        if (next(sim, &message) == VLOCK_SIM_REPLY) {
            vlock_sim_forget(sim, message);
            continue;
        }
        in_order = in_order && message->mark == arrived;
        arrived++;
        answer(sim, message, 0);
    }
    vlock_sim_free(sim);
    return in_order;
}

static void messages_overtake_each_other_where_the_model_says_so(void **state)
{
    (void)state;
    assert_true(is_in_order(true));
    assert_false(is_in_order(false));
}

static void the_same_seed_gives_the_same_times(void **state)
{
    (void)state;
    int64_t times[3];
    for (int i = 0; i < 3; i++) {
        struct vlock_sim *sim = new_sim((struct vlock_sim_settings){
            .delay = {.kind = VLOCK_FOLDED, .a = 10 * MS, .b = 2 * MS}, .seed = i < 2 ? 5 : 6});
        vlock_sim_send(sim, vlock_sim_wire_new(sim, false), 0);
        times[i] = vlock_sim_next_ns(sim);
        vlock_sim_free(sim);
    }
    assert_int_equal(times[0], times[1]);
    assert_int_not_equal(times[0], times[2]);
}

static void a_client_waits_no_longer_than_its_limit(void **state)
{
    (void)state;
    struct vlock_sim *sim = new_sim((struct vlock_sim_settings){
        .delay = constant(10 * MS), .timeout_ns = 50 * MS});
    struct vlock_sim_wire *wire = vlock_sim_wire_new(sim, false);
    /* Its limit comes before it arrives, and it arrives all the same. */
    struct vlock_sim_message *hasty = vlock_sim_send(sim, wire, 4 * MS);
    expect(sim, VLOCK_SIM_TIMEOUT, 4 * MS, hasty);
    expect(sim, VLOCK_SIM_ARRIVAL, 10 * MS, hasty);
    assert_false(vlock_sim_answer(sim, hasty, vlock_sim_serve(sim, hasty, 100 * MS)));
    /* The next one stands behind it for longer than any client waits. */
    struct vlock_sim_message *patient = vlock_sim_send(sim, wire, 0);
    expect(sim, VLOCK_SIM_ARRIVAL, 20 * MS, patient);
    answer(sim, patient, 0);
    expect(sim, VLOCK_SIM_TIMEOUT, 60 * MS, patient);
    assert_int_equal(vlock_sim_next_ns(sim), INT64_MAX);
    assert_int_equal(vlock_sim_counts(sim)->timeouts, 2);
    vlock_sim_free(sim);
}

static void what_is_lost_ends_in_a_time_out(void **state)
{
    (void)state;
    struct vlock_sim *sim = new_sim((struct vlock_sim_settings){
        .delay = constant(10 * MS), .timeout_ns = 50 * MS, .lost_request = 1});
    struct vlock_sim_message *message = vlock_sim_send(sim, vlock_sim_wire_new(sim, false), 0);
    expect(sim, VLOCK_SIM_TIMEOUT, 50 * MS, message);
    vlock_sim_free(sim);

    sim = new_sim((struct vlock_sim_settings){
        .delay = constant(10 * MS), .timeout_ns = 50 * MS, .lost_reply = 1});
    message = vlock_sim_send(sim, vlock_sim_wire_new(sim, false), 0);
    expect(sim, VLOCK_SIM_ARRIVAL, 10 * MS, message);
    answer(sim, message, 0);
    expect(sim, VLOCK_SIM_TIMEOUT, 50 * MS, message);
    assert_int_equal(vlock_sim_counts(sim)->lost, 1);
    vlock_sim_free(sim);
}

static void a_connection_ends_for_all_who_wait_on_it(void **state)
{
    (void)state;
    struct vlock_sim *sim = new_sim((struct vlock_sim_settings){
        .delay = constant(10 * MS), .cut_reply = 1});
    struct vlock_sim_wire *wire = vlock_sim_wire_new(sim, false);
    struct vlock_sim_message *one = vlock_sim_send(sim, wire, 0), *message;
    expect(sim, VLOCK_SIM_ARRIVAL, 10 * MS, one);
    answer(sim, one, 0);
    clock_of_test.virtual_ns = 15 * MS;
    struct vlock_sim_message *late = vlock_sim_send(sim, wire, 0);
    struct vlock_sim_message *elsewhere = vlock_sim_send(sim, vlock_sim_wire_new(sim, false), 0);
    assert_int_equal(next(sim, &message), VLOCK_SIM_CUT);
    assert_ptr_equal(message, one);
    vlock_sim_forget(sim, one);
    assert_ptr_equal(vlock_sim_next_cut(sim), late);
    vlock_sim_forget(sim, late);
    assert_null(vlock_sim_next_cut(sim));
    /* What is on its way arrives all the same. */
    expect(sim, VLOCK_SIM_ARRIVAL, 25 * MS, late);
    assert_false(vlock_sim_answer(sim, late, 25 * MS));
    expect(sim, VLOCK_SIM_ARRIVAL, 25 * MS, elsewhere);
    vlock_sim_free(sim);
}

static void a_late_command_arrives_after_its_client_was_told(void **state)
{
    (void)state;
    struct vlock_sim *sim = new_sim((struct vlock_sim_settings){
        .delay = constant(10 * MS), .late_request = 1, .lateness = constant(500 * MS)});
    struct vlock_sim_message *message = vlock_sim_send(sim, vlock_sim_wire_new(sim, false), 0);
    expect(sim, VLOCK_SIM_CUT, 10 * MS, message);
    assert_null(vlock_sim_next_cut(sim));
    expect(sim, VLOCK_SIM_ARRIVAL, 510 * MS, message);
    assert_false(vlock_sim_answer(sim, message, 510 * MS));
    vlock_sim_free(sim);
}

static void nothing_is_served_while_the_server_stands_still(void **state)
{
    (void)state;
    struct vlock_sim *sim = new_sim((struct vlock_sim_settings){
        .delay = constant(10 * MS), .stall = {.at_ns = 5 * MS, .every_ns = 300 * MS,
                                              .takes_ns = 100 * MS}});
    struct vlock_sim_wire *wire = vlock_sim_wire_new(sim, false);
    struct vlock_sim_message *message = vlock_sim_send(sim, wire, 0);
    expect(sim, VLOCK_SIM_ARRIVAL, 10 * MS, message);
    answer(sim, message, MS);
    expect(sim, VLOCK_SIM_REPLY, 116 * MS, message);
    message = vlock_sim_send(sim, wire, 0);
    expect(sim, VLOCK_SIM_ARRIVAL, 126 * MS, message);
    answer(sim, message, MS);
    expect(sim, VLOCK_SIM_REPLY, 137 * MS, message);
    clock_of_test.virtual_ns = 300 * MS;
    message = vlock_sim_send(sim, wire, 0);
    expect(sim, VLOCK_SIM_ARRIVAL, 310 * MS, message);
    answer(sim, message, MS);
    expect(sim, VLOCK_SIM_REPLY, 416 * MS, message);
    vlock_sim_free(sim);
}

static void a_failover_cuts_all_connections_and_loses_what_was_not_done(void **state)
{
    (void)state;
    struct vlock_sim *sim = new_sim((struct vlock_sim_settings){
        .delay = constant(10 * MS), .failover = {.at_ns = 30 * MS, .takes_ns = 20 * MS}});
    struct vlock_sim_wire *wire = vlock_sim_wire_new(sim, false);
    struct vlock_sim_message *served = vlock_sim_send(sim, wire, 0), *message;
    expect(sim, VLOCK_SIM_ARRIVAL, 10 * MS, served);
    answer(sim, served, 100 * MS); /* it would be done after the server's end */
    clock_of_test.virtual_ns = 25 * MS;
    struct vlock_sim_message *meanwhile = vlock_sim_send(sim, wire, 0);
    assert_int_equal(next(sim, &message), VLOCK_SIM_FAILOVER);
    assert_int_equal(clock_of_test.virtual_ns, 30 * MS);
    assert_ptr_equal(vlock_sim_next_cut(sim), served);
    vlock_sim_forget(sim, served);
    assert_ptr_equal(vlock_sim_next_cut(sim), meanwhile);
    vlock_sim_forget(sim, meanwhile);
    assert_null(vlock_sim_next_cut(sim));
    /* Who comes while there is no server waits for the next one, whose queue is empty. */
    message = vlock_sim_send(sim, wire, 0);
    struct vlock_sim_message *hasty = vlock_sim_send(sim, wire, 45 * MS);
    expect(sim, VLOCK_SIM_TIMEOUT, 45 * MS, hasty);
    expect(sim, VLOCK_SIM_ARRIVAL, 60 * MS, message);
    answer(sim, message, MS);
    expect(sim, VLOCK_SIM_ARRIVAL, 60 * MS, hasty);
    assert_false(vlock_sim_answer(sim, hasty, 60 * MS));
    expect(sim, VLOCK_SIM_REPLY, 71 * MS, message);
    assert_int_equal(vlock_sim_counts(sim)->failovers, 1);
    vlock_sim_free(sim);
}

/* Of each kind of fault as many as its probability says. */
static void faults_are_as_frequent_as_they_are_said_to_be(void **state)
{
    (void)state;
    struct vlock_sim *sim = new_sim((struct vlock_sim_settings){
        .delay = constant(10 * MS), .lost_request = 0.1, .cut_request = 0.2, .late_request = 0.3,
        .lateness = constant(MS), .seed = 9});
    struct vlock_sim_wire *wire = vlock_sim_wire_new(sim, false);
    for (int i = 0; i < 10000; i++)
        vlock_sim_send(sim, wire, 0);
    const struct vlock_sim_counts *counts = vlock_sim_counts(sim);
    assert_true(counts->lost > 850 && counts->lost < 1150);
    assert_true(counts->late > 2800 && counts->late < 3200);
    assert_true(counts->travelling > 6800 && counts->travelling < 7200);
    assert_int_equal(counts->commands, 10000);
    vlock_sim_free(sim);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(commands_are_served_one_after_the_other),
    cmocka_unit_test(one_who_looks_from_outside_takes_no_time),
    cmocka_unit_test(messages_overtake_each_other_where_the_model_says_so),
    cmocka_unit_test(the_same_seed_gives_the_same_times),
    cmocka_unit_test(a_client_waits_no_longer_than_its_limit),
    cmocka_unit_test(what_is_lost_ends_in_a_time_out),
    cmocka_unit_test(a_connection_ends_for_all_who_wait_on_it),
    cmocka_unit_test(a_late_command_arrives_after_its_client_was_told),
    cmocka_unit_test(nothing_is_served_while_the_server_stands_still),
    cmocka_unit_test(a_failover_cuts_all_connections_and_loses_what_was_not_done),
    cmocka_unit_test(faults_are_as_frequent_as_they_are_said_to_be),
};
RUN_TESTS(tests)
