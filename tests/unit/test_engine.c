/* The public interface, as a C program uses it: on private servers. */
#include "check.h"

#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "vlock.h"

static vlock_engine *open_engine(void)
{
    struct vlock_error error = {.message = ""};
    vlock_engine *engine =
        vlock_open(&(struct vlock_options){.private_server = true, .seed = 5}, &error);
    if (!engine)
        fail_msg("%s", error.message);
    return engine;
}

/* Writes a reply as text into the 256 bytes at `user`. */
static void write_reply(void *user, const struct vlock_reply *reply)
{
    char *text = user;
    size_t used = strlen(text), room = 256 - used;
    switch (reply->type) {
    case VLOCK_REPLY_NIL:
        snprintf(text + used, room, "nil");
        break;
    case VLOCK_REPLY_INTEGER:
        snprintf(text + used, room, "%lld", reply->integer);
        break;
    case VLOCK_REPLY_STRING:
        snprintf(text + used, room, "\"%.*s\"", (int)reply->length, reply->string);
        break;
    case VLOCK_REPLY_STATUS:
        snprintf(text + used, room, "+%s", reply->string);
        break;
    case VLOCK_REPLY_ERROR:
        snprintf(text + used, room, "-%s", reply->string);
        break;
    case VLOCK_REPLY_ARRAY:
        snprintf(text + used, room, "[");
        for (size_t i = 0; i < reply->elements; i++) {
            if (i)
                strncat(text, ",", 2);
            write_reply(text, reply->element[i]);
        }
        strncat(text, "]", 2);
        break;
    }
}

static void check_run(vlock_engine *engine, const char *source,
                      const struct vlock_arguments *arguments, const char *expected)
{
    char text[256] = "";
    struct vlock_error error = {.message = ""};
    if (vlock_run_string(engine, source, strlen(source), "=test", arguments, write_reply, text,
                         &error) != 0)
        fail_msg("%s: %s", source, error.message);
    assert_string_equal(text, expected);
}

static enum vlock_code check_failure(vlock_engine *engine, const char *source, const char *words)
{
    struct vlock_error error = {.message = ""};
    assert_int_equal(
        vlock_run_string(engine, source, strlen(source), "=test", NULL, NULL, NULL, &error), -1);
    if (!strstr(error.message, words))
        fail_msg("\"%s\" is not in \"%s\"", words, error.message);
    return error.code;
}

static void results_arrive_converted_as_redis_converts_them(void **state)
{
    (void)state;
    vlock_engine *engine = open_engine();
    check_run(engine, "return {1, 'a', {2.9, true, false, {ok='fine'}}, {err='ERR no'}, -3.9}",
              NULL, "[1,\"a\",[2,1,nil,+fine],-ERR no,-3]");
    check_run(engine, "return {1, nil, 2}", NULL, "[1]");
    check_run(engine, "return redis.call('SET', 'k', 'v')", NULL, "+OK");
    check_run(engine, "return redis.call('GET', 'k')", NULL, "\"v\"");
    check_run(engine, "return {ok='two\\r\\nlines'}", NULL, "+two  lines");
    check_run(engine, "", NULL, "nil");
    check_run(engine, "return {double=3.5}", NULL, "\"3.5\"");
    check_run(engine, "return 2^70", NULL, "9223372036854775807");
    check_run(engine, "return 0/0", NULL, "0");
    vlock_close(engine);
}

static void keys_and_arguments_are_the_scripts(void **state)
{
    (void)state;
    vlock_engine *engine = open_engine();
    const char *keys[] = {"k1", "k\0"
                                "2"},
               *args[] = {"x"};
    struct vlock_arguments arguments = {
        .key_count = 2, .keys = keys, .key_sizes = (size_t[]){2, 3}, .arg_count = 1, .args = args};
    check_run(engine, "return {#KEYS, KEYS[1], #KEYS[2], ARGV[1]}", &arguments,
              "[2,\"k1\",3,\"x\"]");
    check_run(engine, "return {#KEYS, #ARGV}", NULL, "[0,0]");
    check_run(engine, "mine = 'x' function get() return mine end return mine", NULL, "\"x\"");
    check_run(engine, "return {get(), mine, type(_G.get), tostring(_G.absent)}", NULL,
              "[\"x\",\"x\",\"function\",\"nil\"]");
    check_failure(engine, "return absent",
                  "test:1: Script attempted to access nonexistent global variable 'absent'");
    vlock_close(engine);
}

