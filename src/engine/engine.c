/* The engine: one Lua state, its scheduler and its private server, behind the public functions of
 * vlock.h. */
#include "engine/engine_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua-cjson.h>
#include <lualib.h>

#include "base/clock.h"
#include "lua/built_in.h"
#include "lua/lib_files.h"
#include "lua/lib_lab.h"
#include "lua/lib_random.h"
#include "lua/lib_redis.h"
#include "lua/lib_reply.h"
#include "lua/lib_sim.h"
#include "lua/lib_task.h"
#include "lua/lib_text.h"
#include "lua/reply.h"
#include "net/link.h"
#include "base/numeric_locale.h"
#include "net/tls.h"
#include "process/private_server.h"
#include "base/random.h"
#include "task/scheduler.h"
#include "base/url.h"

#define CONNECT_TIMEOUT_SECONDS 5
#define COMMAND_TIMEOUT_SECONDS 10
#define BUSY_POLL_SECONDS 0.0002
#define LEAST_MEMORY 1000000 /* bytes: an engine alone has half of it */

/* ---- what the `redis` library and the scheduler ask ---- */

static void log_message(void *opaque, int level, const char *message)
{
    struct vlock_engine *engine = opaque;
    if (!engine->log)
        return;
    vlock_engine_call_out(engine, true);
    engine->log(engine->log_user, (enum vlock_log_level)level, message);
    vlock_engine_call_out(engine, false);
}

static void log_warning(void *opaque, const char *message)
{
    log_message(opaque, VLOCK_LOG_WARNING, message);
}

static const char none_is_named[] = "name one in VLOCK_REDIS_URL or with vlock.open { url = "
                                    "\"redis://localhost\" }, or have an empty one of "
                                    "your own with vlock.open { private_server = true }";

static const char *server_url(void *opaque, bool is_private, struct vlock_error *error)
{
    struct vlock_engine *engine = opaque;
    if (engine->url && !is_private)
        return engine->url;
    if (!engine->url && !engine->private_server && !is_private) {
        vlock_error_set(error, VLOCK_ERR_UNREACHABLE, "no server: %s",
                        engine->L ? "the engine was opened without a url" : none_is_named);
        return NULL;
    }
    if (!engine->server) {
        engine->server = vlock_private_server_start(error);
        /* For want of descriptors, perhaps. */
        if (!engine->server && engine->L && error->code == VLOCK_ERR_SYSTEM) {
            lua_gc(engine->L, LUA_GCCOLLECT);
            engine->server = vlock_private_server_start(error);
        }
        if (!engine->server)
            return NULL;
        if (engine->L) /* a guest's was asked for by name */
            log_message(engine, VLOCK_LOG_NOTICE,
                        "private empty server; -u redis://localhost for yours");
    }
    return vlock_private_server_url(engine->server);
}

/* The password is for the server of the url, and for no other. */
static const char *server_password(void *opaque)
{
    struct vlock_engine *engine = opaque;
    return engine->url ? engine->password : NULL;
}

/* ---- TLS ---- */

static int open_tls(struct vlock_engine *engine, const struct vlock_options *options,
                    struct vlock_error *error)
{
    engine->tls = vlock_tls_context_new(
        &(struct vlock_tls_settings){
            .ca = options->tls_ca,
            .certificate = options->tls_certificate,
            .key = options->tls_key,
            .server_name = options->tls_server_name,
            .is_insecure = options->tls_insecure,
        },
        error);
    return engine->tls ? 0 : -1;
}

static bool mentions_tls(const struct vlock_options *options)
{
    return options->tls_ca || options->tls_certificate || options->tls_key ||
           options->tls_server_name || options->tls_insecure;
}

/* Where nothing was said of it when the engine was opened. */
static struct vlock_tls_context *tls(void *opaque, struct vlock_error *error)
{
    struct vlock_engine *engine = opaque;
    static const struct vlock_options defaults;
    if (!engine->tls)
        open_tls(engine, &defaults, error);
    return engine->tls;
}

/* ---- setting up the Lua state ---- */

struct setup {
    struct vlock_engine *engine;
    const struct vlock_options *options;
    uint64_t seed;
};

