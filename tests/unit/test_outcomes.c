/* Every way in which a write can end, and the outcome that is told of it: the table below. What was
 * sent and not answered is never "not applied", and what was applied is never an error. */
#include "check.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "reply_proxy.h"
#include "vlock.h"

static vlock_engine *control; /* it owns the server, and looks at what stands there */
static vlock_engine *engine;  /* its connections go through the proxy */
static char folder[64];
static char log_text[512];
static int proxy_port;

/* ---- how a write is begun ---- */

enum verb { COMPARE_AND_SET, UPDATE, DELETION };

/* What happens to it. */
enum end {
    REPLIED,
    CUT,      /* every copy of it, until its deadline */
    CUT_ONCE, /* its first copy */
    CUT_AND_INTERRUPTED,
    TIMED_OUT, /* as CUT */
    TIMED_OUT_ONCE,
    INTERRUPTED,
    LOOPING, /* interrupted while its callback runs */
    CLOSED_PORT,
    REFUSED,
    CONFLICTING, /* somebody else writes between its read and its commit, once */
    CONTENDED,   /* and again, every time */
    ABORTED,
};

/* When. */
enum moment { NOTHING_SENT, READING, COMMITTING, DECIDED };

struct write {
    const char *name;
    enum verb verb;
    enum end end;
    enum moment moment;
    const char *policy; /* the text of its file */
    const char *store;  /* a name, or the text of its file; NULL: plain */
    enum vlock_outcome outcome;
    bool is_applied;
    enum vlock_code code; /* VLOCK_OK: the error is left as it is */
    const char *logged;   /* is in the log; NULL: nothing is */
};

static const char last_resort[] = "return { retry = function() return false, 'no more' end }";

/* The word in the request that a commit is, for each store. */
static const char *commit_word(const struct write *write)
{
    return write->store && strcmp(write->store, "watch") == 0 ? "EXEC" : "EVALSHA";
}

static const char *read_word(const struct write *write)
{
    return write->store && strcmp(write->store, "watch") == 0 ? "WATCH" : "EVALSHA";
}

/* ---- the table ---- */

#define OWN_STORE(commit_end, more)                                                                \
    "local plain = dofile('lua/store/plain.lua') "                                                 \
    "return { read = plain.read, version = plain.version, commit = function(...) local a, b, c = " \
    "plain.commit(...) " commit_end " return a, b, c end" more " }"