static void errors_are_codes_with_messages_and_leave_the_engine_usable(void **state)
{
    (void)state;
    vlock_engine *engine = open_engine();
    assert_int_equal(check_failure(engine, "return = 1", "test:1:"), VLOCK_ERR_SCRIPT);
    assert_int_equal(check_failure(engine, "local x = nil; return x.y", "test:1: attempt to index"),
                     VLOCK_ERR_SCRIPT);
    assert_int_equal(check_failure(engine, "redis.call('NOSUCH')", "unknown command"),
                     VLOCK_ERR_SCRIPT);
    assert_int_equal(check_failure(engine, "vlock.spawn(function() error('deep') end)", "deep"),
                     VLOCK_ERR_SCRIPT);
    assert_int_equal(
        check_failure(engine,
                      "vlock.spawn(function() vlock.sleep(9) end) vlock.spawn(function() "
                      "redis.call('BLMOVE') end) error('first')",
                      "first"),
        VLOCK_ERR_SCRIPT);
    struct vlock_error error = {.message = ""};
    char text[256] = "";
    static const char endless[] = "local t = {} t[1] = t return t";
    assert_int_equal(vlock_run_string(engine, endless, strlen(endless), "=test", NULL, write_reply,
                                      text, &error),
                     -1);
    assert_non_null(strstr(error.message, "nested too deeply"));
    check_run(engine, "return redis.call('PING')", NULL, "+PONG");

    assert_int_equal(vlock_run_file(engine, "/nowhere/at/all.lua", NULL, NULL, NULL, &error), -1);
    assert_int_equal(error.code, VLOCK_ERR_USAGE);
    assert_non_null(strstr(error.message, "/nowhere/at/all.lua"));
    vlock_close(engine);
}

static void a_server_that_cannot_be_reached_is_told_apart(void **state)
{
    (void)state;
    struct vlock_error error;
    vlock_engine *engine =
        vlock_open(&(struct vlock_options){.url = "unix:///nowhere/at/all"}, &error);
    assert_non_null(engine);
    assert_int_equal(check_failure(engine, "redis.call('PING')", "cannot connect"),
                     VLOCK_ERR_UNREACHABLE);
    vlock_close(engine);
    engine = vlock_open(NULL, &error);
    assert_non_null(engine);
    assert_int_equal(check_failure(engine, "redis.call('PING')", "opened without a url"),
                     VLOCK_ERR_UNREACHABLE);
    check_run(engine, "return 7", NULL, "7");
    vlock_close(engine);
    assert_null(vlock_open(&(struct vlock_options){.url = "nonsense:s3cret"}, &error));
    assert_int_equal(error.code, VLOCK_ERR_USAGE);
    assert_non_null(strstr(error.message, "bad URL"));
    assert_null(strstr(error.message, "s3cret"));
}

static void engines_live_side_by_side(void **state)
{
    (void)state;
    vlock_engine *one = open_engine(), *other = open_engine();
    check_run(one, "shared = 1 return redis.call('SET', 'k', 'one')", NULL, "+OK");
    check_run(other, "return {redis.call('EXISTS', 'k'), tostring(_G.shared)}", NULL,
              "[0,\"nil\"]");
    check_run(one, "return {redis.call('GET', 'k'), shared}", NULL, "[\"one\",1]");
    vlock_close(one);
    check_run(other, "return redis.call('PING')", NULL, "+PONG");
    vlock_close(other);
}

static vlock_engine *interrupted_engine;

static void on_alarm(int number)
{
    (void)number;
    vlock_interrupt(interrupted_engine, "enough");
}

