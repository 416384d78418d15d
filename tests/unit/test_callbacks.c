/* What a C program may call from inside its callbacks: nothing that runs in the same engine, and
 * vlock_close(). */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "vlock.h"

struct host;
typedef void action(struct host *host);

struct host {
    vlock_engine *engine, *other;
    action *action; /* called once, in the callback */
    bool logs;      /* whether it is called from the log's */
    int calls;
    char reply[32];
};

static void act(struct host *host)
{
    if (host->calls++ == 0)
        host->action(host);
}

static void on_log(void *user, enum vlock_log_level level, const char *message)
{
    struct host *host = user;
    (void)level;
    if (host->logs && strcmp(message, "here") == 0)
        act(host);
}

static void on_reply(void *user, const struct vlock_reply *reply)
{
    struct host *host = user;
    act(host);
    /* Still there. */
    snprintf(host->reply, sizeof host->reply, "%.*s", (int)reply->length, reply->string);
}

static void keep_reply(void *user, const struct vlock_reply *reply)
{
    struct host *host = user;
    snprintf(host->reply, sizeof host->reply, "%.*s", (int)reply->length, reply->string);
}

static enum vlock_decision on_update(void *user, struct vlock_update *update)
{
    act(user);
    update->value = "new";
    update->size = 3;
    return VLOCK_WRITE;
}

/* ---- the ways into a callback: each returns what the function that led there did ---- */

static int run(struct host *host, const char *source, vlock_reply_callback *callback,
               struct vlock_error *error)
{
    return vlock_run_string(host->engine, source, strlen(source), "=outer", NULL, callback, host,
                            error);
}

static int by_reply(struct host *host, struct vlock_error *error)
{
    return run(host, "redis.call('SET', 'k', 'new') return 'fine'", on_reply, error);
}

static int by_log(struct host *host, struct vlock_error *error)
{
    host->logs = true;
    return run(host,
               "redis.log(redis.LOG_WARNING, 'here') vlock.sleep(0.001) redis.call('SET', 'k', "
               "'new') return 'fine'",
               keep_reply, error);
}

static int by_update(struct host *host, struct vlock_error *error)
{
    return vlock_update(host->engine, "k", 1, on_update, host, NULL, NULL, error);
}

static int by_step(struct host *host, struct vlock_error *error)
{
    static const char source[] =
        "redis.log(redis.LOG_WARNING, 'here') redis.call('SET', 'k', 'new')";
    int result =
        vlock_start(host->engine, source, strlen(source), "=outer", NULL, NULL, NULL, error);
    host->logs = true;
    while (result == 0 || result == 1)
        if ((result = vlock_step(host->engine, error)) <= 0)
            break;
    return result;
}

static int (*const ways[])(struct host *, struct vlock_error *) = {by_reply, by_log, by_update,
                                                                   by_step};

static struct host host_that(action *acts)
{
    return (struct host){.action = acts};
}

static void open_engines(struct host *host)
{
    struct vlock_error error = {.message = ""};
    host->other = vlock_open(&(struct vlock_options){.private_server = true}, &error);
    host->engine = vlock_open(
        &(struct vlock_options){.private_server = true, .log = on_log, .log_user = host}, &error);
    if (!host->engine || !host->other)
        fail_msg("%s", error.message);
}

static void close_engines(struct host *host)
{
    vlock_close(host->engine);
    vlock_close(host->other);
}

/* ---- what is refused ---- */

static void check_refusal(int result, const struct vlock_error *error)
{
    assert_int_equal(result, -1);
    assert_int_equal(error->code, VLOCK_ERR_USAGE);
    assert_non_null(strstr(error->message, "callback"));
}

static void call_everything(struct host *host)
{
    vlock_engine *engine = host->engine;
    struct vlock_error error;
    struct vlock_state state = {.value = NULL};
    check_refusal(vlock_run_string(engine, "return 1", 8, "=inner", NULL, NULL, NULL, &error),
                  &error);
    check_refusal(vlock_run_file(engine, "/dev/null", NULL, NULL, NULL, &error), &error);
    check_refusal(vlock_start(engine, "return 1", 8, "=inner", NULL, NULL, NULL, &error), &error);
    check_refusal(vlock_step(engine, &error), &error);
    check_refusal(vlock_get(engine, "k", 1, NULL, &state, &error), &error);
    check_refusal(vlock_compare_and_set(engine, "k", 1, "x", 1, NULL, NULL, NULL, &error), &error);
    check_refusal(vlock_update(engine, "k", 1, on_update, host, NULL, NULL, &error), &error);
    /* An error is not needed. */
    assert_int_equal(vlock_run_string(engine, "", 0, "=inner", NULL, NULL, NULL, NULL), -1);
}

