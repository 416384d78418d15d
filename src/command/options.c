/* The command line of vlockrun: see options.h. */
#include "command/options.h"

#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "base/units.h"
#include "base/url.h"

enum form {
    FORM_NONE, /* takes no value */
    FORM_TEXT,
    FORM_DURATION, /* 250us 2ms 1s 5m */
    FORM_COUNT,    /* a whole number ≥ 0, 10k, 1M */
    FORM_RATE,     /* a number > 0, 0.5, 10k */
    FORM_URL,      /* of a server */
};

struct option {
    const char *name;
    char letter;
    enum form form;
    const char *value; /* what the help calls it */
    const char *help;
};

/* In the order of the help; an entry without a name begins a group. */
static const struct option options[] = {
    {NULL, 0, FORM_NONE, NULL, "What to run"},
    {"eval", 'e', FORM_TEXT, "CHUNK", "run this line of Lua instead of a file"},
    {NULL, 0, FORM_NONE, NULL, "Which server"},
    {"url", 'u', FORM_URL, "URL",
     "redis://[[user:]password@]host[:port][/db] or unix:///path; default for scripts: "
     "$VLOCK_REDIS_URL, else, and for policies always, a private empty server"},
    {"password-file", 0, FORM_TEXT, "FILE",
     "its first line is the password, where the URL has none ($REDISCLI_AUTH does too)"},
    {NULL, 0, FORM_NONE, NULL, "A policy under contention"},
    {"workers", 'w', FORM_COUNT, "N", "clients that update, default 50"},
    {"keys", 'k', FORM_COUNT, "N", "keys they share, default 1"},
    {"dist", 0, FORM_TEXT, "DIST", "how a worker chooses its key: own, uniform (default), zipf:S"},
    {"commits", 'n', FORM_COUNT, "N", "updates in all, default 10k"},
    {"per-worker", 0, FORM_COUNT, "N", "updates of each worker, instead of --commits"},
    {"duration", 'd', FORM_DURATION, "TIME", "how long, instead of --commits"},
    {"rate", 0, FORM_RATE, "N",
     "open loop: N updates begin per second in all, at random (Poisson), whether earlier ones have "
     "ended or not"},
    {"think", 0, FORM_DURATION, "TIME", "pause between the updates of a worker, default 0"},
    {"value-size", 0, FORM_COUNT, "BYTES", "of a value, default: as long as the counter"},
    {"connections", 'c', FORM_COUNT, "N", "connections, default one per worker, at most 64"},
    {"store", 's', FORM_TEXT, "NAME|FILE",
     "how cells are read and committed: plain (default), watch, ifeq, or a file of your own"},
    {"combine", 0, FORM_NONE, NULL,
     "workers that update the same key at the same time make one commit together"},
    {"param", 'p', FORM_TEXT, "NAME=VALUE",
     "a parameter of the policy: backoff.base=5ms; the bare name where one part has it"},
    {"runs", 0, FORM_COUNT, "N",
     "repeat, and show medians and spread; default 1, for compare and --sweep 3"},
    {"sweep", 0, FORM_TEXT, "NAME=A,B,C",
     "once for each value of workers, keys, rate ... or of a parameter; two sweeps make a grid"},
    {"require", 0, FORM_TEXT, "EXPR",
     "a threshold over a field of the JSON: 'p99<20ms'; not met: exit code 4; repeatable"},
    {"plot", 0, FORM_TEXT, "FILE",
     "draw what was measured, with gnuplot: FILE.svg, FILE.png or FILE.txt"},
    {"report", 0, FORM_TEXT, "FILE",
     "one HTML page with tables, pictures, the exact command, seed and versions"},
    {"hgrm", 0, FORM_TEXT, "FILE",
     "latencies as HdrHistogram's plotter reads them; of several policies, a file each: FILE.NAME"},
    {"interval", 0, FORM_DURATION, "TIME",
     "a line on standard error every so often, while it runs"},
    {"history", 0, FORM_TEXT, "FILE",
     "write down every attempt of every run, as JSON lines; vlockrun verify FILE checks it"},
    {NULL, 0, FORM_NONE, NULL, "In general"},
    {"json", 0, FORM_NONE, NULL,
     "one JSON document on standard output; all else goes to standard error"},
    {"seed", 0, FORM_COUNT, "N", "start of all random numbers, default: from the system"},
    {"timeout", 0, FORM_DURATION, "TIME", "end the run after this time"},
    {"no-color", 0, FORM_NONE, NULL, "no colours on a terminal"},
    {"help", 'h', FORM_NONE, NULL, "this text"},
    {"version", 'V', FORM_NONE, NULL, "versions of vlock and of what it runs on"},
};