static const struct write table[] = {
    {"the reply came", COMPARE_AND_SET, REPLIED, DECIDED, NULL, NULL, VLOCK_COMMITTED, true,
     VLOCK_OK, NULL},
    {"the reply came", UPDATE, REPLIED, DECIDED, NULL, NULL, VLOCK_COMMITTED, true, VLOCK_OK, NULL},
    {"the reply came", DELETION, REPLIED, DECIDED, NULL, NULL, VLOCK_COMMITTED, true, VLOCK_OK,
     NULL},
    {"the reply came", UPDATE, REPLIED, DECIDED, NULL, "watch", VLOCK_COMMITTED, true, VLOCK_OK,
     NULL},

    {"cut while it committed", COMPARE_AND_SET, CUT_ONCE, COMMITTING, NULL, NULL, VLOCK_COMMITTED,
     true, VLOCK_OK, NULL},
    {"cut until its deadline", COMPARE_AND_SET, CUT, COMMITTING, NULL, NULL, VLOCK_UNKNOWN, true,
     VLOCK_ERR_AMBIGUOUS, NULL},
    {"cut, and interrupted while it was sent again", COMPARE_AND_SET, CUT_AND_INTERRUPTED,
     COMMITTING, NULL, NULL, VLOCK_UNKNOWN, true, VLOCK_ERR_AMBIGUOUS, NULL},
    {"cut while it committed", UPDATE, CUT_ONCE, COMMITTING, NULL, NULL, VLOCK_COMMITTED, true,
     VLOCK_OK, NULL},
    {"cut until its deadline", UPDATE, CUT, COMMITTING, NULL, NULL, VLOCK_UNKNOWN, true,
     VLOCK_ERR_AMBIGUOUS, NULL},
    {"cut, and interrupted while it was sent again", UPDATE, CUT_AND_INTERRUPTED, COMMITTING, NULL,
     NULL, VLOCK_UNKNOWN, true, VLOCK_ERR_AMBIGUOUS, NULL},
    {"cut while it committed", DELETION, CUT_ONCE, COMMITTING, NULL, NULL, VLOCK_COMMITTED, true,
     VLOCK_OK, NULL},
    {"cut until its deadline", DELETION, CUT, COMMITTING, NULL, NULL, VLOCK_UNKNOWN, true,
     VLOCK_ERR_AMBIGUOUS, NULL},
    {"cut, and interrupted while it was sent again", DELETION, CUT_AND_INTERRUPTED, COMMITTING,
     NULL, NULL, VLOCK_UNKNOWN, true, VLOCK_ERR_AMBIGUOUS, NULL},
    {"cut while it committed", UPDATE, CUT, COMMITTING, NULL, "watch", VLOCK_UNKNOWN, true,
     VLOCK_ERR_AMBIGUOUS, NULL},
    {"timed out while it committed", COMPARE_AND_SET, TIMED_OUT_ONCE, COMMITTING, NULL, NULL,
     VLOCK_COMMITTED, true, VLOCK_OK, NULL},
    {"timed out while it committed", UPDATE, TIMED_OUT_ONCE, COMMITTING, NULL, NULL,
     VLOCK_COMMITTED, true, VLOCK_OK, NULL},
    {"timed out until its deadline", COMPARE_AND_SET, TIMED_OUT, COMMITTING, NULL, NULL,
     VLOCK_UNKNOWN, true, VLOCK_ERR_AMBIGUOUS, NULL},
    {"timed out until its deadline", UPDATE, TIMED_OUT, COMMITTING, NULL, NULL, VLOCK_UNKNOWN, true,
     VLOCK_ERR_AMBIGUOUS, NULL},
    {"timed out while it committed", UPDATE, TIMED_OUT, COMMITTING, NULL, "watch", VLOCK_UNKNOWN,
     true, VLOCK_ERR_AMBIGUOUS, NULL},
    {"interrupted while it committed", COMPARE_AND_SET, INTERRUPTED, COMMITTING, NULL, NULL,
     VLOCK_UNKNOWN, true, VLOCK_ERR_AMBIGUOUS, NULL},
    {"interrupted while it committed", UPDATE, INTERRUPTED, COMMITTING, NULL, NULL, VLOCK_UNKNOWN,
     true, VLOCK_ERR_AMBIGUOUS, NULL},
    {"interrupted while it committed", DELETION, INTERRUPTED, COMMITTING, NULL, NULL, VLOCK_UNKNOWN,
     true, VLOCK_ERR_AMBIGUOUS, NULL},
    {"interrupted while it committed", UPDATE, INTERRUPTED, COMMITTING, NULL, "watch",
     VLOCK_UNKNOWN, true, VLOCK_ERR_AMBIGUOUS, NULL},

    {"interrupted while it read", UPDATE, INTERRUPTED, READING, NULL, NULL, VLOCK_FAILED, false,
     VLOCK_ERR_INTERRUPTED, NULL},
    {"interrupted while it read", UPDATE, INTERRUPTED, READING, NULL, "watch", VLOCK_FAILED, false,
     VLOCK_ERR_INTERRUPTED, NULL},
    {"timed out while it read", UPDATE, TIMED_OUT, READING, NULL, NULL, VLOCK_GAVE_UP, false,
     VLOCK_ERR_GAVE_UP, NULL},
    {"interrupted while its callback ran", UPDATE, LOOPING, READING, NULL, NULL, VLOCK_FAILED,
     false, VLOCK_ERR_INTERRUPTED, NULL},
    {"the server is not there", UPDATE, CLOSED_PORT, NOTHING_SENT, NULL, NULL, VLOCK_FAILED, false,
     VLOCK_ERR_UNREACHABLE, NULL},
    {"the server is not there", COMPARE_AND_SET, CLOSED_PORT, NOTHING_SENT, NULL, NULL,
     VLOCK_FAILED, false, VLOCK_ERR_UNREACHABLE, NULL},

    {"refused", COMPARE_AND_SET, REFUSED, DECIDED, NULL, NULL, VLOCK_FAILED, false, VLOCK_ERR_REPLY,
     NULL},
    {"refused", UPDATE, REFUSED, DECIDED, NULL, NULL, VLOCK_FAILED, false, VLOCK_ERR_REPLY, NULL},
    {"refused", UPDATE, REFUSED, DECIDED, NULL, "watch", VLOCK_FAILED, false, VLOCK_ERR_REPLY,
     NULL},

    {"a conflict", COMPARE_AND_SET, CONFLICTING, DECIDED, NULL, NULL, VLOCK_CONFLICT, false,
     VLOCK_OK, NULL},
    {"a conflict, and again", UPDATE, CONFLICTING, DECIDED, NULL, NULL, VLOCK_COMMITTED, true,
     VLOCK_OK, NULL},
    {"a conflict, and again", UPDATE, CONFLICTING, DECIDED, NULL, "watch", VLOCK_COMMITTED, true,
     VLOCK_OK, NULL},
    {"the policy gives up", UPDATE, CONFLICTING, DECIDED, last_resort, NULL, VLOCK_GAVE_UP, false,
     VLOCK_ERR_GAVE_UP, NULL},
    {"the deadline passes", UPDATE, CONTENDED, DECIDED,
     "return { retry = { 'deadline', max = '30ms' } }", NULL, VLOCK_GAVE_UP, false,
     VLOCK_ERR_GAVE_UP, NULL},
    {"the callback aborts", UPDATE, ABORTED, READING, NULL, NULL, VLOCK_FAILED, false,
     VLOCK_ERR_GAVE_UP, NULL},

    {"retry raises", UPDATE, CONFLICTING, DECIDED, "return { retry = function() error('oh') end }",
     NULL, VLOCK_FAILED, false, VLOCK_ERR_SCRIPT, NULL},
    {"backoff raises", UPDATE, CONFLICTING, DECIDED,
     "return { backoff = function() error('oh') end }", NULL, VLOCK_FAILED, false, VLOCK_ERR_SCRIPT,
     NULL},
    {"merge raises", UPDATE, CONFLICTING, DECIDED, "return { merge = function() error('oh') end }",
     NULL, VLOCK_FAILED, false, VLOCK_ERR_SCRIPT, NULL},
    {"on_conflict raises", UPDATE, CONFLICTING, DECIDED,
     "return { backoff = 'none', on_conflict = function() error('oh') end }", NULL, VLOCK_COMMITTED,
     true, VLOCK_OK, "on_conflict raised: "},
    {"on_commit raises", UPDATE, CONFLICTING, DECIDED,
     "return { backoff = 'none', on_commit = function() error('oh') end }", NULL, VLOCK_COMMITTED,
     true, VLOCK_OK, "on_commit raised: "},
    {"on_give_up raises", UPDATE, CONFLICTING, DECIDED,
     "return { retry = function() return false, 'no more' end, on_give_up = function() error('oh') "
     "end }",
     NULL, VLOCK_GAVE_UP, false, VLOCK_ERR_GAVE_UP, "on_give_up raised: "},
    {"a task of on_commit fails", UPDATE, CONFLICTING, DECIDED,
     "return { backoff = 'none', on_commit = function() vlock.spawn(function() error('oh') end) "
     "end }",
     NULL, VLOCK_COMMITTED, true, VLOCK_OK, NULL},
    {"interrupted in on_commit", UPDATE, CONFLICTING, DECIDED,
     "return { backoff = 'none', on_commit = function() vlock.sleep(100) end }", NULL,
     VLOCK_COMMITTED, true, VLOCK_OK, NULL},
    {"__close raises in on_commit", UPDATE, CONFLICTING, DECIDED,
     "return { backoff = 'none', on_commit = function() local x <close> = setmetatable({}, { "
     "__close = function() error('oh') end }) end }",
     NULL, VLOCK_COMMITTED, true, VLOCK_OK, "on_commit raised: "},

    {"the store's version raises", UPDATE, REPLIED, DECIDED, NULL,
     "local plain, calls = dofile('lua/store/plain.lua'), 0 return { read = plain.read, commit = "
     "plain.commit, "
     "version = function(stamp) calls = calls + 1 if calls > 1 then error('oh') end return "
     "plain.version(stamp) end }",
     VLOCK_COMMITTED, true, VLOCK_OK, "version of the store"},
    {"the store raises after the reply", UPDATE, REPLIED, DECIDED, NULL,
     OWN_STORE("error('oh')", ""), VLOCK_UNKNOWN, true, VLOCK_ERR_AMBIGUOUS, NULL},
    {"the store raises after the reply", COMPARE_AND_SET, REPLIED, DECIDED, NULL,
     OWN_STORE("error('oh')", ""), VLOCK_UNKNOWN, true, VLOCK_ERR_AMBIGUOUS, NULL},
    {"the store says nothing", UPDATE, REPLIED, DECIDED, NULL, OWN_STORE("a = nil", ""),
     VLOCK_UNKNOWN, true, VLOCK_ERR_AMBIGUOUS, NULL},
    {"the store loops after the reply", UPDATE, LOOPING, DECIDED, NULL,
     OWN_STORE("while true do end", ""), VLOCK_UNKNOWN, true, VLOCK_ERR_AMBIGUOUS, NULL},
    {"the store sleeps after the reply", UPDATE, INTERRUPTED, DECIDED, NULL,
     OWN_STORE("vlock.sleep(100)", ""), VLOCK_UNKNOWN, true, VLOCK_ERR_AMBIGUOUS, NULL},
    {"the store raises before it sends", UPDATE, REPLIED, NOTHING_SENT, NULL,
     "local plain = dofile('lua/store/plain.lua') return { read = plain.read, version = "
     "plain.version, commit = function() error('oh') end }",
     VLOCK_FAILED, false, VLOCK_ERR_SCRIPT, NULL},
};

