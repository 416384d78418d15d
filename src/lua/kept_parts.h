/* What the rooms of what is kept share: kept.c holds the state, kept_write.c writes on it. */
#ifndef VLOCK_KEPT_PARTS_H
#define VLOCK_KEPT_PARTS_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/pace.h"

struct vlock_task;

/* Bytes. What is longer goes by other ways. */
#define VLOCK_KEPT_STAMP 96
#define VLOCK_KEPT_TOKEN 40

/* What belongs to one, nil where there is none. VALUE: that of its state; where that is loose, all
 * of the state, a table. SEEN: the stamp of the value that was read last. RECORD: what the lab
 * writes commits down in. WRITER: the handle of the task whose write is under way. */
enum {
    VLOCK_KEPT_VALUE = 1,
    VLOCK_KEPT_SEEN,
    VLOCK_KEPT_RECORD,
    VLOCK_KEPT_WRITER,
    VLOCK_KEPT_VALUES = VLOCK_KEPT_WRITER
};

/* The state that the last commit of the session made. Times are seconds, as of core.now(). */
struct vlock_kept {
    const char *type;  /* whose address says what this is */
    double expires_at; /* NAN: nobody knows */
    double told_until; /* by when the server's record tells of that commit */
    int64_t version;
    struct vlock_pace pace;
    unsigned edition; /* is another one where the state is */
    bool has_last;    /* whether there is such a state */
    bool is_loose;    /* it does not fit in here: a deletion, or of a store with other stamps */
    unsigned char stamp_size;
    char stamp[VLOCK_KEPT_STAMP];
    /* Of a write by kept.write that is under way. The stamp is that of its base until the server
     * has said that it is committed; from then until its task goes on it is the new one, and
     * nothing else here can be relied on. */
    bool is_settling;
    bool is_routed; /* there may be another server in charge */
    unsigned char token_size;
    char token[VLOCK_KEPT_TOKEN];
    struct vlock_task *writer; /* NULL: there is none */
    int64_t sent_ns, made_version;
    double base_expires_at;
    uint64_t base_id;
};

/* The one at this index; raises where there is none. */
struct vlock_kept *vlock_kept_check(lua_State *L, int index);

/* Whether a write by kept.write is under way. A task that was ended meanwhile leaves one behind,
 * which is put right here. */
bool vlock_kept_is_written(lua_State *L, int index, struct vlock_kept *kept);

#endif