static void interrupt_soon(vlock_engine *engine)
{
    interrupted_engine = engine;
    signal(SIGALRM, on_alarm);
    struct itimerval timer = {.it_value = {.tv_usec = 50000}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* run_on() returns when the interrupt has come, and before code is stopped by force. */
#define RUNS_ON                                                                                    \
    "local function run_on() local start = os.clock() "                                            \
    "while os.clock() < start + 0.06 do end end local function endless() while true do end end "   \
    "local function last(f) return setmetatable({}, {__close = f}) end "

static void an_interrupt_ends_what_sleeps_and_what_runs(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "vlock.sleep(100)",
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        RUNS_ON "local f = coroutine.wrap(endless) run_on() f()",
        RUNS_ON "local f = coroutine.wrap(run_on) f() endless()",
        RUNS_ON "local f = coroutine.wrap(function() run_on() coroutine.yield() end) f() endless()",
        RUNS_ON "local co = coroutine.create(function() local x <close> = last(endless) "
                "coroutine.yield() end) coroutine.resume(co) coroutine.close(co)",
        RUNS_ON "vlock.spawn(function() local x <close> = last(endless) vlock.sleep(9) end) "
                "vlock.sleep(0) endless()",
        "redis.connect():call('BLPOP', 'q', 0)"};
    vlock_engine *engine = open_engine();
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        interrupt_soon(engine);
        assert_int_equal(check_failure(engine, sources[i], "enough"), VLOCK_ERR_INTERRUPTED);
        assert_false(vlock_is_stuck(engine));
        check_run(engine, "return redis.call('PING')", NULL, "+PONG");
    }
    vlock_close(engine);
}

/* Each would give the code that runs more time, if the time began anew. */
static void interrupts_that_come_again_and_again_end_it_too(void **state)
{
    (void)state;
    struct itimerval timer = {.it_value = {.tv_usec = 2000}, .it_interval = {.tv_usec = 2000}};
    vlock_engine *engine = interrupted_engine = open_engine();
    signal(SIGALRM, on_alarm);
    setitimer(ITIMER_REAL, &timer, NULL);
    assert_int_equal(check_failure(engine, "while true do end", "enough"), VLOCK_ERR_INTERRUPTED);
    timer = (struct itimerval){.it_value = {0}};
    setitimer(ITIMER_REAL, &timer, NULL);
    vlock_close(engine);
}

/* ---- a signal that comes while an engine is closed ---- */

#define PIPES 16

static vlock_engine *closing_engine;
static int pipes[PIPES][2];

struct vlock_timers;
void __real_vlock_timers_free(struct vlock_timers *timers);
void __wrap_vlock_timers_free(struct vlock_timers *timers);

/* Comes when a scheduler has just closed its descriptors. */
void __wrap_vlock_timers_free(struct vlock_timers *timers)
{
    __real_vlock_timers_free(timers);
    if (!closing_engine)
        return;
    for (int i = 0; i < PIPES; i++)
        assert_int_equal(pipe(pipes[i]), 0); /* these have their numbers now */
    vlock_interrupt(closing_engine, "too late");
    assert_false(vlock_has_turned(closing_engine));
    assert_false(vlock_is_stuck(closing_engine));
}

static void an_interrupt_while_it_is_closed_writes_nowhere(void **state)
{
    (void)state;
    vlock_engine *engine = closing_engine = open_engine();
    pipes[0][0] = -1;
    vlock_close(engine);
    closing_engine = NULL;
    assert_int_not_equal(pipes[0][0], -1);
    for (int i = 0; i < PIPES; i++) {
        struct pollfd ready = {.fd = pipes[i][0], .events = POLLIN};
        assert_int_equal(poll(&ready, 1, 0), 0);
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
}

static void what_is_ended_with_an_endless_task_closes_its_variables(void **state)
{
    (void)state;
    vlock_engine *engine = open_engine();
    interrupt_soon(engine);
    assert_int_equal(check_failure(engine,
                                   RUNS_ON "closed = 0 for _ = 1, 3 do vlock.spawn(function() "
                                           "local x <close> = last(function() for i = 1, 200 do "
                                           "closed = closed + 1 end end) vlock.sleep(9) end) end "
                                           "vlock.sleep(0) endless()",
                                   "enough"),
                     VLOCK_ERR_INTERRUPTED);
    check_run(engine, "return closed", NULL, "600");
    vlock_close(engine);
}

/* What held a lock, had begun a batch or stood inside of MULTI when its run was cut. */
static void a_run_that_was_cut_leaves_nothing_behind(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "vlock.spawn(vlock.update, 'a', add, {store = 'watch'}) vlock.sleep(0)",
        ("vlock.spawn(vlock.update, 'a', add, {store = 'watch'}) "
         "for i = 1, 3 do redis.call('PING') end"),
        "vlock.spawn(vlock.update, 'a', add, {combine = true})",
        "vlock.spawn(vlock.update, 'a', add, {combine = true}) vlock.sleep(0)",
        "vlock.spawn(vlock.update, 'a', add, {combine = true}) redis.call('PING')",
        "vlock.spawn(require, 'slow') vlock.sleep(0)",
    };
    static const char again[] = "local options = {{store = 'watch'}, {combine = true}, {}} "
                                "for _, one in ipairs(options) do assert(vlock.update('a', add, "
                                "one)) end return {require('slow'), add(1)}";
    vlock_engine *engine = open_engine();
    check_run(engine,
              "function add(v) return (tonumber(v) or 0) + 1 end package.preload.slow = function() "
              "vlock.sleep(0.05) return 'loaded' end "
              "return redis.call('PING')",
              NULL, "+PONG");
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        char source[256];
        snprintf(source, sizeof source, "%s error('cut')", sources[i]);
        assert_int_equal(check_failure(engine, source, "cut"), VLOCK_ERR_SCRIPT);
        check_run(engine, again, NULL, "[\"loaded\",2]");
        check_run(engine, "package.loaded.slow = nil", NULL, "nil");
    }
    vlock_close(engine);
}