/* ---- running it ---- */

static void run_script(vlock_engine *one, const char *source, vlock_reply_callback *callback,
                       void *user)
{
    struct vlock_error error = {.message = ""};
    if (vlock_run_string(one, source, strlen(source), "=test", NULL, callback, user, &error) != 0)
        fail_msg("%s: %s", source, error.message);
}

static void on_alarm(int number)
{
    (void)number;
    vlock_interrupt(engine, "enough");
}

/* VLOCK_TEST_SLOWNESS: how many times as long everything takes here, as under valgrind. */
static int slowness(void)
{
    const char *text = getenv("VLOCK_TEST_SLOWNESS");
    return text ? atoi(text) : 1;
}

static void interrupt_soon(void)
{
    long us = 60000L * slowness();
    signal(SIGALRM, on_alarm);
    setitimer(ITIMER_REAL,
              &(struct itimerval){.it_value = {.tv_sec = us / 1000000, .tv_usec = us % 1000000}},
              NULL);
}

static bool is_interrupted(const struct write *write)
{
    return write->end == INTERRUPTED || write->end == LOOPING ||
           write->end == CUT_AND_INTERRUPTED ||
           strcmp(write->name, "interrupted in on_commit") == 0;
}

static enum reply_proxy_mode fault_of(enum end end)
{
    switch (end) {
    case CUT:
    case CUT_AND_INTERRUPTED:
        return PROXY_CUTS;
    case CUT_ONCE:
        return PROXY_CUTS_ONCE;
    case TIMED_OUT_ONCE:
        return PROXY_HOLDS_ONCE;
    case INTERRUPTED:
    case TIMED_OUT:
        return PROXY_HOLDS;
    default:
        return PROXY_PASSES;
    }
}