#define OPTION_COUNT (sizeof options / sizeof *options)
#define NAME_LIMIT 32

void vlock_command_line_help(FILE *out)
{
    fputs("vlockrun - optimistic locking on Redis with conflict policies in Lua\n"
          "\n"
          "  vlockrun [options] FILE.lua [KEY ... , ARG ...]    run a script; a policy is put "
          "under contention\n"
          "  vlockrun [options] POLICY                          the same for one by its name: "
          "full_jitter\n"
          "  vlockrun [options] -e 'CHUNK' [KEY ... , ARG ...]  the same for one line; FILE - is "
          "standard input\n"
          "  vlockrun compare [options] POLICY ...              policies side by side; "
          "POLICY@STORE for another store\n"
          "  vlockrun verify HISTORY ...                        whether the runs that --history "
          "wrote down are whole; - is stdin\n"
          "  vlockrun list | show NAME | new KIND NAME          what is there; print one; begin "
          "one of your own\n"
          "\n"
          "Examples:\n"
          "  vlockrun lua/backoff/full_jitter.lua               50 workers on one hot key of a "
          "private server\n"
          "  vlockrun compare --workers 20 lua/backoff/*.lua    which of these suits 20 workers?\n"
          "  vlockrun -u redis://localhost -e 'return redis.call(\"GET\", KEYS[1])' mykey\n",
          out);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *option = &options[i];
        char left[64];
        if (!option->name) {
            fprintf(out, "\n%s:\n", option->help);
            continue;
        }
        int used = option->letter
                       ? snprintf(left, sizeof left, "-%c, --%s", option->letter, option->name)
                       : snprintf(left, sizeof left, "    --%s", option->name);
        if (option->value)
            snprintf(left + used, sizeof left - (size_t)used, " %s", option->value);
        fprintf(out, "  %-26s %s\n", left, option->help);
    }
    fputs("\nOptions end at FILE; what follows belongs to the script: KEYS before a lone comma, "
          "ARGV after it.\n"
          "Exit codes: 0 fine, 1 the script failed, 2 usage, 3 Redis unreachable or refused us, 4 "
          "the verification failed or\n"
          "a threshold was not met, 130 interrupted.\n",
          out);
}

static const struct option *find_long(const char *name, size_t length)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (options[i].name && strlen(options[i].name) == length &&
            memcmp(options[i].name, name, length) == 0)
            return &options[i];
    return NULL;
}

static const struct option *find_letter(char letter)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (options[i].name && options[i].letter == letter)
            return &options[i];
    return NULL;
}

static int refuse_unknown(const char *given, struct vlock_error *error)
{
    const char *names[OPTION_COUNT];
    char name[NAME_LIMIT];
    size_t count = 0;
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (options[i].name)
            names[count++] = options[i].name;
    const char *bare = given + strspn(given, "-");
    snprintf(name, sizeof name, "%.*s", (int)strcspn(bare, "="), bare);
    const char *near = vlock_nearest(name, names, count);
    if (near)
        return vlock_error_set(error, VLOCK_ERR_USAGE, "unknown option %.60s: did you mean --%s?",
                               given, near);
    return vlock_error_set(error, VLOCK_ERR_USAGE,
                           "unknown option %.60s; vlockrun --help lists them", given);
}

static int check_form(const struct option *option, const char *value, struct vlock_error *error)
{
    struct vlock_error reason;
    int64_t ns;
    double count;
    int result = 0;
    if (option->form == FORM_DURATION)
        result = vlock_units_duration(value, strlen(value), &ns, &reason);
    if (option->form == FORM_RATE) {
        result = vlock_units_count(value, strlen(value), &count, &reason);
        if (result == 0 && count <= 0)
            result = vlock_error_set(&reason, VLOCK_ERR_USAGE,
                                     "\"%.40s\" is not a number above 0, like 0.5 or 10k", value);
    }
    if (option->form == FORM_COUNT) {
        result = vlock_units_count(value, strlen(value), &count, &reason);
        if (result == 0 && !(count >= 0 && count < 9e15 && count == (double)(int64_t)count))
            result = vlock_error_set(&reason, VLOCK_ERR_USAGE,
                                     "\"%.40s\" is not a whole number like 50, 10k or 1M", value);
    }
    if (option->form == FORM_URL) {
        struct vlock_url url;
        result = vlock_url_parse(value, &url, &reason);
        if (result == 0)
            vlock_url_clear(&url);
    }
    return result == 0
               ? 0
               : vlock_error_set(error, VLOCK_ERR_USAGE, "--%s: %s", option->name, reason.message);
}