static void run_again(void *user, const struct vlock_reply *reply)
{
    (void)reply;
    struct vlock_error error;
    assert_int_equal(vlock_run_string(user, "return 1", 8, "=inner", NULL, NULL, NULL, &error), 0);
}

static void a_callback_may_start_the_next_run(void **state)
{
    (void)state;
    struct vlock_error error;
    vlock_engine *engine = open_engine();
    assert_int_equal(
        vlock_run_string(engine, "return 1", 8, "=outer", NULL, run_again, engine, &error), 0);
    vlock_close(engine);
}

static enum vlock_decision append_x(void *user, struct vlock_update *update)
{
    char *text = user;
    if (update->present_size > 8)
        return update->present_size == 9    ? VLOCK_LEAVE
               : update->present_size == 10 ? VLOCK_DELETE
                                            : VLOCK_ABORT;
    memcpy(text, update->present ? update->present : "", update->present_size);
    text[update->present_size] = 'x';
    update->value = text;
    update->size = update->present_size + 1;
    return VLOCK_WRITE;
}

static void cells_are_read_and_written_with_any_bytes(void **state)
{
    (void)state;
    vlock_engine *engine = open_engine();
    struct vlock_error error = {.message = ""};
    struct vlock_state now, theirs;
    static const char key[] = "k\0y", bytes[] = "a\0b";
    assert_int_equal(vlock_get(engine, key, 3, NULL, &now, &error), 0);
    assert_null(now.value);
    assert_int_equal(now.version, 0);
    vlock_state_clear(&now);

    assert_int_equal(vlock_compare_and_set(engine, key, 3, bytes, 3, NULL, NULL, &now, &error),
                     VLOCK_COMMITTED);
    assert_int_equal(now.version, 1);
    assert_int_equal(vlock_compare_and_set(engine, key, 3, "z", 1, NULL, NULL, &theirs, &error),
                     VLOCK_CONFLICT);
    assert_int_equal(theirs.size, 3);
    assert_memory_equal(theirs.value, bytes, 3);
    assert_string_equal(theirs.stamp, now.stamp);
    vlock_state_clear(&theirs);
    assert_int_equal(vlock_compare_and_set(engine, key, 3, NULL, 0, &now, NULL, &theirs, &error),
                     VLOCK_COMMITTED);
    assert_null(theirs.value);
    assert_int_equal(theirs.version, 2);
    vlock_state_clear(&now);
    vlock_state_clear(&theirs);
    vlock_close(engine);
}

