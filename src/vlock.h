/*
 * libvlock: optimistic locking on Redis or Valkey, with conflict policies in Lua.
 *
 * One engine owns one Lua 5.4 state, one event loop and its connections, and belongs to one thread:
 * no function of an engine may be called from two threads at once, except vlock_interrupt().
 * Several engines live side by side in one process.
 *
 * Callbacks: the one of a log line and the one of an update are called while the engine runs, and
 * nothing of that engine can be used in there: what is tried fails with VLOCK_ERR_USAGE. In the one
 * of a reply the run is over, and the next one may begin. vlock_close() is allowed in all of them:
 * it ends the run, and the engine goes when the function that called back returns.
 *
 * fork(): an engine belongs to the process that opened it. In a child its functions fail with
 * VLOCK_ERR_USAGE, vlock_close() does nothing, and connections and private server stay the
 * parent's; the child opens an engine of its own.
 *
 *     struct vlock_error error;
 *     struct vlock_options options = {.url = "redis://localhost"};
 *     vlock_engine *engine = vlock_open(&options, &error);
 *     if (!engine || vlock_run_file(engine, "ping.lua", NULL, print_reply, NULL, &error) != 0)
 *         fprintf(stderr, "%s\n", error.message);
 *     vlock_close(engine);
 */
#ifndef VLOCK_H
#define VLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vlock_error.h"
#include "vlock_reply.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VLOCK_VERSION "0.1.0"

#ifndef VLOCK_API
#define VLOCK_API __attribute__((visibility("default")))
#endif

typedef struct vlock_engine vlock_engine;

enum vlock_log_level { VLOCK_LOG_DEBUG, VLOCK_LOG_VERBOSE, VLOCK_LOG_NOTICE, VLOCK_LOG_WARNING };

/* Zero means the default everywhere. Strings are copied. */
struct vlock_options {
    /* Of the server scripts talk to: redis://[[user:]password@]host[:port][/db], the same with
     * rediss:// for TLS, unix:///path[?db=N]; redis+cluster://[…@]host[:port],… for a cluster, of
     * which any node is named; redis+sentinel://[…@]host[:port],…/service[/db] for the primary of a
     * service that has sentinels. */
    const char *url;
    /* Without a url: start an empty server of one's own, at the first command, gone with the
     * engine. */
    bool private_server;
    const char *password;   /* for the url, where it holds none; never printed */
    uint64_t seed;          /* of all random numbers; 0: from the system */
    double connect_timeout; /* seconds for one attempt to connect; default 5 */
    double command_timeout; /* seconds from sending a command to its reply; default 10 */
    /* For how many seconds a call that blocks looks for a reply before it sleeps, where replies
     * come that soon and nobody else needs the processor; default 0.0002; negative: not at all.
     * Sleeping costs less processor time, and being woken takes longer than a server nearby. */
    double busy_poll;
    /* For every URL with TLS. Files in PEM: of the CA that the server's certificate is from
     * (default: those of the system), of the client's certificate, and of its key, which has no
     * passphrase. The name that the server's certificate must be for, and that the server is told;
     * default: the host of the URL. Insecure: whoever answers is taken for the server. */
    const char *tls_ca, *tls_certificate, *tls_key, *tls_server_name;
    bool tls_insecure;
    /* Bytes that the Lua state may hold: scripts, policies, what they make, and replies once they
     * are Lua values; not the buffers of connections. From 1,000,000; default: no bound. What needs
     * more fails with VLOCK_ERR_MEMORY, as everything does where the system has none to give. */
    size_t max_memory;
    /* Default: nothing is logged. */
    void (*log)(void *user, enum vlock_log_level level, const char *message);
    void *log_user;
};

/* Keys and arguments of a script: its KEYS and ARGV. Any bytes; `sizes` NULL: all are
 * NUL-terminated. */
struct vlock_arguments {
    size_t key_count;
    const char *const *keys;
    const size_t *key_sizes;
    size_t arg_count;
    const char *const *args;
    const size_t *arg_sizes;
};

/* What a script returned, converted as Redis converts what its scripts return; valid during the
 * call. */
typedef void vlock_reply_callback(void *user, const struct vlock_reply *reply);

/* Opens an engine. Does not connect yet: that happens at the first command. NULL and `error` on
 * failure: VLOCK_ERR_USAGE for a bad url, a file for TLS that cannot be used, or a max_memory that
 * is too small; VLOCK_ERR_MEMORY;
 * VLOCK_ERR_SYSTEM. */
