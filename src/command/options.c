/* The command line of vlockrun: see options.h. */
#include "command/options.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "base/clock.h"
#include "base/units.h"
#include "base/url.h"
#include "command/option_table.h"

#define NAME_LIMIT 64 /* options that a mistyped one is compared with */
#define LEAST_MEMORY 1e6

static int refuse_unknown(const char *given, struct vlock_error *error)
{
    const char *names[NAME_LIMIT];
    char name[32];
    size_t count = 0;
    for (size_t i = 0; i < vlock_option_count && count < NAME_LIMIT; i++)
        if (vlock_options_known[i].name)
            names[count++] = vlock_options_known[i].name;
    const char *bare = given + strspn(given, "-");
    snprintf(name, sizeof name, "%.*s", (int)strcspn(bare, "="), bare);
    const char *near = vlock_nearest(name, names, count);
    if (near)
        return vlock_error_set(error, VLOCK_ERR_USAGE, "unknown option %.60s: did you mean --%s?",
                               given, near);
    return vlock_error_set(error, VLOCK_ERR_USAGE,
                           "unknown option %.60s; vlockrun --help lists them", given);
}

static int check_form(const struct vlock_option *option, const char *value,
                      struct vlock_error *error)
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
                                     "\"%.40s\" is not a whole number from 0 to 9e15, like 50, "
                                     "10k or 1M",
                                     value);
    }
    if (result == 0 && strcmp(option->name, "max-memory") == 0 && count < LEAST_MEMORY)
        result = vlock_error_set(&reason, VLOCK_ERR_USAGE,
                                 "\"%.40s\" is too little for anything to run: at least 1M", value);
    return result == 0
               ? 0
               : vlock_error_set(error, VLOCK_ERR_USAGE, "--%s: %s", option->name, reason.message);
}

/* Where a flag, or a text, is kept; -1: this option is no such. */
static long place_of(const char *name, bool is_flag)
{
    static const struct {
        const char *name;
        bool is_flag;
        size_t place;
    } kept[] = {
        {"help", true, offsetof(struct vlock_command_line, wants_help)},
        {"eval", true, offsetof(struct vlock_command_line, has_chunk)}, /* that there is one */
        {"json", true, offsetof(struct vlock_command_line, wants_json)},
        {"version", true, offsetof(struct vlock_command_line, wants_version)},
        {"cluster", true, offsetof(struct vlock_command_line, is_cluster)},
        {"insecure", true, offsetof(struct vlock_command_line, is_insecure)},
        {"url", false, offsetof(struct vlock_command_line, url)},
        {"password-file", false, offsetof(struct vlock_command_line, password_file)},
        {"cacert", false, offsetof(struct vlock_command_line, ca)},
        {"cert", false, offsetof(struct vlock_command_line, certificate)},
        {"cert-key", false, offsetof(struct vlock_command_line, certificate_key)},
        {"sni", false, offsetof(struct vlock_command_line, server_name)},
    };
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (kept[i].is_flag == is_flag && strcmp(kept[i].name, name) == 0)
            return (long)kept[i].place;
    return -1;
}

/* Options that the command itself needs are kept here as well. */
static int take(struct vlock_command_line *line, const struct vlock_option *option,
                const char *value, struct vlock_error *error)
{
    double count;
    int64_t ns;
    if (check_form(option, value ? value : "", error) != 0)
        return -1;
    long flag = place_of(option->name, true), text = place_of(option->name, false);
    if (flag >= 0)
        *(bool *)((char *)line + flag) = true;
    else if (text >= 0)
        *(const char **)(void *)((char *)line + text) = value;
    else if (strcmp(option->name, "timeout") == 0)
        vlock_units_duration(value, strlen(value), &line->timeout_ns, NULL);
    else if (strcmp(option->name, "busy-poll") == 0 &&
             vlock_units_duration(value, strlen(value), &ns, NULL) == 0)
        line->busy_poll = ns == 0 ? -1 : (double)ns / VLOCK_NS_PER_SECOND;
    else if (strcmp(option->name, "max-memory") == 0 &&
             vlock_units_count(value, strlen(value), &count, NULL) == 0)
        line->max_memory = (size_t)count;
    else if (strcmp(option->name, "seed") == 0 &&
             vlock_units_count(value, strlen(value), &count, NULL) == 0)
        line->seed = (uint64_t)count;
    line->options[line->option_words++] = option->name;
    line->options[line->option_words++] = value ? value : "";
    return 0;
}

/* Reads the option at argv[*at] and moves *at to its last word. */
static int parse_option(int argc, char **argv, int *at, struct vlock_command_line *line,
                        struct vlock_error *error)
{
    const char *given = argv[*at];
    const char *value = NULL;
    const struct vlock_option *option;
    if (given[1] == '-') {
        size_t length = strcspn(given + 2, "=");
        option = vlock_option_find(given + 2, length);
        if (given[2 + length] == '=')
            value = given + 3 + length;
    } else {
        option = vlock_option_of_letter(given[1]);
        if (given[2])
            value = given + 2;
    }
    if (!option || (given[1] != '-' && option->form == FORM_NONE && value))
        return refuse_unknown(given, error);
    if (option->form == FORM_NONE && value)
        return vlock_error_set(error, VLOCK_ERR_USAGE, "--%s takes no value", option->name);
    if (option->form != FORM_NONE && option->form != FORM_OPTIONAL && !value) {
        if (*at + 1 >= argc)
            return vlock_error_set(error, VLOCK_ERR_USAGE, "--%s needs a value: %s", option->name,
                                   option->value);
        value = argv[++*at];
    }
    if (value && !*value)
        return vlock_error_set(error, VLOCK_ERR_USAGE, "--%s needs a value that is not empty: %s",
                               option->name, option->value);
    return take(line, option, value, error);
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1];
}

