/* The help of vlockrun, from the table of options. */
#ifndef VLOCK_HELP_H
#define VLOCK_HELP_H

#include <stdbool.h>
#include <stdio.h>

#include "vlock_error.h"

/* All of it (topic NULL), or about one verb or option. 0, or -1 with VLOCK_ERR_USAGE where there is
 * no such topic. */
int vlock_help_print(const char *topic, FILE *out, struct vlock_error *error);

/* Options and verbs as one JSON document, for man page, completion and whoever builds more. */
void vlock_help_print_json(FILE *out);

#endif
