/* An engine among other processes: children of the host's, forked with and without an engine in
 * use, and hosts that collect children. */
#include "check.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vlock.h"

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static vlock_engine *open_engine(void)
{
    struct vlock_error error = {.message = ""};
    vlock_engine *engine = vlock_open(&(struct vlock_options){.private_server = true}, &error);
    if (!engine)
        fail_msg("%s", error.message);
    return engine;
}

static void keep_reply(void *user, const struct vlock_reply *reply)
{
    snprintf(user, 64, "%.*s", reply->string ? (int)reply->length : 0,
             reply->string ? reply->string : "");
}

static void check_run(vlock_engine *engine, const char *source, const char *expected)
{
    struct vlock_error error = {.message = ""};
    char reply[64] = "";
    if (vlock_run_string(engine, source, strlen(source), "=test", NULL, keep_reply, reply,
                         &error) != 0)
        fail_msg("%s: %s", source, error.message);
    assert_string_equal(reply, expected);
}

/* A child of the host that has nothing to do with the engine and lives on; it holds copies of all
 * that was open. */
static pid_t start_sleeper(void)
{
    pid_t process = fork();
    if (process == 0) {
        sleep_ms(20000);
        _exit(0);
    }
    assert_true(process > 0);
    return process;
}

static void end_sleeper(pid_t process)
{
    kill(process, SIGKILL);
    while (waitpid(process, NULL, 0) < 0 && errno == EINTR)
        continue;
}

static void check_closing(vlock_engine *engine)
{
    double began = now();
    vlock_close(engine);
    assert_true(now() - began < 2);
}

/* ---- the private server ends at once, whatever the host does with its children ---- */

static void it_ends_while_a_child_of_the_host_lives_on(void **state)
{
    (void)state;
    vlock_engine *engine = open_engine();
    check_run(engine, "redis.call('SET', 'k', 'v') return redis.call('GET', 'k')", "v");
    pid_t sleeper = start_sleeper();
    check_closing(engine);
    end_sleeper(sleeper);
}

static void it_ends_where_the_system_collects_children(void **state)
{
    (void)state;
    pid_t sleeper = start_sleeper();
    signal(SIGCHLD, SIG_IGN);
    vlock_engine *engine = open_engine();
    check_run(engine, "redis.call('SET', 'k', 'v') return redis.call('GET', 'k')", "v");
    check_closing(engine);
    signal(SIGCHLD, SIG_DFL);
    end_sleeper(sleeper);
}

static void collect_all(int number)
{
    int saved = errno;
    (void)number;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue;
    errno = saved;
}

static void it_ends_where_the_host_collects_all_children(void **state)
{
    (void)state;
    pid_t sleeper = start_sleeper();
    signal(SIGCHLD, collect_all);
    vlock_engine *engine = open_engine();
    check_run(engine, "redis.call('SET', 'k', 'v') return redis.call('GET', 'k')", "v");
    check_closing(engine);
    engine = open_engine(); /* and where its supervisor has been collected long before */
    check_run(engine,
              "local pid = redis.call('INFO', 'server'):match('process_id:(%d+)') "
              "local file = io.open('/proc/' .. pid .. '/stat') supervisor = "
              "file:read('a'):match('%) %a (%d+)') "
              "file:close() return supervisor and 'found'",
              "found");
    char socket[128] = "";
    static const char where[] = "return (redis.private_server():gsub('^unix://', ''))";
    struct vlock_error error;
    assert_int_equal(vlock_run_string(engine, where, sizeof where - 1, "=where", NULL, keep_reply,
                                      socket, &error),
                     0);
    check_run(engine, "os.execute('kill -KILL ' .. supervisor) return 'killed'", "killed");
    sleep_ms(100);
    assert_int_equal(access(socket, F_OK), 0);
    check_closing(engine);
    *strrchr(socket, '/') = '\0'; /* its folder */
    assert_int_equal(access(socket, F_OK), -1);
    signal(SIGCHLD, SIG_DFL);
    end_sleeper(sleeper);
}