/* What help is asked about: "help compare", "compare --help". */
static int take_topic(struct vlock_command_line *line, struct vlock_error *error)
{
    if (strcmp(line->words[0], "help") != 0) {
        line->topic = line->words[0];
        return 0;
    }
    if (line->word_count > 2)
        return vlock_error_set(error, VLOCK_ERR_USAGE, "help takes one verb or option");
    line->wants_help = true;
    line->topic = line->word_count > 1 ? line->words[1] : NULL;
    return 0;
}

/* With --cluster: the servers of --url are nodes of a cluster, as its scheme may say itself. */
static int name_cluster(struct vlock_command_line *line, struct vlock_error *error)
{
    if (!line->url)
        return vlock_error_set(error, VLOCK_ERR_USAGE,
                               "--cluster needs --url, with one or more of its nodes (in "
                               "VLOCK_REDIS_URL say redis+cluster://; a private server is none)");
    size_t scheme = strcspn(line->url, "+:"), size = strlen(line->url) + sizeof "+cluster";
    const char *rest = line->url + scheme;
    if (strncmp(rest, "://", 3) != 0 || strncasecmp(line->url, "unix:", 5) == 0)
        return 0; /* it says what it is, or is none */
    line->url_of_cluster = malloc(size);
    if (!line->url_of_cluster)
        return vlock_error_set(error, VLOCK_ERR_MEMORY, "out of memory");
    snprintf(line->url_of_cluster, size, "%.*s+cluster%s", (int)scheme, line->url, rest);
    for (size_t i = 1; i < line->option_words; i += 2)
        if (line->options[i] == line->url)
            line->options[i] = line->url_of_cluster;
    line->url = line->url_of_cluster;
    return 0;
}

static int check_url(const char *text, bool is_cluster, struct vlock_error *error)
{
    struct vlock_error reason;
    struct vlock_url url;
    if (vlock_url_parse(text, &url, &reason) != 0)
        return vlock_error_set(error, VLOCK_ERR_USAGE, "--url: %s", reason.message);
    bool leads_to_one = url.topology == VLOCK_URL_CLUSTER;
    vlock_url_clear(&url);
    if (is_cluster && !leads_to_one)
        return vlock_error_set(error, VLOCK_ERR_USAGE,
                               "--cluster: neither sentinels nor Unix sockets lead to a cluster: "
                               "name nodes in --url, as redis://HOST:PORT,HOST:PORT");
    return 0;
}

/* The URLs, of which the last one counts. */
static int settle_urls(struct vlock_command_line *line, struct vlock_error *error)
{
    if (line->wants_help || line->wants_version)
        return 0;
    if (line->is_cluster && name_cluster(line, error) != 0)
        return -1;
    for (size_t i = 0; i < line->option_words; i += 2) {
        const char *name = line->options[i], *text = line->options[i + 1];
        bool counts = text == line->url;
        if (vlock_option_find(name, strlen(name))->form == FORM_URL &&
            check_url(text, counts && line->is_cluster, error) != 0)
            return -1;
    }
    return 0;
}

static int parse(int argc, char **argv, struct vlock_command_line *line, struct vlock_error *error)
{
    int at;
    bool has_verb = false;
    for (at = 1; at < argc && (has_verb || is_option(argv[at]) || vlock_verb_find(argv[at]));
         at++) {
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        bool asks =
            has_verb && strcmp(line->words[0], "help") == 0 && strcmp(argv[at], "--json") != 0;
        if (!is_option(argv[at]) || asks) { /* about an option, it may be */
            has_verb = true;
            line->words[line->word_count++] = argv[at];
        } else if (parse_option(argc, argv, &at, line, error) != 0) {
            return -1;
        }
    }
    while (at < argc)
        line->words[line->word_count++] = argv[at++];
    line->is_bare = line->word_count == 0 && !line->has_chunk;
    if (settle_urls(line, error) != 0)
        return -1;
    return has_verb ? take_topic(line, error) : 0;
}

int vlock_command_line_parse(int argc, char **argv, struct vlock_command_line *line,
                             struct vlock_error *error)
{
    memset(line, 0, sizeof *line);
    line->options = calloc(2 * (size_t)argc, sizeof *line->options);
    line->words = calloc((size_t)argc, sizeof *line->words);
    if (!line->options || !line->words)
        return vlock_error_set(error, VLOCK_ERR_MEMORY, "out of memory");
    return parse(argc, argv, line, error);
}

void vlock_command_line_clear(struct vlock_command_line *line)
{
    if (line->url_of_cluster)
        explicit_bzero(line->url_of_cluster, strlen(line->url_of_cluster));
    free(line->url_of_cluster);
    free(line->options);
    free(line->words);
    line->options = line->words = NULL;
    line->url = line->url_of_cluster = NULL;
    line->option_words = line->word_count = 0;
}