static int64_t ns_from_seconds(double seconds, double fallback)
{
    return (int64_t)((seconds > 0 && seconds < 1e9 ? seconds : fallback) *
                     (double)VLOCK_NS_PER_SECOND);
}

static void add_scheduler(lua_State *L, const struct setup *setup)
{
    double busy_poll = setup->options->busy_poll;
    struct vlock_scheduler *scheduler = vlock_scheduler_new(L);
    setup->engine->scheduler = scheduler;
    vlock_scheduler_set_log(scheduler, log_warning, setup->engine);
    if (busy_poll >= 0)
        vlock_scheduler_set_busy_poll(scheduler, ns_from_seconds(busy_poll, BUSY_POLL_SECONDS));
}

/* Lua makes the type of its large buffers at the first of them, in steps. Where memory runs out
 * between these, no large buffer can be had in this state any more: so it is made beforehand. */
static void make_buffer_type(lua_State *L)
{
    luaL_Buffer buffer;
    luaL_buffinitsize(L, &buffer, 2 * LUAL_BUFFERSIZE);
    luaL_pushresult(&buffer);
    lua_pop(L, 1);
}

/* Puts vlock.core, vlock.lab_core, vlock.sim_core, vlock.files, vlock.redis_core and cjson into the
 * table on top of the stack. */
static void put_libraries(lua_State *L, const struct setup *setup)
{
    make_buffer_type(L);
    vlock_reply_register(L);
    lua_newtable(L);
    vlock_lib_task_add(L);
    vlock_lib_text_add(L);
    vlock_lib_random_add(L, setup->seed);
    vlock_lib_reply_add(L);
    lua_pushliteral(L, VLOCK_VERSION);
    lua_setfield(L, -2, "version");
    lua_pushstring(L, vlock_library_versions());
    lua_setfield(L, -2, "libraries");
    lua_setfield(L, -2, "vlock.core");
    vlock_lib_lab_open(L);
    lua_setfield(L, -2, "vlock.lab_core");
    vlock_lib_sim_open(L);
    lua_setfield(L, -2, "vlock.sim_core");
    vlock_lib_files_open(L);
    lua_setfield(L, -2, "vlock.files");
    vlock_lib_redis_open(L, &setup->engine->redis);
    lua_setfield(L, -2, "vlock.redis_core");
    lua_pushcfunction(L, luaopen_cjson);
    lua_call(L, 0, 1);
    lua_setfield(L, -2, "cjson");
}

void vlock_engine_push_core(lua_State *L, const char *field)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, "vlock.core");
    lua_getfield(L, -1, field);
    lua_replace(L, -3);
    lua_pop(L, 1);
}

/* Runs protected, in a fresh state. */
static int l_set_up(lua_State *L)
{
    struct setup *setup = lua_touserdata(L, 1);
    add_scheduler(L, setup);
    if (setup->engine->memory.limit)
        vlock_scheduler_set_memory_bound(setup->engine->scheduler, &setup->engine->memory);
    luaL_openlibs(L);
    /* Most of what an update makes is dead at its end: measured 14 % more commits than
     * incremental. */
    lua_gc(L, LUA_GCGEN, 0, 0);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    put_libraries(L, setup);

    const struct vlock_built_in *boot = vlock_built_in_find("vlock/engine/boot.lua");
    if (!boot)
        return luaL_error(L, "vlock/engine/boot.lua is not built in");
    if (luaL_loadbuffer(L, (const char *)boot->data, boot->length, "@vlock/engine/boot.lua") !=
        LUA_OK)
        return lua_error(L);
    lua_call(L, 0, 0);
    return 0;
}

/* Runs protected, in somebody else's state. Returns the libraries, which are not to be seen
 * there. */
static int l_set_up_guest(lua_State *L)
{
    struct setup *setup = lua_touserdata(L, 1);
    add_scheduler(L, setup);
    vlock_scheduler_be_guest(setup->engine->scheduler);
    lua_newtable(L);
    put_libraries(L, setup);
    return 1;
}

static bool copy_text(char **copy, const char *text)
{
    *copy = text ? strdup(text) : NULL;
    return *copy || !text;
}