static void what_runs_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    /* In the reply's the run is over, and the next may begin. */
    for (size_t i = 1; i < sizeof ways / sizeof *ways; i++) {
        struct host host = host_that(call_everything);
        struct vlock_error error = {.message = ""};
        open_engines(&host);
        if (ways[i](&host, &error) != 0)
            fail_msg("way %zu: %s", i, error.message);
        assert_int_equal(host.calls, 1);
        host.reply[0] = '\0';
        assert_int_equal(run(&host, "return redis.call('GET', 'k')", keep_reply, &error), 0);
        assert_string_equal(host.reply, "new");
        close_engines(&host);
    }
}

static void use_the_other(struct host *host)
{
    struct vlock_error error = {.message = ""};
    struct vlock_state state;
    assert_int_equal(vlock_compare_and_set(host->other, "k", 1, "x", 1, NULL, NULL, &state, &error),
                     VLOCK_COMMITTED);
    vlock_state_clear(&state);
}

static void another_engine_may_be_used(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct host host = host_that(use_the_other);
        struct vlock_error error = {.message = ""};
        open_engines(&host);
        assert_int_equal(ways[i](&host, &error), 0);
        assert_int_equal(host.calls, 1);
        close_engines(&host);
    }
}

/* ---- the end ---- */

static void close_twice(struct host *host)
{
    vlock_close(host->engine);
    vlock_close(host->engine); /* the engine is there until the function that led here returns */
}

static void interrupt(struct host *host)
{
    vlock_interrupt(host->engine, "by the callback");
}

static void an_engine_may_be_closed_there(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct host host = host_that(close_twice);
        struct vlock_error error = {.message = ""};
        open_engines(&host);
        int result = ways[i](&host, &error);
        assert_int_equal(host.calls, 1);
        if (ways[i] == by_reply) { /* the run had ended */
            assert_int_equal(result, 0);
            assert_string_equal(host.reply, "fine");
        } else {
            assert_int_equal(result, -1);
            assert_int_equal(error.code, VLOCK_ERR_INTERRUPTED);
            assert_non_null(strstr(error.message, "closed"));
        }
        vlock_close(host.other);
    }
}

static void an_update_interrupted_in_its_callback_writes_nothing(void **state)
{
    (void)state;
    struct host host = host_that(interrupt);
    struct vlock_error error = {.message = ""};
    open_engines(&host);
    assert_int_equal(by_update(&host, &error), VLOCK_FAILED);
    assert_int_equal(error.code, VLOCK_ERR_INTERRUPTED);
    assert_int_equal(run(&host, "return redis.call('GET', 'k') or 'nothing'", keep_reply, &error),
                     0);
    assert_string_equal(host.reply, "nothing");
    assert_int_equal(by_update(&host, &error), VLOCK_COMMITTED);
    close_engines(&host);
}

static void a_finalizer_that_logs_at_the_end_is_refused_too(void **state)
{
    (void)state;
    struct host host = host_that(call_everything);
    struct vlock_error error = {.message = ""};
    open_engines(&host);
    static const char source[] =
        "kept = setmetatable({}, {__gc = function() redis.log(redis.LOG_WARNING, 'here') end})";
    assert_int_equal(run(&host, source, NULL, &error), 0);
    host.logs = true;
    close_engines(&host);
    assert_int_equal(host.calls, 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_runs_is_refused_and_changes_nothing),
    cmocka_unit_test(another_engine_may_be_used),
    cmocka_unit_test(an_engine_may_be_closed_there),
    cmocka_unit_test(an_update_interrupted_in_its_callback_writes_nothing),
    cmocka_unit_test(a_finalizer_that_logs_at_the_end_is_refused_too),
};
RUN_TESTS(tests)