/* Seconds in which a write has to end; 0: as the policy says. */
static double deadline_of(enum end end)
{
    return end == CONTENDED ? 0 : end == CUT || end == TIMED_OUT ? 0.1 : 5;
}

/* Brings the fault about: just before the request that it befalls. */
static void strike(const struct write *write, const char *word)
{
    if (is_interrupted(write))
        interrupt_soon();
    if (write->moment == READING || write->moment == COMMITTING)
        reply_proxy_set(fault_of(write->end), word);
    else if (write->end == REFUSED)
        run_script(control, "redis.call('CONFIG', 'SET', 'maxmemory', '1')", NULL, NULL);
    else if (write->end == CONFLICTING || write->end == CONTENDED)
        run_script(control,
                   "local v = redis.call('INCR', 'others') vlock.update('k', function() return "
                   "'theirs' .. v end)",
                   NULL, NULL);
}

struct computing {
    const struct write *write;
    int calls;
};

static enum vlock_decision compute(void *user, struct vlock_update *update)
{
    struct computing *computing = user;
    const struct write *write = computing->write;
    computing->calls++;
    if (write->end == ABORTED)
        return VLOCK_ABORT;
    if (write->end == LOOPING && write->moment == READING) {
        interrupt_soon();
        usleep(150000u * (unsigned)slowness());
    } else if (write->moment != READING && (computing->calls == 1 || write->end == CONTENDED)) {
        strike(write, commit_word(write));
    }
    update->value = "mine";
    update->size = 4;
    return write->verb == DELETION ? VLOCK_DELETE : VLOCK_WRITE;
}