static int add_word(struct vlock_command_line *line, char *word)
{
    if (word)
        line->words[line->word_count++] = word;
    return word ? 0 : -1;
}

/* Options that the command itself needs are kept here as well. */
static int take(struct vlock_command_line *line, const struct option *option, const char *value,
                struct vlock_error *error)
{
    double count;
    char *word;
    if (check_form(option, value ? value : "", error) != 0)
        return -1;
    if (strcmp(option->name, "help") == 0)
        line->wants_help = true;
    else if (strcmp(option->name, "version") == 0)
        line->wants_version = true;
    else if (strcmp(option->name, "url") == 0)
        line->url = value;
    else if (strcmp(option->name, "password-file") == 0)
        line->password_file = value;
    else if (strcmp(option->name, "timeout") == 0)
        vlock_units_duration(value, strlen(value), &line->timeout_ns, NULL);
    else if (strcmp(option->name, "seed") == 0 &&
             vlock_units_count(value, strlen(value), &count, NULL) == 0)
        line->seed = (uint64_t)count;
    if (asprintf(&word, "%s=%s", option->name, value ? value : "yes") < 0)
        word = NULL;
    if (add_word(line, word) != 0)
        return vlock_error_set(error, VLOCK_ERR_MEMORY, "out of memory");
    return 0;
}

/* Reads the option at argv[*at] and moves *at to its last word. */
static int parse_option(int argc, char **argv, int *at, struct vlock_command_line *line,
                        struct vlock_error *error)
{
    const char *given = argv[*at];
    const char *value = NULL;
    const struct option *option;
    if (given[1] == '-') {
        size_t length = strcspn(given + 2, "=");
        option = find_long(given + 2, length);
        if (given[2 + length] == '=')
            value = given + 3 + length;
    } else {
        option = find_letter(given[1]);
        if (given[2])
            value = given + 2;
    }
    if (!option || (given[1] != '-' && option->form == FORM_NONE && value))
        return refuse_unknown(given, error);
    if (option->form == FORM_NONE && value)
        return vlock_error_set(error, VLOCK_ERR_USAGE, "--%s takes no value", option->name);
    if (option->form != FORM_NONE && !value) {
        if (*at + 1 >= argc)
            return vlock_error_set(error, VLOCK_ERR_USAGE, "--%s needs a value: %s", option->name,
                                   option->value);
        value = argv[++*at];
    }
    return take(line, option, value, error);
}

/* Words that stand where a file would, and have words of their own behind them: among these,
 * options may stand anywhere. */
static bool is_verb(const char *word)
{
    static const char *const verbs[] = {"compare", "list", "show", "new", "verify"};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(word, verbs[i]) == 0)
            return true;
    return false;
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1];
}

static int refuse_memory(struct vlock_error *error)
{
    return vlock_error_set(error, VLOCK_ERR_MEMORY, "out of memory");
}

int vlock_command_line_parse(int argc, char **argv, struct vlock_command_line *line,
                             struct vlock_error *error)
{
    char **rest = calloc((size_t)argc + 1, sizeof *rest); /* what is no option, in its order */
    int rest_count = 0, at, result = -1;
    bool has_verb = false;
    memset(line, 0, sizeof *line);
    line->words = calloc((size_t)argc + 2, sizeof *line->words);
    if (!line->words || !rest) {
        refuse_memory(error);
        goto cleanup;
    }
    for (at = 1; at < argc && (has_verb || is_option(argv[at]) || is_verb(argv[at])); at++) {
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        if (!is_option(argv[at])) {
            has_verb = true;
            rest[rest_count++] = argv[at];
        } else if (parse_option(argc, argv, &at, line, error) != 0) {
            goto cleanup;
        }
    }
    while (at < argc)
        rest[rest_count++] = argv[at++];
    result = add_word(line, strdup("--"));
    for (int i = 0; i < rest_count && result == 0; i++)
        result = add_word(line, strdup(rest[i]));
    if (result != 0)
        refuse_memory(error);
cleanup:
    free(rest);
    return result;
}

void vlock_command_line_clear(struct vlock_command_line *line)
{
    for (size_t i = 0; i < line->word_count; i++)
        free((char *)line->words[i]);
    free(line->words);
    line->words = NULL;
    line->word_count = 0;
}