VLOCK_API vlock_engine *vlock_open(const struct vlock_options *options, struct vlock_error *error);

/* Ends everything that still runs in it, its connections and its private server. NULL is
 * ignored. */
VLOCK_API void vlock_close(vlock_engine *engine);

/* Runs Lua source, or a file, and everything it spawned, to the end. Blocks. 0, or -1 and `error`:
 *   VLOCK_ERR_USAGE        the file cannot be read
 *   VLOCK_ERR_SCRIPT       a syntax error, or an error that was raised and not caught; the message
 *                          holds the traceback
 *   VLOCK_ERR_UNREACHABLE  … and it was that the server cannot be reached or refused us
 *   VLOCK_ERR_INTERRUPTED  vlock_interrupt() ended it
 *   VLOCK_ERR_MEMORY       … and it was that there is not enough memory; the engine goes on, and
 *                          what the script let go of is free again
 * `name` is the chunk's name in messages, as luaL_loadbuffer() takes it. `arguments` and `callback`
 * may be NULL. Runs do not nest: one that is begun while another is on is refused, as is one from
 * inside a callback (see above for which). */
VLOCK_API int vlock_run_string(vlock_engine *engine, const char *source, size_t length,
                               const char *name, const struct vlock_arguments *arguments,
                               vlock_reply_callback *callback, void *user,
                               struct vlock_error *error);
VLOCK_API int vlock_run_file(vlock_engine *engine, const char *path,
                             const struct vlock_arguments *arguments,
                             vlock_reply_callback *callback, void *user, struct vlock_error *error);

/* ---- cells: a value with its version ----
 *
 * The same as vlock.get, vlock.compare_and_set and vlock.update of scripts; they block. Keys and
 * values are any bytes. */

/* A state of a cell. Its texts are malloc'd: free them with vlock_state_clear(). */
struct vlock_state {
    /* `size` bytes and a NUL; NULL: the cell is absent, or a policy whose merge is done at the
     * server has committed, the reply was lost, and others have written since */
    char *value;
    size_t size;
    int64_t version; /* 0: never written */
    /* What names this state; tells a recreated record from an old one, which the version alone does
     * not. */
    char *stamp;
};

VLOCK_API void vlock_state_clear(struct vlock_state *state);

/* Zero means the default everywhere; NULL for the whole is all defaults. Names are those of files,
 * found as in scripts. */
struct vlock_cell_options {
    const char *retry, *backoff, *merge; /* default: deadline, full_jitter, recompute */
    /* A whole policy instead of these three: the file of one, "mine.lua", or a name. */
    const char *policy;
    const char *store;       /* default: plain */
    const char *version_key; /* default: {key}:v */
    /* Lifetime of the version record, seconds; default: none (compare_and_set: 100). */
    double expire;
    double ttl; /* of the value, seconds; default: as it is */
    /* Of a call, seconds: no reply is waited for any longer, and a write whose reply did not come
     * is VLOCK_UNKNOWN. Default: the retry policy's, and the command time-out. */
    double deadline;
    /* For how long a write whose reply was lost can be sent again to learn what became of it,
     * seconds; default: 60; negative: not at all, and such a write is VLOCK_UNKNOWN. */
    double receipts;
};

enum vlock_outcome {
    VLOCK_COMMITTED = 0, /* applied exactly once */
    VLOCK_CONFLICT = 1,  /* surely not applied, and never will be */
    VLOCK_GAVE_UP = 2,   /* the policy or the deadline ended it; surely not applied */
    /* Nobody can tell whether it was applied: sent, and cut off or interrupted before the reply
     * came. */
    VLOCK_UNKNOWN = 3,
    /* The server went back behind the state that the write stands on: it lost writes, or the record
     * was deleted. The write is not there. */
    VLOCK_HISTORY_LOST = 4,
    VLOCK_FAILED = -1, /* refused: surely not applied; `error` says why */
};

/* `error` is filled in after every outcome but VLOCK_COMMITTED and VLOCK_CONFLICT, and left as it
 * is after these. Codes: VLOCK_ERR_USAGE, options that make no sense, a policy or store that is
 * unknown or broken; VLOCK_ERR_REPLY, the server refused; VLOCK_ERR_UNREACHABLE; VLOCK_ERR_SCRIPT,
 * Lua code of a policy or a store failed; VLOCK_ERR_MEMORY, there is not enough, and nothing was
 * applied; VLOCK_ERR_GAVE_UP; VLOCK_ERR_AMBIGUOUS with VLOCK_UNKNOWN and VLOCK_HISTORY_LOST. */

