/* What the rooms of an engine share: engine.c opens and closes it, run.c runs what is given to
 * it. */
#ifndef VLOCK_ENGINE_PARTS_H
#define VLOCK_ENGINE_PARTS_H

#include <locale.h>
#include <sys/types.h>

#include "base/memory_bound.h"
#include "engine/engine.h"
#include "lua/lib_redis.h"
#include "task/scheduler.h"

struct vlock_engine {
    pid_t process; /* that opened it */
    lua_State *L;  /* its own; NULL where it is a guest in somebody else's */
    struct vlock_scheduler *scheduler;
    struct vlock_private_server *server;
    struct vlock_redis_host redis;
    struct vlock_tls_context *tls; /* NULL: not wanted yet */
    struct vlock_memory_bound memory;
    char *url;
    char *password;
    bool private_server;
    void (*log)(void *user, enum vlock_log_level level, const char *message);
    void *log_user;
    vlock_reply_callback *callback; /* of the present run */
    void *callback_user;
    bool is_turning; /* its loop turns: a callback is called from inside of it */
    /* This thread's while a public function is under way, and what it was before. */
    locale_t locale, program_locale;
    int depth;               /* public functions under way: one, or one more in a reply callback */
    bool is_closed;          /* by a callback: it ends when these have returned */
    volatile bool is_ending; /* what runs now are finalizers; signal handlers look at it */
};

#endif
