/* Policy files: any text as the policy of an update, in an engine without a server. The update
 * ends, whatever the policy does; its outcome is true, by what stands in the store; what fails says
 * why; and the engine serves on. policy_files.lua is the engine's surroundings: the policy's file,
 * a store in memory that has three conflicts in hand, and nothing that reaches outside. */
#include "property.h"

#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "vlock.h"

#define SURROUNDINGS "tests/fuzz/policy_files.lua"
#define OURS "mine"

/* ---- what runs away is ended ---- */

static vlock_engine *engine;
static volatile sig_atomic_t was_interrupted;

static void on_timer(int signal_number)
{
    (void)signal_number;
    was_interrupted = 1;
    vlock_interrupt(engine, "the policy took too long");
}

/* Calls on_timer() after these milliseconds, and again and again; 0: no more. Not by SIGALRM: that
 * is libFuzzer's. */
static void set_timer(long milliseconds)
{
    static timer_t timer;
    static bool is_made;
    if (!is_made) {
        struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
        signal(SIGUSR2, on_timer);
        REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0, "no timer");
        is_made = true;
    }
    struct timespec span = {.tv_sec = 0, .tv_nsec = milliseconds * 1000000};
    timer_settime(timer, 0, &(struct itimerspec){span, span}, NULL);
}

/* ---- one policy ---- */

static void open_engine(const char *policy, size_t size)
{
    static char surroundings[8192];
    static size_t length;
    struct vlock_options options = {.seed = 1, .max_memory = 64000000};
    struct vlock_error error = {.message = ""};
    if (!length) {
        FILE *file = fopen(SURROUNDINGS, "r");
        REQUIRE(file && freopen("/dev/null", "r", stdin), "%s cannot be read", SURROUNDINGS);
        length = fread(surroundings, 1, sizeof surroundings, file);
        REQUIRE(length < sizeof surroundings, "%s is too long", SURROUNDINGS);
        fclose(file);
    }
    engine = vlock_open(&options, &error);
    REQUIRE(engine, "no engine: %s", error.message);
    struct vlock_arguments arguments = {.arg_count = 1, .args = &policy, .arg_sizes = &size};
    int result = vlock_run_string(engine, surroundings, length, "@" SURROUNDINGS, &arguments, NULL,
                                  NULL, &error);
    REQUIRE(result == 0, "%s", error.message);
}

static enum vlock_decision write_ours(void *user, struct vlock_update *update)
{
    (void)user;
    update->value = OURS;
    update->size = strlen(OURS);
    return VLOCK_WRITE;
}

/* The store counts a commit as one version, and a conflict as ten. */
static void require_true(enum vlock_outcome outcome, const struct vlock_error *error)
{
    struct vlock_cell_options options = {.store = "memory.lua"};
    struct vlock_state state = {0};
    struct vlock_error why = {.message = ""};
    if (vlock_get(engine, "key", 3, &options, &state, &why) != 0) {
        /* It holds what the policy did not let go of. */
        REQUIRE(why.code == VLOCK_ERR_MEMORY, "the engine does not serve on: %s", why.message);
        return;
    }
    int64_t commits = state.version % 10;
    REQUIRE(commits <= 1, "the write was made %lld times", (long long)commits);
    REQUIRE(outcome != VLOCK_COMMITTED || commits == 1, "committed, and it is not there");
    REQUIRE((outcome != VLOCK_GAVE_UP && outcome != VLOCK_FAILED) || commits == 0,
            "not applied, they say, and it is there: %s", error->message);
    vlock_state_clear(&state);
}

static void require_reason(enum vlock_outcome outcome, const struct vlock_error *error)
{
    REQUIRE(error->code != VLOCK_OK && error->message[0], "outcome %d has no reason", outcome);
    REQUIRE(memchr(error->message, '\0', sizeof error->message), "a message without an end");
    REQUIRE(outcome != VLOCK_GAVE_UP || error->code == VLOCK_ERR_GAVE_UP, "gave up, and says %d",
            error->code);
    REQUIRE(was_interrupted || strncmp(error->message, "vlock/", 6) != 0,
            "it is a line of ours that failed: %s", error->message);
    REQUIRE(error->code != VLOCK_ERR_INTERRUPTED || was_interrupted, "interrupted by nobody: %s",
            error->message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vlock_cell_options options = {
        .policy = "policy.lua", .store = "memory.lua", .deadline = 0.02};
    struct vlock_error error = {.message = ""};
    open_engine((const char *)data, size);
    was_interrupted = 0;
    set_timer(50);
    enum vlock_outcome outcome =
        vlock_update(engine, "key", 3, write_ours, NULL, &options, NULL, &error);
    set_timer(0);
    REQUIRE(outcome != VLOCK_CONFLICT && outcome != VLOCK_HISTORY_LOST,
            "outcome %d is none of such an update", outcome);
    REQUIRE(outcome != VLOCK_UNKNOWN || was_interrupted, "unknown, and nothing was lost: %s",
            error.message);
    if (outcome != VLOCK_COMMITTED)
        require_reason(outcome, &error);
    require_true(outcome, &error);
    vlock_close(engine);
    return 0;
}
