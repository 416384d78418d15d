/*
 * A session at a terminal: vlockrun without a file. Each line, or each chunk of several, is a run
 * of its own, so that Ctrl-C ends the line and not the session; globals stay. What a line means is
 * decided in lua/vlock/command/prompt.lua.
 */
#ifndef VLOCK_PROMPT_H
#define VLOCK_PROMPT_H

#include "vlock.h"

/* Reads and runs lines until the input ends. arguments: the options, as for a run. Returns the exit
 * code. */
int vlock_prompt_run(vlock_engine *engine, const struct vlock_arguments *arguments,
                     struct vlock_error *error);

#endif
