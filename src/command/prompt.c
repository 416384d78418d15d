/* A session at a terminal: see prompt.h. */
#include "command/prompt.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "command/exit_codes.h"
#include "command/line_editor.h"
#include "command/message.h"
#include "command/signals.h"

/* What prompt.lua returns. */
enum verdict { RAN = 0, INCOMPLETE = 1 };

struct session {
    vlock_engine *engine;
    struct vlock_line_editor *editor;
    struct vlock_buffer chunk; /* the lines so far of one that goes on */
};

/* ---- prompt.lua ---- */

static void take_verdict(void *user, const struct vlock_reply *reply)
{
    *(enum verdict *)user =
        reply->type == VLOCK_REPLY_INTEGER && reply->integer == INCOMPLETE ? INCOMPLETE : RAN;
}

static int call(vlock_engine *engine, const char *source, const struct vlock_arguments *arguments,
                vlock_reply_callback *callback, void *user)
{
    struct vlock_error error;
    int result = vlock_run_string(engine, source, strlen(source), "=prompt", arguments, callback,
                                  user, &error);
    if (result != 0) /* of an interrupt, whoever pressed Ctrl-C knows where */
        vlock_message_print(error.code == VLOCK_ERR_INTERRUPTED ? "interrupted" : error.message);
    return result;
}

static enum verdict run_chunk(struct session *session)
{
    enum verdict verdict = RAN;
    const char *text = session->chunk.data;
    struct vlock_arguments arguments = {
        .arg_count = 1, .args = &text, .arg_sizes = &session->chunk.length};
    call(session->engine, "return require('vlock.command.prompt').run(ARGV[1])", &arguments,
         take_verdict, &verdict);
    fflush(stdout);
    return verdict;
}

struct completion {
    char *rest;
};

static void take_completion(void *user, const struct vlock_reply *reply)
{
    struct completion *completion = user;
    if (reply->type == VLOCK_REPLY_STRING)
        completion->rest = strdup(reply->string);
}

static char *complete(void *user, const char *word, size_t length)
{
    struct session *session = user;
    struct completion completion = {NULL};
    struct vlock_arguments arguments = {.arg_count = 1, .args = &word, .arg_sizes = &length};
    call(session->engine, "return require('vlock.command.prompt').complete(ARGV[1])", &arguments,
         take_completion, &completion);
    fflush(stdout);
    return completion.rest;
}

/* ---- the history's file ---- */

/* Makes the folders that a path lies in. */
static void make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
}

/* $XDG_STATE_HOME/vlock/lines, malloc'd; NULL where there is no place for it. */
static char *history_path(void)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char *path;
    int length = state && *state ? asprintf(&path, "%s/vlock/lines", state)
                 : home && *home ? asprintf(&path, "%s/.local/state/vlock/lines", home)
                                 : -1;
    if (length < 0)
        return NULL;
    make_folders(path);
    return path;
}

/* ---- the session ---- */

/* Whether the session goes on. */
static bool take_line(struct session *session, const char *line)
{
    struct vlock_buffer *chunk = &session->chunk;
    if (chunk->length == 0 && line[strspn(line, " \t")] == '\0')
        return true;
    if (vlock_buffer_append(chunk, chunk->length ? "\n" : "", chunk->length ? 1 : 0) != 0 ||
        vlock_buffer_append(chunk, line, strlen(line) + 1) != 0) {
        vlock_message_print("out of memory");
        vlock_buffer_reset(chunk);
        return true;
    }
    chunk->length--; /* the NUL does not count */
    if (run_chunk(session) == RAN) {
        vlock_line_editor_remember(session->editor, chunk->data);
        vlock_buffer_reset(chunk);
    }
    return vlock_signals_forget();
}

static int run(struct session *session)
{
    const char *line;
    for (;;) {
        switch (
            vlock_line_editor_read(session->editor, session->chunk.length ? ">> " : "> ", &line)) {
        case VLOCK_LINE_END:
            putchar('\n');
            return VLOCK_EXIT_FINE;
        case VLOCK_LINE_CANCELLED:
            puts("^C");
            vlock_buffer_reset(&session->chunk);
            break;
        case VLOCK_LINE_READ:
            if (!take_line(session, line))
                return VLOCK_EXIT_INTERRUPTED;
            break;
        }
    }
}

int vlock_prompt_run(vlock_engine *engine, const struct vlock_arguments *arguments,
                     struct vlock_error *error)
{
    struct session session = {.engine = engine};
    static const char begin[] = "require('vlock.command.prompt').begin(KEYS)";
    if (vlock_run_string(engine, begin, sizeof begin - 1, "=prompt", arguments, NULL, NULL,
                         error) != 0)
        return VLOCK_EXIT_SCRIPT;
    char *path = history_path();
    session.editor = vlock_line_editor_new(path, complete, &session);
    free(path);
    if (!session.editor) {
        vlock_error_set(error, VLOCK_ERR_MEMORY, "out of memory");
        return VLOCK_EXIT_SCRIPT;
    }
    int code = run(&session);
    vlock_line_editor_free(session.editor);
    vlock_buffer_free(&session.chunk);
    return code;
}