/* An engine without a state. */
static vlock_engine *new_engine(const struct vlock_options *options, struct vlock_error *error)
{
    struct vlock_engine *engine = calloc(1, sizeof *engine);
    if (engine)
        engine->process = getpid();
    if (engine)
        engine->locale = vlock_numeric_locale_new();
    if (!engine || !copy_text(&engine->url, options->url) ||
        !copy_text(&engine->password, options->password)) {
        vlock_error_set(error, VLOCK_ERR_MEMORY, "out of memory");
        vlock_close(engine);
        return NULL;
    }
    engine->private_server = options->private_server;
    engine->log = options->log;
    engine->log_user = options->log_user;
    engine->redis = (struct vlock_redis_host){
        .server_url = server_url,
        .server_password = server_password,
        .tls = tls,
        .log = log_message,
        .engine = engine,
        .connect_timeout_ns = ns_from_seconds(options->connect_timeout, CONNECT_TIMEOUT_SECONDS),
        .command_timeout_ns = ns_from_seconds(options->command_timeout, COMMAND_TIMEOUT_SECONDS),
    };
    if (mentions_tls(options) && open_tls(engine, options, error) != 0) {
        vlock_close(engine);
        return NULL;
    }
    return engine;
}

/* A seed of ours fits into a double, so that whoever reads it in a JSON document can give it back
 * as it is. */
static bool pick_seed(uint64_t *seed)
{
    if (!*seed) {
        if (vlock_random_entropy(seed, sizeof *seed) != 0)
            return false;
        *seed &= (UINT64_C(1) << 53) - 1;
    }
    *seed &= INT64_MAX;
    return true;
}

/* Where the code is that wants more memory than there may be. */
static void tell_place(void *owner, char *text, size_t size)
{
    struct vlock_engine *engine = owner;
    if (engine->scheduler)
        vlock_scheduler_tell_place(engine->scheduler, text, size);
}

static void bound_memory(struct vlock_engine *engine, size_t limit)
{
    struct vlock_memory_bound *bound = &engine->memory;
    int kilobytes = lua_gc(engine->L, LUA_GCCOUNT), rest = lua_gc(engine->L, LUA_GCCOUNTB);
    bound->limit = limit;
    bound->used = (size_t)kilobytes * 1024 + (size_t)rest;
    bound->tell_place = tell_place;
    bound->owner = engine;
    bound->allocate = lua_getallocf(engine->L, &bound->user);
    lua_setallocf(engine->L, vlock_memory_bound_allocate, bound);
}

/* Sets up L for the engine; `results` values of `set_up` stay on its stack. Where it fails the
 * engine is closed. */
static vlock_engine *set_up_state(vlock_engine *engine, lua_State *L, lua_CFunction set_up,
                                  int results, const struct vlock_options *options,
                                  struct vlock_error *error)
{
    struct setup setup = {.engine = engine, .options = options, .seed = options->seed};
    if (!pick_seed(&setup.seed)) {
        vlock_error_set(error, VLOCK_ERR_SYSTEM, "the system gives no random bytes");
        vlock_close(engine);
        return NULL;
    }
    lua_pushcfunction(L, set_up);
    lua_pushlightuserdata(L, &setup);
    int status = lua_pcall(L, 1, results, 0);
    if (status != LUA_OK) {
        const char *bound = vlock_memory_bound_text(&engine->memory);
        vlock_error_set(error, status == LUA_ERRMEM ? VLOCK_ERR_MEMORY : VLOCK_ERR_SYSTEM, "%s",
                        status == LUA_ERRMEM && bound ? bound : lua_tostring(L, -1));
        vlock_close(engine);
        return NULL;
    }
    return engine;
}