static const char *written(const char *name, const char *text)
{
    static char paths[2][128];
    char *path = paths[strcmp(name, "store") == 0];
    snprintf(path, sizeof paths[0], "%s/%s.lua", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return path;
}

static enum vlock_outcome begin(const struct write *write, struct vlock_state *base,
                                struct vlock_error *error)
{
    struct vlock_state now = {0};
    struct vlock_cell_options options = {.deadline = deadline_of(write->end)};
    struct computing computing = {.write = write};
    enum vlock_outcome outcome;
    if (write->policy)
        options.policy = written("policy", write->policy);
    if (write->store)
        options.store = strchr(write->store, ' ') ? written("store", write->store) : write->store;
    if (write->verb == COMPARE_AND_SET) {
        strike(write, commit_word(write));
        outcome = vlock_compare_and_set(engine, "k", 1, "mine", 4, base, &options, &now, error);
    } else {
        if (write->moment == READING && write->end != LOOPING)
            strike(write, read_word(write));
        outcome = vlock_update(engine, "k", 1, compute, &computing, &options, &now, error);
    }
    if (outcome == VLOCK_COMMITTED &&
        (!now.stamp || (write->verb != DELETION && (!now.value || strcmp(now.value, "mine") != 0))))
        fail_msg("%s: committed, but the state is %s", write->name,
                 now.value ? now.value : "absent");
    vlock_state_clear(&now);
    return outcome;
}

static void keep_log(void *user, enum vlock_log_level level, const char *message)
{
    (void)user, (void)level;
    snprintf(log_text, sizeof log_text, "%s", message);
}

static void open_engine(int port)
{
    struct vlock_error error = {.message = ""};
    char url[64];
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", port);
    engine = vlock_open(
        &(struct vlock_options){.url = url, .command_timeout = 0.3 * slowness(), .log = keep_log},
        &error);
    assert_non_null(engine);
}

/* A cell that has been written once, by us; the scripts are known to the server. */
static void prepare(const struct write *write, struct vlock_state *base)
{
    struct vlock_error error = {.message = ""};
    reply_proxy_set(PROXY_PASSES, "");
    log_text[0] = '\0';
    run_script(control, "redis.call('CONFIG', 'SET', 'maxmemory', '0') redis.call('FLUSHALL')",
               NULL, NULL);
    const char *store = write->store && strcmp(write->store, "watch") == 0 ? "watch" : NULL;
    struct vlock_cell_options options = {.store = store};
    if (vlock_compare_and_set(control, "k", 1, "first", 5, NULL, &options, NULL, &error) !=
        VLOCK_COMMITTED)
        fail_msg("%s: cannot be prepared: %s", write->name, error.message);
    assert_int_equal(vlock_get(control, "k", 1, &options, base, &error), 0);
    open_engine(write->end == CLOSED_PORT ? 1 : proxy_port);
    if (write->end != CLOSED_PORT)
        run_script(engine, "redis.call('PING')", NULL, NULL);
}

static void note_whether_applied(void *user, const struct vlock_reply *reply)
{
    bool *is_applied = user;
    *is_applied = reply->type == VLOCK_REPLY_NIL ||
                  (reply->type == VLOCK_REPLY_STRING && strcmp(reply->string, "mine") == 0);
}

static bool is_applied(void)
{
    bool result = false;
    run_script(control, "vlock.sleep(0.02) return redis.call('GET', 'k') or nil",
               note_whether_applied, &result);
    return result;
}

static void check_write(const struct write *write)
{
    static const char *const verbs[] = {"compare_and_set", "update", "deletion"};
    struct vlock_state base = {0};
    struct vlock_error error = {.code = VLOCK_OK, .message = ""};
    char where[160];
    snprintf(where, sizeof where, "%s, %s%s%s", verbs[write->verb], write->name,
             write->store ? ", store " : "", write->store ? write->store : "");
    prepare(write, &base);
    enum vlock_outcome outcome = begin(write, &base, &error);
    setitimer(ITIMER_REAL, &(struct itimerval){{0}, {0}}, NULL);
    if (outcome != write->outcome)
        fail_msg("%s: outcome %d, not %d (%s)", where, outcome, write->outcome, error.message);
    if (is_applied() != write->is_applied)
        fail_msg("%s: outcome %d, and it was%s applied", where, outcome,
                 write->is_applied ? " not" : "");
    if (error.code != write->code)
        fail_msg("%s: code %d, not %d (%s)", where, error.code, write->code, error.message);
    if (write->logged ? !strstr(log_text, write->logged) : log_text[0] != '\0')
        fail_msg("%s: the log says '%s'", where, log_text);

    /* Whatever it was, the next update finds the engine as if it had not been. */
    reply_proxy_set(PROXY_PASSES, "");
    run_script(control, "redis.call('CONFIG', 'SET', 'maxmemory', '0')", NULL, NULL);
    struct write after = {.name = "the next",
                          .verb = UPDATE,
                          .end = REPLIED,
                          .moment = DECIDED,
                          .store = write->store};
    if (write->end != CLOSED_PORT && (!write->store || !strchr(write->store, ' '))) {
        outcome = begin(&after, NULL, &error);
        if (outcome != VLOCK_COMMITTED)
            fail_msg("%s: the update after it: outcome %d, %s", where, outcome, error.message);
    }
    vlock_close(engine);
    vlock_state_clear(&base);
}

static void the_outcome_is_true_whatever_happens(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        check_write(&table[i]);
}

static void copy_path(void *user, const struct vlock_reply *reply)
{
    const char *path = strstr(reply->string, "unix://");
    snprintf(user, 108, "%s", path + strlen("unix://"));
}

static int set_up(void **state)
{
    (void)state;
    struct vlock_error error = {.message = ""};
    char path[108] = "";
    snprintf(folder, sizeof folder, "/tmp/vlock-outcomes-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    control = vlock_open(&(struct vlock_options){.private_server = true}, &error);
    assert_non_null(control);
    run_script(control, "return redis.private_server()", copy_path, path);
    proxy_port = reply_proxy_start(path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    vlock_close(control);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_outcome_is_true_whatever_happens)};
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
