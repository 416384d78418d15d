/* Lines that somebody types: see line_editor.h. */
#include "command/line_editor.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef VLOCK_LIBEDIT
#include <histedit.h>
#include <langinfo.h>
#include <wchar.h>
#endif

#include "base/secret.h"

#define LINES_KEPT 1000

struct vlock_line_editor {
    char *path; /* of the history; NULL: none */
    vlock_line_completer *completer;
    void *user;
    char *line; /* the last one */
    size_t size;
    const char *prompt;
#ifdef VLOCK_LIBEDIT
    EditLine *edit;
    History *history;
    locale_t locale; /* (locale_t)0: there is none */
#endif
};

/* ---- signals while somebody types ---- */

static volatile sig_atomic_t signal_seen;

static void note_signal(int number)
{
    signal_seen = number;
}

static const int heeded[] = {SIGINT, SIGTERM, SIGHUP};

#define HEEDED_COUNT (sizeof heeded / sizeof *heeded)

/* Has signals end a read. `before` is given back by restore_signals(). */
static void heed_signals(struct sigaction before[])
{
    struct sigaction action = {.sa_handler = note_signal};
    sigemptyset(&action.sa_mask);
    signal_seen = 0;
    for (size_t i = 0; i < HEEDED_COUNT; i++)
        sigaction(heeded[i], &action, &before[i]);
}

static void restore_signals(const struct sigaction before[])
{
    for (size_t i = 0; i < HEEDED_COUNT; i++)
        sigaction(heeded[i], &before[i], NULL);
}

/* What a read that failed, or found the end, comes to. */
static enum vlock_line ending(void)
{
    return signal_seen == SIGINT ? VLOCK_LINE_CANCELLED : VLOCK_LINE_END;
}

static bool is_to_be_kept(const char *text)
{
    size_t at = 0, count;
    return !vlock_secret_find(text, strlen(text), &at, &count);
}

#ifdef VLOCK_LIBEDIT

/* ---- with libedit ---- */

static char *prompt_of(EditLine *edit)
{
    struct vlock_line_editor *editor;
    el_get(edit, EL_CLIENTDATA, &editor);
    return (char *)editor->prompt;
}

/* One letter of the input. libedit's own function would read on after a signal. */
static int read_letter(EditLine *edit, wchar_t *letter)
{
    mbstate_t state;
    (void)edit;
    memset(&state, 0, sizeof state);
    for (;;) {
        char byte;
        ssize_t got = read(STDIN_FILENO, &byte, 1);
        if (got < 0 && errno == EINTR && !signal_seen)
            continue;
        if (got <= 0)
            return (int)got;
        size_t used = mbrtowc(letter, &byte, 1, &state);
        if (used == (size_t)-1) { /* no letter: as it is */
            *letter = (unsigned char)byte;
            return 1;
        }
        if (used != (size_t)-2)
            return 1;
    }
}

static bool is_of_a_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == ':';
}

static unsigned char complete(EditLine *edit, int key)
{
    struct vlock_line_editor *editor;
    const LineInfo *info = el_line(edit);
    const char *begin = info->cursor;
    (void)key;
    el_get(edit, EL_CLIENTDATA, &editor);
    while (begin > info->buffer && is_of_a_name(begin[-1]))
        begin--;
    if (begin == info->cursor) /* it ends no name: an indentation */
        return el_insertstr(edit, "  ") == 0 ? CC_REFRESH : CC_ERROR;
    char *rest = editor->completer(editor->user, begin, (size_t)(info->cursor - begin));
    bool is_inserted = rest && *rest && el_insertstr(edit, rest) == 0;
    free(rest);
    return is_inserted ? CC_REFRESH : CC_REDISPLAY;
}

static void open_history(struct vlock_line_editor *editor)
{
    HistEvent event;
    history(editor->history, &event, H_SETSIZE, LINES_KEPT);
    history(editor->history, &event, H_SETUNIQUE, 1);
    if (editor->path)
        history(editor->history, &event, H_LOAD, editor->path);
    el_set(editor->edit, EL_HIST, history, editor->history);
}

/* The letters of the user's locale; where it has none but ASCII's, those of UTF-8. */
static locale_t letters(void)
{
    locale_t own = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    if (own && strcmp(nl_langinfo_l(CODESET, own), "ANSI_X3.4-1968") != 0)
        return own;
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (utf8 && own)
        freelocale(own);
    return utf8 ? utf8 : own;
}