static void updates_ask_the_callback_and_tell_the_outcome(void **state)
{
    (void)state;
    vlock_engine *engine = open_engine();
    struct vlock_error error = {.message = ""};
    struct vlock_state now;
    char text[32];
    struct vlock_cell_options options = {.retry = "attempts", .backoff = "none", .expire = 50};
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(vlock_update(engine, "k", 1, append_x, text, &options, &now, &error),
                         VLOCK_COMMITTED);
        assert_int_equal(now.version, i);
        assert_int_equal(now.size, i);
        vlock_state_clear(&now);
    }
    check_run(engine, "return redis.call('GET', 'k')", NULL, "\"xxx\"");
    check_run(engine, "return redis.call('TTL', '{k}:v') > 40", NULL, "1");
    check_run(engine, "redis.call('SET', 'k', '123456789')", NULL, "nil");
    assert_int_equal(vlock_update(engine, "left", 4, append_x, text, NULL, NULL, &error),
                     VLOCK_COMMITTED);
    check_run(engine, "redis.call('SET', 'left', '123456789')", NULL, "nil");
    check_run(engine, "redis.call('SET', 'gone', '1234567890')", NULL, "nil");
    check_run(engine, "redis.call('SET', 'ab', '12345678901')", NULL, "nil");
    assert_int_equal(vlock_update(engine, "gone", 4, append_x, text, NULL, &now, &error),
                     VLOCK_COMMITTED);
    assert_null(now.value);
    assert_int_equal(now.version, 1);
    vlock_state_clear(&now);
    check_run(engine, "return redis.call('EXISTS', 'gone')", NULL, "0");
    assert_int_equal(vlock_update(engine, "ab", 2, append_x, text, NULL, NULL, &error),
                     VLOCK_FAILED);
    assert_string_equal(error.message, "the callback aborted the update");
    assert_int_equal(error.code, VLOCK_ERR_GAVE_UP);
    check_run(engine, "redis.call('RPUSH', 'list', 'x')", NULL, "nil");
    assert_int_equal(vlock_update(engine, "list", 4, append_x, text, NULL, NULL, &error),
                     VLOCK_FAILED);
    assert_non_null(strstr(error.message, "WRONGTYPE"));
    assert_null(strstr(error.message, "traceback"));
    assert_int_equal(error.code, VLOCK_ERR_REPLY);
    const double senseless[] = {-1, NAN, 1e300};
    for (size_t i = 0; i < sizeof senseless / sizeof *senseless; i++) {
        struct vlock_cell_options with_ttl = {.ttl = senseless[i]},
                                  with_expire = {.expire = senseless[i]},
                                  with_deadline = {.deadline = senseless[i]};
        assert_int_equal(vlock_update(engine, "k", 1, append_x, text, &with_ttl, NULL, &error),
                         VLOCK_FAILED);
        assert_int_equal(error.code, VLOCK_ERR_USAGE);
        assert_int_equal(vlock_update(engine, "k", 1, append_x, text, &with_expire, NULL, &error),
                         VLOCK_FAILED);
        assert_int_equal(vlock_update(engine, "k", 1, append_x, text, &with_deadline, NULL, &error),
                         VLOCK_FAILED);
    }
    struct vlock_cell_options part_of_a_second = {.expire = 0.3};
    assert_int_equal(vlock_update(engine, "k", 1, append_x, text, &part_of_a_second, NULL, &error),
                     VLOCK_FAILED);
    assert_non_null(strstr(error.message, "a whole number of seconds"));
    options.backoff = "ful_jitter";
    assert_int_equal(vlock_update(engine, "k", 1, append_x, text, &options, NULL, &error),
                     VLOCK_FAILED);
    assert_non_null(strstr(error.message, "did you mean 'full_jitter'?"));
    assert_int_equal(error.code, VLOCK_ERR_USAGE);
    check_run(engine, "return vlock.compare_and_set('c', 'x', 0)", NULL, "1");
    struct vlock_cell_options whole = {.policy = "forever"},
                              both = {.policy = "forever", .merge = "counter"};
    assert_int_equal(vlock_update(engine, "k2", 2, append_x, text, &whole, NULL, &error),
                     VLOCK_COMMITTED);
    assert_int_equal(vlock_update(engine, "k2", 2, append_x, text, &both, NULL, &error),
                     VLOCK_FAILED);
    assert_non_null(strstr(error.message, "it excludes 'merge'"));
    whole.policy = "nosuch.lua";
    assert_int_equal(vlock_update(engine, "k2", 2, append_x, text, &whole, NULL, &error),
                     VLOCK_FAILED);
    assert_non_null(strstr(error.message, "cannot read nosuch.lua"));
    struct vlock_cell_options bad = {.store = "plan"};
    assert_int_equal(vlock_get(engine, "k", 1, &bad, &now, &error), -1);
    assert_non_null(strstr(error.message, "did you mean 'plain'?"));
    vlock_close(engine);
}

