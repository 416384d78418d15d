/*
 * Lines that somebody types: with editing, history and completion where vlockrun was built with
 * libedit, else as they come.
 */
#ifndef VLOCK_LINE_EDITOR_H
#define VLOCK_LINE_EDITOR_H

#include <stddef.h>

struct vlock_line_editor;

/* Completes the word that ends at the cursor, `length` bytes at `word`: returns what is to be
 * inserted, malloc'd; NULL: nothing. */
typedef char *vlock_line_completer(void *user, const char *word, size_t length);

/* history: a file that lines are kept in, NULL: none. NULL when out of memory. */
struct vlock_line_editor *vlock_line_editor_new(const char *history,
                                                vlock_line_completer *completer, void *user);

enum vlock_line { VLOCK_LINE_READ, VLOCK_LINE_CANCELLED, VLOCK_LINE_END };

/* Reads a line behind `prompt`, without its end. It is good until the next call. CANCELLED: by
 * Ctrl-C. END: of the input, or a signal asks to end. */
enum vlock_line vlock_line_editor_read(struct vlock_line_editor *editor, const char *prompt,
                                       const char **line);

/* Remembers what was typed, in memory and, where it holds no password, in the file. */
void vlock_line_editor_remember(struct vlock_line_editor *editor, const char *text);

/* Writes the file and gives the terminal back. NULL is ignored. */
void vlock_line_editor_free(struct vlock_line_editor *editor);

/* Whether lines can be edited: "libedit 3.1"; NULL: they cannot. */
const char *vlock_line_editor_library(void);

#endif