static bool set_up(struct vlock_line_editor *editor)
{
    editor->edit = el_init("vlockrun", stdin, stdout, stderr);
    editor->history = history_init();
    if (!editor->edit || !editor->history)
        return false;
    el_set(editor->edit, EL_CLIENTDATA, editor);
    el_set(editor->edit, EL_PROMPT, prompt_of);
    el_set(editor->edit, EL_EDITOR, "emacs");
    el_set(editor->edit, EL_GETCFN, read_letter);
    el_set(editor->edit, EL_ADDFN, "vlock-complete", "complete a name", complete);
    el_set(editor->edit, EL_BIND, "\t", "vlock-complete", NULL);
    el_set(editor->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    open_history(editor);
    el_source(editor->edit, NULL); /* what the user likes otherwise: ~/.editrc */
    return true;
}

/* For its letters; scripts run in the program's own locale. Returns what was before. */
static locale_t use_letters(struct vlock_line_editor *editor)
{
    return editor->locale ? uselocale(editor->locale) : (locale_t)0;
}

static void leave_letters(locale_t before)
{
    if (before)
        uselocale(before);
}

static bool open_editor(struct vlock_line_editor *editor)
{
    editor->locale = letters();
    locale_t before = use_letters(editor);
    bool is_open = set_up(editor);
    leave_letters(before);
    return is_open;
}

static enum vlock_line read_line(struct vlock_line_editor *editor)
{
    int length = 0;
    locale_t before = use_letters(editor);
    el_resize(editor->edit);
    const char *line = el_gets(editor->edit, &length);
    leave_letters(before);
    if (!line || length <= 0) {
        el_reset(editor->edit);
        return ending();
    }
    free(editor->line);
    editor->line = strdup(line);
    return editor->line ? VLOCK_LINE_READ : VLOCK_LINE_END;
}

void vlock_line_editor_remember(struct vlock_line_editor *editor, const char *text)
{
    HistEvent event;
    history(editor->history, &event, H_ENTER, text);
}

/* Without the lines that hold a password. */
static void save_history(struct vlock_line_editor *editor)
{
    HistEvent event;
    History *kept = history_init();
    if (!kept)
        return;
    history(kept, &event, H_SETSIZE, LINES_KEPT);
    for (int found = history(editor->history, &event, H_LAST); found >= 0;
         found = history(editor->history, &event, H_PREV))
        if (is_to_be_kept(event.str)) {
            HistEvent entered;
            history(kept, &entered, H_ENTER, event.str);
        }
    mode_t mask = umask(077);
    history(kept, &event, H_SAVE, editor->path);
    umask(mask);
    history_end(kept);
}

static void close_editor(struct vlock_line_editor *editor)
{
    if (editor->history && editor->path)
        save_history(editor);
    if (editor->edit)
        el_end(editor->edit);
    if (editor->history)
        history_end(editor->history);
    if (editor->locale)
        freelocale(editor->locale);
}

#define TEXT_OF(x) #x
#define LIBRARY(major, minor) "libedit " TEXT_OF(major) "." TEXT_OF(minor)

const char *vlock_line_editor_library(void)
{
    return LIBRARY(LIBEDIT_MAJOR, LIBEDIT_MINOR);
}

#else

/* ---- without ---- */

static bool open_editor(struct vlock_line_editor *editor)
{
    (void)editor;
    return true;
}

static enum vlock_line read_line(struct vlock_line_editor *editor)
{
    fputs(editor->prompt, stdout);
    fflush(stdout);
    ssize_t length = getline(&editor->line, &editor->size, stdin);
    if (length < 0) {
        clearerr(stdin);
        return ending();
    }
    return VLOCK_LINE_READ;
}

void vlock_line_editor_remember(struct vlock_line_editor *editor, const char *text)
{
    (void)editor, (void)text, (void)is_to_be_kept;
}

static void close_editor(struct vlock_line_editor *editor)
{
    (void)editor;
}

const char *vlock_line_editor_library(void)
{
    return NULL;
}

#endif

/* ---- both ---- */

struct vlock_line_editor *vlock_line_editor_new(const char *history,
                                                vlock_line_completer *completer, void *user)
{
    struct vlock_line_editor *editor = calloc(1, sizeof *editor);
    if (!editor)
        return NULL;
    editor->completer = completer;
    editor->user = user;
    editor->path = history ? strdup(history) : NULL;
    if (!open_editor(editor)) {
        vlock_line_editor_free(editor);
        return NULL;
    }
    return editor;
}

enum vlock_line vlock_line_editor_read(struct vlock_line_editor *editor, const char *prompt,
                                       const char **line)
{
    struct sigaction before[HEEDED_COUNT];
    editor->prompt = prompt;
    heed_signals(before);
    enum vlock_line result = read_line(editor);
    restore_signals(before);
    if (result == VLOCK_LINE_READ) {
        editor->line[strcspn(editor->line, "\r\n")] = '\0';
        *line = editor->line;
    }
    return result;
}

void vlock_line_editor_free(struct vlock_line_editor *editor)
{
    if (!editor)
        return;
    close_editor(editor);
    free(editor->line);
    free(editor->path);
    free(editor);
}
