/* Where the keys of a command stand: see command_keys.h. */
#include "lua/command_keys.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/slot.h"
#include "net/route.h"

/* By the words of a command, of which the name is number 0. */
struct placed_command {
    const char *name;
    int first;   /* where the first key stands; 0: there is none */
    int last;    /* where the last one stands; negative: counted from the end, -1 the last word */
    int step;    /* from one key to the next */
    int counted; /* where the number of keys stands that begin just behind it; 0: nowhere */
};

#define NONE 0, 0, 1, 0
#define ALL 1, -1, 1, 0
#define ALL_BUT_LAST 1, -2, 1, 0
#define TWO 1, 2, 1, 0
#define SECOND 2, 2, 1, 0 /* behind a word that says what to do */
#define COUNTED(where) 0, 0, 1, where
#define FIRST_AND_COUNTED(where) 1, 1, 1, where

/* Sorted by name. What is not in it has one key, behind its name; of XREAD and XREADGROUP see
 * below. (The commands of Redis 8 and Valkey 8, as their COMMAND DOCS tell.) */
static const struct placed_command placed_commands[] = {
    {"ACL", NONE},
    {"ASKING", NONE},
    {"AUTH", NONE},
    {"BGREWRITEAOF", NONE},
    {"BGSAVE", NONE},
    {"BITOP", 2, -1, 1, 0},
    {"BLMOVE", TWO},
    {"BLMPOP", COUNTED(2)},
    {"BLPOP", ALL_BUT_LAST},
    {"BRPOP", ALL_BUT_LAST},
    {"BRPOPLPUSH", TWO},
    {"BZMPOP", COUNTED(2)},
    {"BZPOPMAX", ALL_BUT_LAST},
    {"BZPOPMIN", ALL_BUT_LAST},
    {"CLIENT", NONE},
    {"CLUSTER", NONE},
    {"COMMAND", NONE},
    {"CONFIG", NONE},
    {"COPY", TWO},
    {"DBSIZE", NONE},
    {"DEBUG", NONE},
    {"DEL", ALL},
    {"DISCARD", NONE},
    {"ECHO", NONE},
    {"EVAL", COUNTED(2)},
    {"EVALSHA", COUNTED(2)},
    {"EVALSHA_RO", COUNTED(2)},
    {"EVAL_RO", COUNTED(2)},
    {"EXEC", NONE},
    {"EXISTS", ALL},
    {"FAILOVER", NONE},
    {"FCALL", COUNTED(2)},
    {"FCALL_RO", COUNTED(2)},
    {"FLUSHALL", NONE},
    {"FLUSHDB", NONE},
    {"FUNCTION", NONE},
    {"GEOSEARCHSTORE", TWO},
    {"HELLO", NONE},
    {"INFO", NONE},
    {"KEYS", NONE},
    {"LASTSAVE", NONE},
    {"LATENCY", NONE},
    {"LCS", TWO},
    {"LMOVE", TWO},
    {"LMPOP", COUNTED(1)},
    {"LOLWUT", NONE},
    {"MEMORY", SECOND},
    {"MGET", ALL},
    {"MODULE", NONE},
    {"MONITOR", NONE},
    {"MSET", 1, -1, 2, 0},
    {"MSETNX", 1, -1, 2, 0},
    {"MULTI", NONE},
    {"OBJECT", SECOND},
    {"PFCOUNT", ALL},
    {"PFMERGE", ALL},
    {"PING", NONE},
    {"PSUBSCRIBE", NONE},
    {"PUBLISH", NONE},
    {"PUBSUB", NONE},
    {"PUNSUBSCRIBE", NONE},
    {"QUIT", NONE},
    {"RANDOMKEY", NONE},
    {"READONLY", NONE},
    {"READWRITE", NONE},
    {"RENAME", TWO},
    {"RENAMENX", TWO},
    {"REPLICAOF", NONE},
    {"RESET", NONE},
    {"ROLE", NONE},
    {"RPOPLPUSH", TWO},
    {"SAVE", NONE},
    {"SCAN", NONE},
    {"SCRIPT", NONE},
    {"SDIFF", ALL},
    {"SDIFFSTORE", ALL},
    {"SELECT", NONE},
    {"SHUTDOWN", NONE},
    {"SINTER", ALL},
    {"SINTERCARD", COUNTED(1)},
    {"SINTERSTORE", ALL},
    {"SLAVEOF", NONE},
    {"SLOWLOG", NONE},
    {"SMOVE", TWO},
    {"SUBSCRIBE", NONE},
    {"SUNION", ALL},
    {"SUNIONSTORE", ALL},
    {"SWAPDB", NONE},
    {"TIME", NONE},
    {"TOUCH", ALL},
    {"UNLINK", ALL},
    {"UNSUBSCRIBE", NONE},
    {"UNWATCH", NONE},
    {"WAIT", NONE},
    {"WAITAOF", NONE},
    {"WATCH", ALL},
    {"XGROUP", SECOND},
    {"XINFO", SECOND},
    {"ZDIFF", COUNTED(1)},
    {"ZDIFFSTORE", FIRST_AND_COUNTED(2)},
    {"ZINTER", COUNTED(1)},
    {"ZINTERCARD", COUNTED(1)},
    {"ZINTERSTORE", FIRST_AND_COUNTED(2)},
    {"ZMPOP", COUNTED(1)},
    {"ZRANGESTORE", TWO},
    {"ZUNION", COUNTED(1)},
    {"ZUNIONSTORE", FIRST_AND_COUNTED(2)},
};