/* Files are Lua code as well, and may loop before they have returned anything. */
static void an_interrupt_ends_a_policy_or_store_that_loops_while_it_is_loaded(void **state)
{
    (void)state;
    static const char source[] = "while true do pcall(function() while true do end end) end";
    char path[] = "/tmp/vlock-test-XXXXXX.lua", text[64] = "", now[64] = "";
    int fd = mkstemps(path, 4);
    assert_int_equal(write(fd, source, strlen(source)), (ssize_t)strlen(source));
    close(fd);
    const struct vlock_cell_options endless[] = {{.policy = path}, {.store = path}};
    vlock_engine *engine = open_engine();
    for (size_t i = 0; i < 2; i++) {
        struct vlock_error error = {.message = ""};
        interrupt_soon(engine);
        assert_int_equal(vlock_update(engine, "k", 1, append_x, text, &endless[i], NULL, &error),
                         VLOCK_FAILED);
        assert_int_equal(error.code, VLOCK_ERR_INTERRUPTED);
        assert_non_null(strstr(error.message, "enough"));
    }
    check_run(engine, "return redis.call('EXISTS', 'k')", NULL, "0");
    assert_int_equal(vlock_update(engine, "k", 1, append_x, now, NULL, NULL, NULL),
                     VLOCK_COMMITTED);
    vlock_close(engine);
    unlink(path);
}

static void a_run_can_be_stepped(void **state)
{
    (void)state;
    vlock_engine *engine = open_engine();
    struct vlock_error error = {.message = ""};
    char text[256] = "";
    static const char source[] = "vlock.sleep(0.02) return redis.call('INCR', 'n')";
    int fd = vlock_descriptor(engine), result, steps = 0;
    assert_true(fd >= 0);
    assert_int_equal(vlock_step(engine, &error), 0);
    assert_int_equal(
        vlock_start(engine, source, strlen(source), "=test", NULL, write_reply, text, &error), 0);
    assert_int_equal(vlock_start(engine, source, strlen(source), "=test", NULL, NULL, NULL, &error),
                     -1);
    assert_int_equal(error.code, VLOCK_ERR_USAGE);
    while ((result = vlock_step(engine, &error)) == 1 && ++steps < 1000) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        assert_true(poll(&ready, 1, 5000) == 1);
    }
    assert_int_equal(result, 0);
    assert_string_equal(text, "1");
    assert_true(steps < 50);
    vlock_close(engine);
}

static char logged[256];

static void keep_log(void *user, enum vlock_log_level level, const char *message)
{
    snprintf(logged, sizeof logged, "%s %d %s", (char *)user, (int)level, message);
}

static void log_lines_reach_the_host(void **state)
{
    (void)state;
    struct vlock_error error;
    vlock_engine *engine =
        vlock_open(&(struct vlock_options){.log = keep_log, .log_user = "user"}, &error);
    check_run(engine, "redis.log(redis.LOG_WARNING, 'a', 5, 'b')", NULL, "nil");
    assert_string_equal(logged, "user 3 a 5 b");
    vlock_close(engine);
}

/* By stamp or by number, in the engine that read it or another one. */
static void a_value_that_is_over_is_a_conflict_for_who_read_it(void **state)
{
    (void)state;
    struct vlock_error error = {.message = ""};
    vlock_engine *engine = open_engine();
    const struct vlock_cell_options options = {.ttl = 0.04};
    for (int by_number = 0; by_number < 2; by_number++) {
        struct vlock_state base = {0}, read, now;
        check_run(engine, "redis.call('FLUSHALL')", NULL, "nil");
        assert_int_equal(
            vlock_compare_and_set(engine, "k", 1, "v", 1, NULL, &options, NULL, &error),
            VLOCK_COMMITTED);
        assert_int_equal(vlock_get(engine, "k", 1, NULL, &read, &error), 0);
        base.version = read.version;
        base.value = read.value;
        base.stamp = by_number ? NULL : read.stamp;
        usleep(60000);
        assert_int_equal(vlock_compare_and_set(engine, "k", 1, "w", 1, &base, NULL, &now, &error),
                         VLOCK_CONFLICT);
        assert_null(now.value);
        vlock_state_clear(&read);
        read = now;
        assert_int_equal(vlock_compare_and_set(engine, "k", 1, "w", 1, &read, NULL, NULL, &error),
                         VLOCK_COMMITTED);
        vlock_state_clear(&read);
    }
    vlock_close(engine);
}

