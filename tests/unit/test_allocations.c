/* Every allocation fails in turn, once and for good, while a program connects, updates, runs a
 * script, or has the lab report: no crash, no leak, no hang, and no outcome that is not true.
 *
 * VLOCK_ALLOCATIONS=N tries each Nth, and of the lab's thousands each 50 Nth; else it is some of
 * them, ever fewer.
 * VLOCK_SCENARIO: only those whose names hold this text. */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "allocations.h"
#include "reply_proxy.h"
#include "vlock.h"

/* Of one try: the time-outs of an engine below, some of them in a row. */
#define LONGEST_SECONDS 5.0

static vlock_engine *control; /* it owns the server, and looks at what stands there */
static char server_url[128], proxy_url[64], cluster_url[64];
static char cluster_folder[] = "/tmp/vlock-allocations.XXXXXX";
static int null_fd, stdout_fd, stderr_fd;

/* What happened in one try. */
struct try {
    vlock_engine *engine; /* NULL: it was not opened */
    struct vlock_error error;
    enum vlock_outcome outcome; /* of a write */
    int result;                 /* of a run: 0, or -1 and `error` */
    int code;                   /* of the lab: its exit code */
    int calls;                  /* of the update's callback */
    bool conflicts;
};

/* ---- what is tried ---- */

struct scenario {
    const char *name;
    int warm_ups; /* how often it is done before, on the same engine, without a failure */
    bool opens;   /* the engine is opened with failures, too */
    bool writes;  /* `outcome` is that of a write of "mine" over "first" at k */
    bool cuts;    /* the reply to the write is lost, once */
    void (*act)(struct try *try);
    bool in_cluster;
};

static vlock_engine *open_engine(const char *url, struct vlock_error *error)
{
    return vlock_open(
        &(struct vlock_options){
            .url = url, .connect_timeout = 0.3, .command_timeout = 0.5, .seed = 7},
        error);
}

static void run(struct try *try, const char *source, vlock_reply_callback *callback, void *user)
{
    try->result = vlock_run_string(try->engine, source, strlen(source), "=test", NULL, callback,
                                   user, &try->error);
}

static void must_run(const char *source, vlock_reply_callback *callback, void *user)
{
    struct try try = {.engine = control, .error = {.message = ""}};
    allocations_pause();
    run(&try, source, callback, user);
    allocations_resume();
    if (try.result != 0)
        fail_msg("%s: %s", source, try.error.message);
}

static void ping(struct try *try)
{
    run(try, "return { 1, { 2, redis.call('PING') } }", NULL, NULL);
}

/* Each of them has timers of its own. */
static void connect_often(struct try *try)
{
    run(try,
        "local own, tasks = {}, {} redis.call('PING') "
        "for i = 1, 12 do own[i] = redis.connect() tasks[i] = vlock.spawn(own[i].call, own[i], "
        "'PING') end "
        "for i = 1, 12 do tasks[i]:join() own[i]:close() end",
        NULL, NULL);
}

static void run_script(struct try *try)
{
    run(try,
        "local tasks = {} "
        "for i = 1, 8 do tasks[i] = vlock.spawn(redis.call, 'ECHO', 'e' .. i) end "
        "local all = { map = {}, { ok = 'fine' }, { double = 1.5 }, ('x'):rep(3000) } "
        "for i = 1, 8 do all[#all + 1] = tasks[i]:join() end "
        "local own <close> = redis.connect() own:call('PING') "
        "assert(all[5] == 'e2' and all[11] == 'e8') "
        "return { all, { err = 'none' }, { map = { a = 'b' } }, { set = { c = true } }, "
        "{ verbatim_string = { string = 'd', format = 'txt' } }, { big_number = '12' } }",
        NULL, NULL);
}

static enum vlock_decision compute(void *user, struct vlock_update *update)
{
    struct try *try = user;
    if (try->calls++ == 0 && try->conflicts) {
        must_run("vlock.update('k', function() return 'theirs' end)", NULL, NULL);
    }
    update->value = "mine";
    update->size = 4;
    return VLOCK_WRITE;
}

static void update(struct try *try)
{
    struct vlock_cell_options options = {.deadline = 1};
    struct vlock_state now = {0};
    try->outcome =
        vlock_update(try->engine, "k", 1, compute, try, &options, &now, &try->error);
    vlock_state_clear(&now);
}

static void update_in_conflict(struct try *try)
{
    try->conflicts = true;
    update(try);
}

