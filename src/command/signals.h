/*
 * What signals do to vlockrun: SIGINT, SIGTERM and the end of --timeout interrupt what the engine
 * runs; a watchdog stands behind that, and ends the program where the script does not heed it.
 */
#ifndef VLOCK_SIGNALS_H
#define VLOCK_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

#include "vlock.h"

/* From here on signals are for this engine. timeout_ns: 0: none. */
void vlock_signals_catch(vlock_engine *engine, int64_t timeout_ns);

/* The engine is about to be closed: signals no longer reach it. */
void vlock_signals_release(void);

/* It took too long, or never waited; nobody pressed Ctrl-C. */
bool vlock_signals_blame_script(void);

/* Of several runs one after the other: forgets that one was interrupted. False where it was for
 * good: by SIGTERM, or by --timeout. */
bool vlock_signals_forget(void);

#endif
