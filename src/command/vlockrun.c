/*
 * vlockrun: the command. Reads the command line, opens an engine, lets
 * lua/vlock/command/command.lua do the work, and turns what came of it into an exit code. A client
 * of vlock.h like any other.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "command/exit_codes.h"
#include "command/help.h"
#include "command/message.h"
#include "command/options.h"
#include "command/password.h"
#include "command/prompt.h"
#include "command/signals.h"
#include "vlock.h"

static void print_log(void *user, enum vlock_log_level level, const char *message)
{
    (void)user;
    if (level >= VLOCK_LOG_NOTICE)
        vlock_message_print(message);
}

static void take_exit_code(void *user, const struct vlock_reply *reply)
{
    *(int *)user = reply->type == VLOCK_REPLY_INTEGER ? (int)reply->integer : VLOCK_EXIT_SCRIPT;
}

static int exit_code_of(const struct vlock_error *error)
{
    switch (error->code) {
    case VLOCK_ERR_USAGE:
        return VLOCK_EXIT_USAGE;
    case VLOCK_ERR_UNREACHABLE:
        return VLOCK_EXIT_UNREACHABLE;
    case VLOCK_ERR_INTERRUPTED:
        return vlock_signals_blame_script() ? VLOCK_EXIT_SCRIPT : VLOCK_EXIT_INTERRUPTED;
    default:
        return VLOCK_EXIT_SCRIPT;
    }
}

static int run(const struct vlock_command_line *line, struct vlock_error *error)
{
    static const char source[] = "return require('vlock.command.command').main(KEYS, ARGV)";
    char secret[1024];
    int code = VLOCK_EXIT_SCRIPT;
    const char *environment = getenv("VLOCK_REDIS_URL");
    struct vlock_options options = {
        .url = line->url                     ? line->url
               : environment && *environment ? environment
                                             : NULL,
        .private_server = true,
        .seed = line->seed,
        .busy_poll = line->busy_poll,
        .tls_ca = line->ca,
        .tls_certificate = line->certificate,
        .tls_key = line->certificate_key,
        .tls_server_name = line->server_name,
        .tls_insecure = line->is_insecure,
        .max_memory = line->max_memory,
        .log = print_log,
    };
    if (vlock_password_find(line->password_file, secret, sizeof secret, &options.password, error) !=
        0)
        return exit_code_of(error);
    vlock_engine *engine = vlock_open(&options, error);
    explicit_bzero(secret, sizeof secret);
    if (!engine)
        return exit_code_of(error);
    vlock_signals_catch(engine, line->timeout_ns);
    struct vlock_arguments arguments = {.key_count = line->option_words,
                                        .keys = line->options,
                                        .arg_count = line->word_count,
                                        .args = line->words};
    if (line->is_bare && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
        code = vlock_prompt_run(engine, &arguments, error);
    else if (vlock_run_string(engine, source, sizeof source - 1, "=vlockrun", &arguments,
                              take_exit_code, &code, error) != 0)
        code = exit_code_of(error);
    fflush(stdout); /* finalizers that do not end cost no result */
    vlock_signals_release();
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
        return vlock_help_print(line->topic, stdout, error) == 0 ? VLOCK_EXIT_FINE
                                                                 : VLOCK_EXIT_USAGE;
    vlock_help_print_json(stdout);
    return VLOCK_EXIT_FINE;
}

int main(int argc, char **argv)
{
    struct vlock_command_line line;
    struct vlock_error error = {.code = VLOCK_OK};
    int code;
    char **words = take_words(argc, argv);
    if (!words) {
        fputs("vlockrun: out of memory\n", stderr);
        return VLOCK_EXIT_SCRIPT;
    }
    if (vlock_command_line_parse(argc, words, &line, &error) != 0) {
        code = VLOCK_EXIT_USAGE;
    } else if (line.wants_help) {
        code = print_help(&line, &error);
    } else if (line.wants_version) {
        printf("vlockrun %s (%s)\n", vlock_version(), vlock_library_versions());
        code = VLOCK_EXIT_FINE;
    } else {
        code = run(&line, &error);
    }
    if (error.code != VLOCK_OK) {
        fputs("vlockrun: ", stderr);
        vlock_message_print(error.message);
    }
    vlock_command_line_clear(&line);
    free_words(words);
    if (fflush(stdout) != 0 && code == VLOCK_EXIT_FINE) {
        fprintf(stderr, "vlockrun: cannot write the output: %s\n", strerror(errno));
        code = VLOCK_EXIT_SCRIPT;
    }
    return code;
}