static void it_ends_with_its_host_though_a_child_of_that_lives_on(void **state)
{
    (void)state;
    int line[2];
    pid_t pids[2] = {0, 0}; /* the host's child, the server */
    assert_int_equal(pipe(line), 0);
    pid_t host = fork();
    if (host == 0) {
        vlock_engine *engine = open_engine();
        char text[64] = "";
        static const char source[] =
            "return redis.call('INFO', 'server'):match('process_id:(%d+)')";
        struct vlock_error error;
        vlock_run_string(engine, source, strlen(source), "=host", NULL, keep_reply, text, &error);
        pids[0] = start_sleeper();
        pids[1] = atoi(text);
        _exit(write(line[1], pids, sizeof pids) == sizeof pids ? 0 : 1);
    }
    close(line[1]);
    assert_int_equal(read(line[0], pids, sizeof pids), sizeof pids);
    close(line[0]);
    assert_int_equal(waitpid(host, NULL, 0), host);
    assert_true(pids[1] > 0);
    for (int i = 0; i < 100 && kill(pids[1], 0) == 0; i++)
        sleep_ms(20);
    assert_int_equal(kill(pids[1], 0), -1);
    kill(pids[0], SIGKILL);
}

/* ---- in a forked child ---- */

static enum vlock_decision leave(void *user, struct vlock_update *update)
{
    (void)user, (void)update;
    return VLOCK_LEAVE;
}

static int refusals; /* that were none */

static void expect(int result, const struct vlock_error *error)
{
    if (result != -1 || error->code != VLOCK_ERR_USAGE || !strstr(error->message, "child"))
        refusals++;
}

/* Returns how many were not refused. */
static int call_everything(vlock_engine *engine)
{
    struct vlock_error error = {.message = ""};
    struct vlock_state now_state;
    static const char source[] = "redis.call('SET', 'k', 'the child was here')";
    expect(vlock_run_string(engine, source, strlen(source), "=child", NULL, NULL, NULL, &error),
           &error);
    expect(vlock_start(engine, source, strlen(source), "=child", NULL, NULL, NULL, &error), &error);
    expect(vlock_step(engine, &error), &error);
    expect(vlock_get(engine, "k", 1, NULL, &now_state, &error), &error);
    expect(vlock_compare_and_set(engine, "k", 1, "x", 1, NULL, NULL, NULL, &error), &error);
    expect(vlock_update(engine, "k", 1, leave, NULL, NULL, NULL, &error), &error);
    vlock_interrupt(engine, "by the child");
    return refusals + (vlock_descriptor(engine) >= 0);
}

/* What a child found wrong comes by a pipe: tools that count leaks at its end set its exit code. */
static int verdicts[2];

static pid_t fork_child(void)
{
    assert_int_equal(pipe(verdicts), 0);
    return fork();
}

static void end_child(int wrong)
{
    _exit(write(verdicts[1], &wrong, sizeof wrong) == sizeof wrong ? 0 : 1);
}

static void check_child(pid_t process)
{
    int wrong = -1;
    close(verdicts[1]);
    assert_int_equal(read(verdicts[0], &wrong, sizeof wrong), sizeof wrong);
    assert_int_equal(wrong, 0);
    close(verdicts[0]);
    end_sleeper(process);
}

static void a_child_is_refused_and_its_parent_not_disturbed(void **state)
{
    (void)state;
    for (int closes = 0; closes < 2; closes++) {
        vlock_engine *engine = open_engine();
        int fd = vlock_descriptor(engine);
        check_run(engine,
                  "kept = redis.connect() kept:call('PING') redis.call('SET', 'k', 'v') return "
                  "redis.call('GET', 'k')",
                  "v");
        pid_t child = fork_child();
        if (child == 0) {
            int wrong = call_everything(engine);
            if (closes)
                vlock_close(engine);
            end_child(wrong);
        }
        check_child(child);
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&ready, 1, 50), 0);
        check_run(engine, "return redis.call('GET', 'k') .. kept:call('GET', 'k')", "vv");
        check_closing(engine);
    }
}