static void compare_and_set(struct try *try)
{
    struct vlock_state base = {0}, now = {0};
    struct vlock_cell_options options = {.deadline = 1};
    try->outcome = VLOCK_FAILED;
    if (vlock_get(try->engine, "k", 1, &options, &base, &try->error) == 0)
        try->outcome = vlock_compare_and_set(try->engine, "k", 1, "mine", 4, &base, &options, &now,
                                             &try->error);
    vlock_state_clear(&base);
    vlock_state_clear(&now);
}

static void note_told(void *user, const struct vlock_reply *reply)
{
    const char *told = reply->string;
    bool is_open = strcmp(told, "unknown") == 0 || strcmp(told, "nothing") == 0;
    *(enum vlock_outcome *)user = strcmp(told, "committed") == 0 ? VLOCK_COMMITTED
                                  : is_open                      ? VLOCK_UNKNOWN
                                                                 : VLOCK_FAILED;
}

/* What a script is told by vlock.update, which it notes where that needs no memory. */
static void update_by_script(struct try *try, const char *options)
{
    char source[400];
    struct try later = {.engine = try->engine, .error = {.message = ""}};
    snprintf(source, sizeof source,
             "local function mine() return 'mine' end "
             "local ok, value, outcome = pcall(vlock.update, 'k', mine, %s) "
             "_G.told = not ok and 'raised' or value and 'committed' or outcome.outcome",
             options);
    allocations_pause();
    run(&later, "_G.told = 'nothing'", NULL, NULL);
    allocations_resume();
    run(try, source, NULL, NULL);
    long failed = allocations_succeed();
    run(&later, "return rawget(_G, 'told') or 'nothing'", note_told, &try->outcome);
    if (later.result != 0)
        fail_msg("a script cannot say what another was told: %s", later.error.message);
    if (failed == 0)
        assert_int_equal(try->result, 0);
    try->result = 0; /* the script may have failed for want of memory, whatever it was told */
}

static void update_in_script(struct try *try)
{
    update_by_script(try, "{ deadline = 1 }");
}

static void update_combined(struct try *try)
{
    update_by_script(try, "{ deadline = 1, combine = true }");
}

static void note_integer(void *user, const struct vlock_reply *reply)
{
    *(int *)user = reply->type == VLOCK_REPLY_INTEGER ? (int)reply->integer : -1;
}

static void run_lab(struct try *try)
{
    static const char *const options[] = {"url", server_url, "workers", "3", "commits", "12",
                                          "history", "/dev/null"};
    static const char *const words[] = {"full_jitter"};
    static const char source[] =
        "return require('vlock.command.command').main(KEYS, ARGV)";
    struct vlock_arguments arguments = {.key_count = 6, .keys = options, .arg_count = 1,
                                        .args = words};
    dup2(null_fd, STDOUT_FILENO);
    dup2(null_fd, STDERR_FILENO);
    try->result = vlock_run_string(try->engine, source, sizeof source - 1, "=lab", &arguments,
                                   note_integer, &try->code, &try->error);
    fflush(stdout);
    dup2(stdout_fd, STDOUT_FILENO);
    dup2(stderr_fd, STDERR_FILENO);
}

static const struct scenario scenarios[] = {
    {"connecting", 0, true, false, false, ping, false},
    {"connections", 0, false, false, false, connect_often, false},
    {"a script", 0, false, false, false, run_script, false},
    {"a script once more", 1, false, false, false, run_script, false},
    {"the first update", 0, false, true, false, update, false},
    {"an update", 2, false, true, false, update, false},
    {"an update in conflict", 2, false, true, false, update_in_conflict, false},
    {"an update whose reply is lost", 2, false, true, true, update, false},
    {"the first compare_and_set", 0, false, true, false, compare_and_set, false},
    {"compare_and_set", 2, false, true, false, compare_and_set, false},
    {"compare_and_set whose reply is lost", 2, false, true, true, compare_and_set, false},
    {"a script's update", 2, false, true, false, update_in_script, false},
    {"a script's update whose reply is lost", 2, false, true, true, update_in_script, false},
    {"a script's combined update", 2, false, true, false, update_combined, false},
    {"the lab and its report", 0, false, false, false, run_lab, false},
    {"connecting to a cluster", 0, true, false, false, ping, true},
    {"a script in a cluster", 0, false, false, false, run_script, true},
    {"connections to a cluster", 0, false, false, false, connect_often, true},
};

