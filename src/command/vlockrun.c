/*
 * vlockrun: the command. Reads the command line, opens an engine, lets lua/vlock/command/main.lua
 * do the work, and turns what came of it into an exit code. A client of vlock.h like any other.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "command/help.h"
#include "command/options.h"
#include "base/printable.h"
#include "base/secret.h"
#include "vlock.h"

enum {
    EXIT_FINE = 0,
    EXIT_SCRIPT = 1,
    EXIT_USAGE = 2,
    EXIT_UNREACHABLE = 3,
    EXIT_INTERRUPTED = 130,
};

#define WATCHDOG_SECONDS 5
#define LONGEST_ENDING_SECONDS 60

/* ---- signals: the engine is told, and a watchdog stands behind it ---- */

static vlock_engine *volatile running_engine;
static volatile sig_atomic_t interrupted_by; /* the first signal */
static volatile time_t interrupted_at;       /* seconds on the monotonic clock */
static const char *volatile timeout_reason = "the --timeout is over";

/* It took too long, or never waited; nobody pressed Ctrl-C. */
static bool is_script_to_blame(void)
{
    return interrupted_by == SIGALRM || interrupted_by == SIGVTALRM;
}

static void leave_at_once(void)
{
    static const char message[] = "vlockrun: the script does not end: leaving it\n";
    if (write(STDERR_FILENO, message, sizeof message - 1) < 0)
        _exit(EXIT_INTERRUPTED);
    /* The private server goes with us: its supervisor sees to it. */
    _exit(is_script_to_blame() ? EXIT_SCRIPT : EXIT_INTERRUPTED);
}

static void on_signal(int number)
{
    int saved = errno;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (interrupted_by && number != SIGALRM && now.tv_sec <= interrupted_at + 1)
        return; /* one Ctrl-C may arrive twice: through the terminal, and from a parent */
    if (interrupted_by && number == SIGALRM &&
        now.tv_sec < interrupted_at + LONGEST_ENDING_SECONDS && running_engine &&
        vlock_has_turned(running_engine)) {
        /* It ends, and has much to put in order: keys to read and to remove. */
        alarm(WATCHDOG_SECONDS);
        errno = saved;
        return;
    }
    if (interrupted_by)
        leave_at_once(); /* the watchdog's alarm, or a second Ctrl-C */
    interrupted_by = number;
    interrupted_at = now.tv_sec;
    if (running_engine) {
        vlock_has_turned(running_engine); /* the question is about what comes from here on */
        vlock_interrupt(running_engine, number == SIGALRM ? timeout_reason : "interrupted");
    }
    alarm(WATCHDOG_SECONDS);
    errno = saved;
}

/* Once a second of processor time: has a policy run through two of them without waiting? */
static void on_tick(int number)
{
    static volatile sig_atomic_t stuck_ticks;
    int saved = errno;
    stuck_ticks = running_engine && vlock_is_stuck(running_engine) ? stuck_ticks + 1 : 0;
    if (stuck_ticks == 2 && !interrupted_by) {
        interrupted_by = number;
        vlock_interrupt(running_engine,
                        "it runs for 2 s without waiting for anything: an endless loop?");
        alarm(WATCHDOG_SECONDS);
    }
    errno = saved;
}

/* A handler, and not SIG_IGN, which programs that scripts start would inherit. */
static void on_broken_pipe(int number)
{
    (void)number; /* the write fails, and that is enough */
}