/* Reads value, version and stamp in one atomic step. 0, or -1 and `error`. */
VLOCK_API int vlock_get(vlock_engine *engine, const char *key, size_t key_size,
                        const struct vlock_cell_options *options, struct vlock_state *state,
                        struct vlock_error *error);

/* One attempt to write `value` (NULL: to delete) over the state `expected`: its stamp where it has
 * one, else its version; NULL: that of a cell that was never written. `now`, which may be NULL,
 * becomes the new state after VLOCK_COMMITTED, and the one that stands there after VLOCK_CONFLICT;
 * where there is no memory for it, it stays zero, stamp NULL, and the outcome holds all the
 * same. */
VLOCK_API enum vlock_outcome vlock_compare_and_set(vlock_engine *engine, const char *key,
                                                   size_t key_size, const char *value, size_t size,
                                                   const struct vlock_state *expected,
                                                   const struct vlock_cell_options *options,
                                                   struct vlock_state *now,
                                                   struct vlock_error *error);

enum vlock_decision {
    /* `update->value` and `update->size` are the new value: yours, and unchanged until the next
     * call or the end. */
    VLOCK_WRITE,
    VLOCK_DELETE,
    VLOCK_LEAVE, /* as it is */
    VLOCK_ABORT, /* end the update with VLOCK_FAILED and VLOCK_ERR_GAVE_UP */
};

struct vlock_update {
    /* The present value, `present_size` bytes; NULL: absent. Good during the call. */
    const char *present;
    size_t present_size;
    int64_t version;
    const char *value;
    size_t size;
};

/* Computes the new value from the present one. May be called more than once; cannot use the engine
 * (see above). */
typedef enum vlock_decision vlock_update_callback(void *user, struct vlock_update *update);

/* Reads, computes, writes, and retries as the policy says. `now`, which may be NULL, becomes the
 * state that was written or left. After VLOCK_GAVE_UP and VLOCK_UNKNOWN `error` says why. */
VLOCK_API enum vlock_outcome vlock_update(vlock_engine *engine, const char *key, size_t key_size,
                                          vlock_update_callback *callback, void *user,
                                          const struct vlock_cell_options *options,
                                          struct vlock_state *now, struct vlock_error *error);

/* ---- for those who have a loop of their own ----
 *
 *     vlock_start(engine, …);
 *     while (vlock_step(engine, &error) == 1)
 *         poll vlock_descriptor(engine) for input, beside what else there is to wait for
 */

/* Begins a run as vlock_run_string() does, and returns. 0, or -1 and `error`. `callback` is called
 * from the vlock_step() that ends it. */
VLOCK_API int vlock_start(vlock_engine *engine, const char *source, size_t length, const char *name,
                          const struct vlock_arguments *arguments, vlock_reply_callback *callback,
                          void *user, struct vlock_error *error);

/* Does what can be done without waiting. 1: the run goes on; 0: it has ended well, or there was
 * none; -1 and `error`: it has failed. Between two runs it takes note of connections that have
 * ended. */
VLOCK_API int vlock_step(vlock_engine *engine, struct vlock_error *error);

/* A file descriptor that is readable when vlock_step() has something to do, and only then. Owned by
 * the engine. -1 where the system has none to give. */
VLOCK_API int vlock_descriptor(vlock_engine *engine);

/* Ends the present run: at once where it waits, and within a tenth of a second where Lua code runs
 * without waiting. A script that asked for it (the lab does) first gets the chance to end by
 * itself. May be called from a signal handler or another thread's signal that is handled in the
 * engine's thread; does nothing while vlock_close() runs. `reason` is a static string, shown in the
 * message. */
VLOCK_API void vlock_interrupt(vlock_engine *engine, const char *reason);

/* For a watchdog that asks at intervals, from a signal handler if it likes: whether Lua code has
 * been running since the last call without ever waiting, in a script that asked to be watched for
 * that (the lab does: a policy that loops forever is broken). */
VLOCK_API bool vlock_is_stuck(vlock_engine *engine);

/* The same for a signal handler: true if the loop has turned since the last call. */
VLOCK_API bool vlock_has_turned(vlock_engine *engine);

/* "0.1.0", and the versions of what it runs on: "hiredis 0.14.1, Lua 5.4.4, libevent
 * 2.1.12-stable". */
VLOCK_API const char *vlock_version(void);
VLOCK_API const char *vlock_library_versions(void);

#ifdef __cplusplus
}
#endif

#endif