static const char *url_of(const struct scenario *scenario)
{
    return scenario->in_cluster ? cluster_url : scenario->cuts ? proxy_url : server_url;
}

/* ---- what stands there ---- */

struct standing {
    bool is_mine;
    int version;
};

static void note_standing(void *user, const struct vlock_reply *reply)
{
    struct standing *standing = user;
    standing->is_mine = strcmp(reply->element[0]->string, "mine") == 0;
    standing->version = (int)reply->element[1]->integer;
}

static struct standing look(void)
{
    struct standing standing;
    must_run("local value, version = vlock.get('k') return { value or '', version }",
             note_standing, &standing);
    return standing;
}

static void reset_cell(void)
{
    reply_proxy_set(PROXY_PASSES, "");
    must_run("vlock.update('k', function() return 'first' end)", NULL, NULL);
}

/* ---- one try ---- */

struct place {
    const struct scenario *scenario;
    long nth;
    bool for_good;
    int outcomes[3]; /* of writes: committed, unknown, not applied */
};

static void fail_at(const struct place *place, const char *what, const char *message)
{
    fail_msg("%s, allocation %ld fails %s: %s (%s)", place->scenario->name, place->nth,
             place->for_good ? "for good" : "once", what, message);
}

static void check_write(struct place *place, const struct try *try, int version_before)
{
    struct standing standing = look();
    int others = try->conflicts && try->calls > 0;
    if (standing.version > version_before + others + 1)
        fail_at(place, "it was applied twice", try->error.message);
    bool is_applied = standing.version == version_before + others + 1;
    if (is_applied != standing.is_mine)
        fail_at(place, "the version moved without the value", try->error.message);
    if (try->outcome == VLOCK_COMMITTED && !is_applied)
        fail_at(place, "it is said to be committed, and is not", try->error.message);
    if (try->outcome != VLOCK_COMMITTED && try->outcome != VLOCK_UNKNOWN && is_applied)
        fail_at(place, "it is said not to be applied, and is", try->error.message);
    if (try->outcome == VLOCK_HISTORY_LOST || try->outcome == VLOCK_GAVE_UP)
        fail_at(place, "an outcome that has another cause", try->error.message);
    place->outcomes[try->outcome == VLOCK_COMMITTED ? 0 : try->outcome == VLOCK_UNKNOWN ? 1 : 2]++;
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int slowness(void)
{
    const char *text = getenv("VLOCK_TEST_SLOWNESS");
    return text ? atoi(text) : 1;
}

/* Memory is back: the same works on the same engine. */
static void check_engine(const struct place *place, vlock_engine *engine)
{
    struct try again = {.engine = engine, .error = {.message = ""}};
    if (place->scenario->writes)
        update(&again);
    else
        run_script(&again);
    if (again.result != 0 || again.outcome != VLOCK_COMMITTED)
        fail_at(place, "the engine is of no use afterwards", again.error.message);
}

static void prepare(const struct scenario *scenario, struct try *try)
{
    if (!scenario->opens) {
        try->engine = open_engine(url_of(scenario), &try->error);
        assert_non_null(try->engine);
    }
    for (int i = 0; i < scenario->warm_ups; i++) {
        struct try before = {.engine = try->engine};
        if (scenario->writes)
            reset_cell();
        scenario->act(&before);
    }
    if (scenario->writes)
        reset_cell();
}

/* Whether an allocation failed: else the scenario has no more of them. */
static bool try_at(struct place *place)
{
    const struct scenario *scenario = place->scenario;
    struct try try = {.error = {.message = ""}, .code = -1};
    allocations_watch();
    prepare(scenario, &try);
    int version = scenario->writes ? look().version : 0;
    if (scenario->cuts)
        reply_proxy_set(PROXY_CUTS_ONCE, "EVALSHA");
    double began = seconds_now();
    allocations_fail(place->nth, place->for_good);
    if (scenario->opens)
        try.engine = open_engine(url_of(scenario), &try.error);
    if (try.engine)
        scenario->act(&try);
    if (place->for_good && !scenario->writes)
        vlock_close(try.engine); /* while there is no memory */
    long failed = allocations_succeed();
    double took = seconds_now() - began;
    if (took > LONGEST_SECONDS * slowness())
        fail_at(place, "it took too long", try.error.message);
    if (strstr(try.error.message, "in time"))
        fail_at(place, "a time-out was all that ended it", try.error.message);
    if (scenario->writes)
        check_write(place, &try, version);
    if (try.code == 4)
        fail_at(place, "the lab says that updates are lost", try.error.message);
    if (failed == 0 && (try.result != 0 || try.outcome != VLOCK_COMMITTED || try.code > 0))
        fail_at(place, "it fails without a failure", try.error.message);
    if (place->for_good && !scenario->writes) {
        try.engine = NULL;
    } else if (try.engine) {
        reply_proxy_set(PROXY_PASSES, "");
        check_engine(place, try.engine);
    }
    vlock_close(try.engine);
    if (allocations_left() != 0) {
        char text[64];
        snprintf(text, sizeof text, "%ld blocks are left", allocations_left());
        fail_at(place, text, try.error.message);
    }
    return failed > 0;
}

/* Each so many, or each of the first and then ever fewer. */
static long step_after(const struct scenario *scenario, long nth, long wanted)
{
    if (wanted > 0)
        return scenario->act == run_lab ? 50 * wanted : wanted;
    return nth < 6 ? 1 : nth / 2 + nth % 3;
}

static void check_scenario(const struct scenario *scenario)
{
    const char *wanted = getenv("VLOCK_ALLOCATIONS");
    for (int for_good = 0; for_good <= 1; for_good++) {
        struct place place = {.scenario = scenario, .for_good = for_good};
        double began = seconds_now();
        long tries = 0;
        place.nth = 1;
        while (try_at(&place)) {
            place.nth += step_after(scenario, place.nth, wanted ? atol(wanted) : 0);
            tries++;
        }
        if (tries == 0)
            fail_msg("%s: nothing failed", scenario->name);
        print_message("# %s: %ld allocations, %ld tried %s; committed %d, unknown %d, not "
                      "applied %d; %.1f s\n",
                      scenario->name, place.nth - 1, tries, for_good ? "for good" : "once",
                      place.outcomes[0], place.outcomes[1], place.outcomes[2],
                      seconds_now() - began);
    }
}

static void what_is_told_is_true_whatever_allocation_fails(void **state)
{
    (void)state;
    const char *only = getenv("VLOCK_SCENARIO");
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++)
        if (!only || strstr(scenarios[i].name, only))
            check_scenario(&scenarios[i]);
    print_message("# hiredis would have ended the process %ld times\n", allocations_spared());
}