static void catch_signals(int64_t timeout_ns)
{
    struct sigaction before, action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    action.sa_handler = on_tick;
    sigaction(SIGVTALRM, &action, NULL);
    setitimer(ITIMER_VIRTUAL,
              &(struct itimerval){.it_interval = {.tv_sec = 1}, .it_value = {.tv_sec = 1}}, NULL);
    action.sa_handler = on_broken_pipe;
    if (sigaction(SIGPIPE, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(SIGPIPE, &action, NULL);
    if (timeout_ns > 0) {
        struct itimerval timer = {.it_value = {.tv_sec = timeout_ns / 1000000000,
                                               .tv_usec = timeout_ns % 1000000000 / 1000 + 1}};
        setitimer(ITIMER_REAL, &timer, NULL);
    }
}

/* ---- the run ---- */

static void print_part(const char *text, size_t length)
{
    char shown[VLOCK_PRINTABLE_SIZE];
    for (size_t taken; length > 0; text += taken, length -= taken) {
        taken = vlock_printable_step(text, length, shown);
        fputs(shown, stderr);
    }
}

/* A line for a terminal, and for whoever looks at it. */
static void print_line(const char *text)
{
    size_t length = strlen(text), done = 0, at = 0, count;
    for (; vlock_secret_find(text, length, &at, &count); done = at += count) {
        print_part(text + done, at - done);
        fputs("***", stderr);
    }
    print_part(text + done, length - done);
    fputc('\n', stderr);
}

static void print_log(void *user, enum vlock_log_level level, const char *message)
{
    (void)user;
    if (level >= VLOCK_LOG_NOTICE)
        print_line(message);
}

static void take_exit_code(void *user, const struct vlock_reply *reply)
{
    *(int *)user = reply->type == VLOCK_REPLY_INTEGER ? (int)reply->integer : EXIT_SCRIPT;
}

static int exit_code_of(const struct vlock_error *error)
{
    switch (error->code) {
    case VLOCK_ERR_USAGE:
        return EXIT_USAGE;
    case VLOCK_ERR_UNREACHABLE:
        return EXIT_UNREACHABLE;
    case VLOCK_ERR_INTERRUPTED:
        return is_script_to_blame() ? EXIT_SCRIPT : EXIT_INTERRUPTED;
    default:
        return EXIT_SCRIPT;
    }
}

static int refuse_password_file(const char *path, const char *why, struct vlock_error *error)
{
    return vlock_error_set(error, VLOCK_ERR_USAGE,
                           "--password-file: cannot read a password from %s: %s", path, why);
}

/* The file's first line, as a text. -1 where it has none that could be a password. */
static int read_password(const char *path, char *line, size_t size, struct vlock_error *error)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return refuse_password_file(path, strerror(errno), error);
    errno = 0;
    size_t length = fread(line, 1, size, file);
    int number = errno;
    bool has_failed = ferror(file);
    fclose(file);
    if (has_failed)
        return refuse_password_file(path, strerror(number), error);
    if (length == 0)
        return refuse_password_file(path, "it is empty", error);
    char *end = memchr(line, '\n', length);
    if (!end && length == size)
        return refuse_password_file(path, "its first line is too long", error);
    end = end ? end : line + length;
    if (end > line && end[-1] == '\r')
        end--;
    if (memchr(line, '\0', (size_t)(end - line)))
        return refuse_password_file(path, "its first line holds a zero byte", error);
    *end = '\0';
    return 0;
}

/* The password from the file, else from REDISCLI_AUTH, else NULL; an empty one is none. -1 when the
 * file cannot be read. */
static int find_password(const char *path, char *line, size_t size, const char **password,
                         struct vlock_error *error)
{
    *password = path ? line : getenv("REDISCLI_AUTH");
    return path ? read_password(path, line, size, error) : 0;
}

static int run(const struct vlock_command_line *line, struct vlock_error *error)
{
    static const char source[] = "return require('vlock.command.main').main(ARGV)";
    char secret[1024];
    int code = EXIT_SCRIPT;
    const char *environment = getenv("VLOCK_REDIS_URL");
    struct vlock_options options = {
        .url = line->url                     ? line->url
               : environment && *environment ? environment
                                             : NULL,
        .private_server = true,
        .seed = line->seed,
        .log = print_log,
    };
    if (find_password(line->password_file, secret, sizeof secret, &options.password, error) != 0)
        return exit_code_of(error);
    running_engine = vlock_open(&options, error);
    explicit_bzero(secret, sizeof secret);
    if (!running_engine)
        return exit_code_of(error);
    catch_signals(line->timeout_ns);
    struct vlock_arguments arguments = {.arg_count = line->word_count, .args = line->words};
    if (vlock_run_string(running_engine, source, sizeof source - 1, "=vlockrun", &arguments,
                         take_exit_code, &code, error) != 0)
        code = exit_code_of(error);

    vlock_engine *engine = running_engine;
    running_engine = NULL;
    vlock_close(engine);
    alarm(0);
    return code;
}

/* The words, of which the system shows everybody others from here on: without passwords. NULL when
 * out of memory. */
static char **take_words(int argc, char **argv)
{
    char **words = calloc((size_t)argc + 1, sizeof *words);
    for (int i = 0; words && i < argc; i++) {
        words[i] = strdup(argv[i]);
        if (!words[i])
            return NULL;
        vlock_secret_overwrite(argv[i]);
    }
    return words;
}

static void free_words(char **words)
{
    for (char **word = words; *word; word++) {
        explicit_bzero(*word, strlen(*word));
        free(*word);
    }
    free(words);
}

static int print_help(const struct vlock_command_line *line, struct vlock_error *error)
{
    if (!line->wants_json)
        return vlock_help_print(line->topic, stdout, error) == 0 ? EXIT_FINE : EXIT_USAGE;
    vlock_help_print_json(stdout);
    return EXIT_FINE;
}

int main(int argc, char **argv)
{
    struct vlock_command_line line;
    struct vlock_error error = {.code = VLOCK_OK};
    int code;
    char **words = take_words(argc, argv);
    if (!words) {
        fputs("vlockrun: out of memory\n", stderr);
        return EXIT_SCRIPT;
    }
    if (vlock_command_line_parse(argc, words, &line, &error) != 0) {
        code = EXIT_USAGE;
    } else if (line.wants_help) {
        code = print_help(&line, &error);
    } else if (line.wants_version) {
        printf("vlockrun %s (%s)\n", vlock_version(), vlock_library_versions());
        code = EXIT_FINE;
    } else {
        code = run(&line, &error);
    }
    if (error.code != VLOCK_OK) {
        fputs("vlockrun: ", stderr);
        print_line(error.message);
    }
    vlock_command_line_clear(&line);
    free_words(words);
    if (fflush(stdout) != 0 && code == EXIT_FINE) {
        fprintf(stderr, "vlockrun: cannot write the output: %s\n", strerror(errno));
        code = EXIT_SCRIPT;
    }
    return code;
}