static enum vlock_decision write_after_another(void *user, struct vlock_update *update)
{
    check_run(user, "vlock.compare_and_set('k', 'theirs', (select(2, vlock.get('k'))))", NULL,
              "nil");
    update->value = "mine";
    update->size = 4;
    return VLOCK_WRITE;
}

/* What the update function never saw: a merge of the policy made it, as a number of Lua. */
static void a_value_that_a_merge_made_is_told_as_it_stands_there(void **state)
{
    (void)state;
    char path[] = "/tmp/vlock-merge-XXXXXX.lua", url[256] = "";
    int file = mkstemps(path, 4);
    assert_true(file >= 0);
    dprintf(file, "local made = { 2.0, 0.1, 1e300, 2^53, 7, '0.10' }\n"
                  "return { merge = function() made.n = (made.n or 0) + 1 return made[made.n] end, "
                  "backoff = 'none' }\n");
    close(file);
    vlock_engine *other = open_engine();
    struct vlock_error error = {.message = ""};
    static const char where[] = "return redis.private_server()";
    assert_int_equal(
        vlock_run_string(other, where, sizeof where - 1, "=where", NULL, write_reply, url, &error),
        0);
    url[strlen(url) - 1] = '\0'; /* its quotes */
    vlock_engine *engine = vlock_open(&(struct vlock_options){.url = url + 1}, &error);
    assert_non_null(engine);

    static const char *const expected[] = {"2", "0.1", "1e+300", "9007199254740992", "7", "0.10"};
    const struct vlock_cell_options options = {.policy = path};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        struct vlock_state now;
        char quoted[32];
        snprintf(quoted, sizeof quoted, "\"%s\"", expected[i]);
        assert_int_equal(
            vlock_update(engine, "k", 1, write_after_another, other, &options, &now, &error),
            VLOCK_COMMITTED);
        assert_int_equal(now.size, strlen(expected[i]));
        assert_memory_equal(now.value, expected[i], now.size);
        vlock_state_clear(&now);
        check_run(engine, "return redis.call('GET', 'k')", NULL, quoted);
    }
    vlock_close(engine);
    vlock_close(other);
    unlink(path);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(results_arrive_converted_as_redis_converts_them),
    cmocka_unit_test(keys_and_arguments_are_the_scripts),
    cmocka_unit_test(errors_are_codes_with_messages_and_leave_the_engine_usable),
    cmocka_unit_test(a_server_that_cannot_be_reached_is_told_apart),
    cmocka_unit_test(engines_live_side_by_side),
    cmocka_unit_test(an_interrupt_ends_what_sleeps_and_what_runs),
    cmocka_unit_test(interrupts_that_come_again_and_again_end_it_too),
    cmocka_unit_test(an_interrupt_while_it_is_closed_writes_nowhere),
    cmocka_unit_test(what_is_ended_with_an_endless_task_closes_its_variables),
    cmocka_unit_test(a_run_that_was_cut_leaves_nothing_behind),
    cmocka_unit_test(a_callback_may_start_the_next_run),
    cmocka_unit_test(cells_are_read_and_written_with_any_bytes),
    cmocka_unit_test(updates_ask_the_callback_and_tell_the_outcome),
    cmocka_unit_test(an_interrupt_ends_a_policy_or_store_that_loops_while_it_is_loaded),
    cmocka_unit_test(a_run_can_be_stepped),
    cmocka_unit_test(log_lines_reach_the_host),
    cmocka_unit_test(a_value_that_is_over_is_a_conflict_for_who_read_it),
    cmocka_unit_test(a_value_that_a_merge_made_is_told_as_it_stands_there),
};
RUN_TESTS(tests)
