/*
 * What the command line of vlockrun knows, once: the options and the verbs. Parsing, help, man page
 * and completion all come from here.
 */
#ifndef VLOCK_OPTION_TABLE_H
#define VLOCK_OPTION_TABLE_H

#include <stddef.h>

enum vlock_form {
    FORM_NONE, /* takes no value */
    FORM_TEXT,
    FORM_FILE,     /* a path */
    FORM_DURATION, /* 250us 2ms 1s 5m */
    FORM_COUNT,    /* a whole number ≥ 0, 10k, 1M */
    FORM_RATE,     /* a number > 0, 0.5, 10k */
    FORM_URL,      /* of a server */
    FORM_OPTIONAL, /* a text behind =, or none */
};

struct vlock_option {
    const char *name; /* NULL: a group begins here, and `help` is what it is called */
    char letter;      /* 0: it has none */
    enum vlock_form form;
    const char *value; /* what the help calls it; NULL: takes none */
    const char *help;
};

/* In the order of the help. */
extern const struct vlock_option vlock_options_known[];
extern const size_t vlock_option_count;

/* A word that stands where a file would. */
struct vlock_verb {
    const char *name;
    const char *words;   /* what may stand behind it */
    const char *summary; /* in a line */
    const char *text;    /* lines of 76 columns at most */
    const char *groups;  /* the options that it takes, by the first letters of their groups */
};

extern const struct vlock_verb vlock_verbs[];
extern const size_t vlock_verb_count;

/* NULL where there is none of that name. */
const struct vlock_verb *vlock_verb_find(const char *name);

/* By the name without dashes, of `length` bytes, or by the letter. */
const struct vlock_option *vlock_option_find(const char *name, size_t length);
const struct vlock_option *vlock_option_of_letter(char letter);

#endif
