/*
 * The command line of vlockrun, read. Which options there are stands in option_table.h. What an
 * option means for a run is decided in lua/vlock/command/command.lua; here it is read, checked by
 * form, and passed on by name.
 */
#ifndef VLOCK_OPTIONS_H
#define VLOCK_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vlock_error.h"

struct vlock_command_line {
    const char *url;           /* --url, with --cluster that of a cluster; else NULL */
    char *url_of_cluster;      /* its text, where --cluster changed it; else NULL */
    const char *password_file; /* --password-file, else NULL */
    /* --cacert, --cert, --cert-key, --sni, else NULL; --insecure */
    const char *ca, *certificate, *certificate_key, *server_name;
    bool is_insecure;
    bool is_cluster;           /* --cluster */
    uint64_t seed;             /* 0: not given */
    int64_t timeout_ns;        /* 0: none */
    double busy_poll;          /* seconds; negative: none; 0: the default */
    size_t max_memory;         /* bytes; 0: no bound */
    bool wants_help, wants_version, wants_json;
    bool has_chunk;    /* --eval was given */
    bool is_bare;      /* nothing to run: neither FILE nor --eval nor a verb */
    const char *topic; /* of the help: a verb or an option; NULL: all of it */
    /* The options in the order given, each its name and its value, "" where it takes none. */
    const char **options;
    size_t option_words;
    const char **words; /* FILE, or a verb, and what follows it */
    size_t word_count;
};

/* Reads argv. 0, or -1 with VLOCK_ERR_USAGE. `line` points into argv; free with
 * vlock_command_line_clear(). */
int vlock_command_line_parse(int argc, char **argv, struct vlock_command_line *line,
                             struct vlock_error *error);
void vlock_command_line_clear(struct vlock_command_line *line);

#endif