/* ---- around it ---- */

static void copy_url(void *user, const struct vlock_reply *reply)
{
    snprintf(user, sizeof server_url, "%s", reply->string);
}

/* The verb of tests/fixtures/cluster.py; in `said`, where that is not NULL, what it prints. */
static void in_cluster(const char *verb, const char *words, char *said, size_t size)
{
    char command[256];
    snprintf(command, sizeof command, "tests/fixtures/cluster.py %s %s %s", verb, cluster_folder,
             words);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    if (said && fgets(said, (int)size, pipe))
        said[strcspn(said, "\n")] = '\0';
    int status = pclose(pipe);
    assert_int_equal(status, 0);
}

static void start_cluster(void)
{
    assert_non_null(mkdtemp(cluster_folder));
    in_cluster("start", "--primaries 1 --replicas 0", NULL, 0);
    in_cluster("url", "", cluster_url, sizeof cluster_url);
}

static void end_cluster(void)
{
    char process[32], remove[64];
    in_cluster("pids", "", process, sizeof process);
    kill((pid_t)atol(process), SIGKILL);
    snprintf(remove, sizeof remove, "rm -rf %s", cluster_folder);
    assert_int_equal(system(remove), 0);
}

static int set_up(void **state)
{
    (void)state;
    start_cluster();
    struct vlock_error error = {.message = ""};
    control = vlock_open(&(struct vlock_options){.private_server = true}, &error);
    assert_non_null(control);
    must_run("local server = require 'vlock.redis_core' return server.private_server()", copy_url,
             server_url);
    snprintf(proxy_url, sizeof proxy_url, "redis://127.0.0.1:%d",
             reply_proxy_start(server_url + strlen("unix://")));
    null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    stdout_fd = dup(STDOUT_FILENO);
    stderr_fd = dup(STDERR_FILENO);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vlock_close(control);
    end_cluster();
    return 0;
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return 0; /* the lab, where it was cut off, starts its program again to remove its keys */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_told_is_true_whatever_allocation_fails)};
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