static int compare_name(const void *name, const void *placed)
{
    return strcasecmp(name, ((const struct placed_command *)placed)->name);
}

struct slot_search {
    lua_State *L;
    int slot, found; /* of the key in the stack slot `found` */
    int *one, *other;
    bool is_crossing;
};

static int slot_at(lua_State *L, int index)
{
    size_t length;
    lua_pushvalue(L, index); /* a number would become a text where it stands */
    const char *key = lua_tolstring(L, -1, &length);
    int slot = key ? vlock_slot_of(key, length) : VLOCK_NO_SLOT;
    lua_pop(L, 1);
    return slot;
}

static void look_at(struct slot_search *search, int from, int to, int step)
{
    for (int index = from; index <= to && !search->is_crossing; index += step) {
        int slot = slot_at(search->L, index);
        if (search->slot == VLOCK_NO_SLOT) {
            search->slot = slot;
            search->found = index;
        } else if (slot != search->slot && slot != VLOCK_NO_SLOT) {
            search->is_crossing = true;
            *search->one = search->found;
            *search->other = index;
        }
    }
}

/* XREAD and XREADGROUP: the first half of what stands behind STREAMS. */
static void look_at_streams(struct slot_search *search, int first, int last)
{
    for (int index = first + 1; index <= last; index++) {
        if (lua_type(search->L, index) == LUA_TSTRING &&
            strcasecmp(lua_tostring(search->L, index), "STREAMS") == 0) {
            look_at(search, index + 1, index + (last - index) / 2, 1);
            return;
        }
    }
}

static void look_at_counted(struct slot_search *search, int where, int last)
{
    lua_Integer count = where <= last ? lua_tointeger(search->L, where) : 0;
    if (count > last - where)
        count = last - where; /* the server says what is wrong with it */
    if (count > 0)
        look_at(search, where + 1, where + (int)count, 1);
}

int vlock_command_slot(lua_State *L, int first, int last, int *one, int *other)
{
    struct slot_search search = {L, VLOCK_NO_SLOT, 0, one, other, false};
    if (lua_type(L, first) != LUA_TSTRING)
        return VLOCK_NO_SLOT;
    const char *name = lua_tostring(L, first);
    const struct placed_command *placed =
        bsearch(name, placed_commands, sizeof placed_commands / sizeof *placed_commands,
                sizeof *placed_commands, compare_name);
    if (!placed && (strcasecmp(name, "XREAD") == 0 || strcasecmp(name, "XREADGROUP") == 0)) {
        look_at_streams(&search, first, last);
    } else if (!placed) {
        look_at(&search, first + 1, first + 1 <= last ? first + 1 : first, 1);
    } else {
        int end = placed->last < 0 ? last + 1 + placed->last : first + placed->last;
        if (placed->first)
            look_at(&search, first + placed->first, end < last ? end : last, placed->step);
        if (placed->counted)
            look_at_counted(&search, first + placed->counted, last);
    }
    return search.is_crossing ? VLOCK_SLOTS_CROSS : search.slot;
}