vlock_engine *vlock_open(const struct vlock_options *options, struct vlock_error *error)
{
    static const struct vlock_options defaults;
    struct vlock_url url;
    if (!options)
        options = &defaults;
    if (options->url && vlock_url_parse(options->url, &url, error) != 0)
        return NULL;
    if (options->url)
        vlock_url_clear(&url);
    if (options->max_memory && options->max_memory < LEAST_MEMORY) {
        vlock_error_set(error, VLOCK_ERR_USAGE,
                        "max_memory: %zu bytes are too few for an engine: at least 1M",
                        options->max_memory);
        return NULL;
    }
    vlock_engine *engine = new_engine(options, error);
    if (!engine)
        return NULL;
    engine->L = luaL_newstate();
    if (engine->L && options->max_memory)
        bound_memory(engine, options->max_memory);
    if (engine->L)
        return set_up_state(engine, engine->L, l_set_up, 0, options, error);
    vlock_error_set(error, VLOCK_ERR_MEMORY, "out of memory");
    vlock_close(engine);
    return NULL;
}

vlock_engine *vlock_engine_attach(lua_State *thread, const struct vlock_options *options,
                                  struct vlock_error *error)
{
    vlock_engine *engine = new_engine(options, error);
    return engine ? set_up_state(engine, thread, l_set_up_guest, 1, options, error) : NULL;
}

static void end_engine(vlock_engine *engine)
{
    engine->is_ending = true;
    if (engine->L)
        lua_close(engine->L); /* its finalizers let go of their links, and end the scheduler */
    vlock_private_server_stop(engine->server);
    vlock_tls_context_free(engine->tls);
    if (engine->password)
        explicit_bzero(engine->password, strlen(engine->password));
    free(engine->password);
    free(engine->url);
    vlock_numeric_locale_free(engine->locale);
    free(engine);
}

void vlock_close(vlock_engine *engine)
{
    if (!engine || !vlock_engine_is_ours(engine))
        return; /* a child's memory goes with it; all else is its parent's */
    if (engine->is_ending) {
        return;
    } else if (engine->depth == 0) {
        end_engine(engine);
    } else if (!engine->is_closed) {
        engine->is_closed = true;
        vlock_interrupt(engine, "the engine was closed");
    }
}

/* ---- callbacks ---- */

bool vlock_engine_is_ours(const vlock_engine *engine)
{
    return engine->process == getpid();
}

int vlock_engine_enter(vlock_engine *engine, struct vlock_error *error)
{
    if (!vlock_engine_is_ours(engine))
        return vlock_error_set(
            error, VLOCK_ERR_USAGE,
            "this process is a child of the one that opened the engine: open another one here");
    if (engine->is_turning || engine->is_closed || engine->is_ending)
        return vlock_error_set(
            error, VLOCK_ERR_USAGE,
            "the engine is in one of its callbacks: nothing of it can be used in there");
    if (engine->depth++ == 0)
        engine->program_locale = vlock_numeric_locale_use(engine->locale);
    return 0;
}

bool vlock_engine_is_interrupted(const vlock_engine *engine)
{
    return vlock_scheduler_is_interrupted(engine->scheduler);
}

void vlock_engine_call_out(const vlock_engine *engine, bool begins)
{
    if (engine->depth > 0)
        vlock_numeric_locale_use(begins ? engine->program_locale : engine->locale);
}

void vlock_engine_leave(vlock_engine *engine)
{
    if (--engine->depth > 0)
        return;
    vlock_numeric_locale_use(engine->program_locale);
    if (engine->is_closed)
        end_engine(engine);
}

void vlock_interrupt(vlock_engine *engine, const char *reason)
{
    if (engine->is_ending)
        return; /* the scheduler may be gone, and its descriptors somebody else's */
    if (vlock_engine_is_ours(engine)) /* else it would wake the parent */
        vlock_scheduler_interrupt(engine->scheduler, reason);
}

bool vlock_has_turned(vlock_engine *engine)
{
    return !engine->is_ending && vlock_scheduler_has_turned(engine->scheduler);
}

bool vlock_is_stuck(vlock_engine *engine)
{
    return !engine->is_ending && vlock_scheduler_is_stuck(engine->scheduler);
}

const char *vlock_version(void)
{
    return VLOCK_VERSION;
}

const char *vlock_library_versions(void)
{
    static char text[160]; /* the same in every engine */
    snprintf(text, sizeof text, "%s, %s.%s, %s, %s", vlock_link_library(), LUA_VERSION,
             LUA_VERSION_RELEASE, vlock_scheduler_library(), vlock_tls_library());
    return text;
}