/* The parent waits for a reply and for a point in time, in a loop of its own, while its child
 * ends. */
static void a_child_of_a_run_leaves_the_parents_loop_alone(void **state)
{
    static const char source[] = "local own = redis.connect() local t = vlock.spawn(function() "
                                 "return own:call('BLPOP', 'q', 5)[2] end) "
                                 "vlock.sleep(0.2) redis.call('RPUSH', 'q', 'x') return t:join()";
    (void)state;
    vlock_engine *engine = open_engine();
    struct vlock_error error = {.message = ""};
    struct pollfd ready = {.fd = vlock_descriptor(engine), .events = POLLIN};
    char reply[64] = "";
    int result;
    pid_t child = -1;
    check_run(engine, "redis.call('PING') return 'up'", "up");
    double began = now();
    assert_int_equal(
        vlock_start(engine, source, strlen(source), "=test", NULL, keep_reply, reply, &error), 0);
    while ((result = vlock_step(engine, &error)) == 1) {
        if (child < 0 && now() - began > 0.1 && (child = fork_child()) == 0) {
            vlock_close(engine);
            end_child(0);
        }
        if (poll(&ready, 1, child < 0 ? 20 : 2000) == 0 && child > 0)
            fail_msg("the parent is not woken any more");
    }
    assert_int_equal(result, 0);
    assert_string_equal(reply, "x");
    assert_true(now() - began < 2);
    check_child(child);
    check_closing(engine);
}

static pid_t forked;

static enum vlock_decision fork_and_write(void *user, struct vlock_update *update)
{
    (void)user;
    forked = fork_child();
    update->value = forked == 0 ? "child" : "parent";
    update->size = strlen(update->value);
    return VLOCK_WRITE;
}

static void a_child_of_an_update_writes_nothing(void **state)
{
    (void)state;
    vlock_engine *engine = open_engine();
    struct vlock_error error = {.message = ""};
    check_run(engine, "redis.call('PING') return 'up'", "up");
    enum vlock_outcome outcome =
        vlock_update(engine, "k", 1, fork_and_write, NULL, NULL, NULL, &error);
    if (forked == 0) {
        bool is_refused = outcome == VLOCK_FAILED && error.code == VLOCK_ERR_USAGE;
        vlock_close(engine);
        end_child(!is_refused);
    }
    assert_int_equal(outcome, VLOCK_COMMITTED);
    check_child(forked);
    check_run(engine, "return redis.call('GET', 'k')", "parent");
    check_run(engine, "return redis.call('GET', 'k')", "parent");
    check_closing(engine);
}

static void a_child_opens_an_engine_of_its_own(void **state)
{
    (void)state;
    vlock_engine *engine = open_engine();
    check_run(engine, "redis.call('PING') return 'up'", "up");
    pid_t child = fork_child();
    if (child == 0) {
        struct vlock_error error = {.message = ""};
        vlock_close(engine);
        vlock_engine *own = vlock_open(&(struct vlock_options){.private_server = true}, &error);
        int result = own ? vlock_run_string(own, "return redis.call('PING')", 25, "=own", NULL,
                                            NULL, NULL, &error)
                         : -1;
        vlock_close(own);
        end_child(result != 0);
    }
    check_child(child);
    check_run(engine, "redis.call('PING') return 'up'", "up");
    check_closing(engine);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(it_ends_while_a_child_of_the_host_lives_on),
    cmocka_unit_test(it_ends_where_the_system_collects_children),
    cmocka_unit_test(it_ends_where_the_host_collects_all_children),
    cmocka_unit_test(it_ends_with_its_host_though_a_child_of_that_lives_on),
    cmocka_unit_test(a_child_is_refused_and_its_parent_not_disturbed),
    cmocka_unit_test(a_child_of_a_run_leaves_the_parents_loop_alone),
    cmocka_unit_test(a_child_of_an_update_writes_nothing),
    cmocka_unit_test(a_child_opens_an_engine_of_its_own),
};
RUN_TESTS(tests)
