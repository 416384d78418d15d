/* What commands mean for their connection: see command_rules.h. */
#include "lua/command_rules.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct ruled_command {
    const char *name;
    enum vlock_command_rule rule;
    const char *instead; /* with VLOCK_COMMAND_CHANGES */
};

static const char no_subscriptions[] = "vlockrun has no subscriptions yet";

/* Sorted by name. */
static const struct ruled_command ruled_commands[] = {
    {"ASKING", VLOCK_COMMAND_CHANGES, "it is for clients of a cluster"},
    {"AUTH", VLOCK_COMMAND_CHANGES, "put user and password into the URL of redis.connect"},
    {"BLMOVE", VLOCK_COMMAND_BLOCKS, NULL},
    {"BLMPOP", VLOCK_COMMAND_BLOCKS, NULL},
    {"BLPOP", VLOCK_COMMAND_BLOCKS, NULL},
    {"BRPOP", VLOCK_COMMAND_BLOCKS, NULL},
    {"BRPOPLPUSH", VLOCK_COMMAND_BLOCKS, NULL},
    {"BZMPOP", VLOCK_COMMAND_BLOCKS, NULL},
    {"BZPOPMAX", VLOCK_COMMAND_BLOCKS, NULL},
    {"BZPOPMIN", VLOCK_COMMAND_BLOCKS, NULL},
    {"DISCARD", VLOCK_COMMAND_LEAVES, NULL},
    {"EXEC", VLOCK_COMMAND_LEAVES, NULL},
    {"HELLO", VLOCK_COMMAND_CHANGES, "use redis.setresp"},
    {"MONITOR", VLOCK_COMMAND_CHANGES, "use redis-cli"},
    {"MULTI", VLOCK_COMMAND_ENTERS, NULL},
    {"PSUBSCRIBE", VLOCK_COMMAND_CHANGES, no_subscriptions},
    {"PSYNC", VLOCK_COMMAND_CHANGES, "it is for replicas"},
    {"PUNSUBSCRIBE", VLOCK_COMMAND_CHANGES, no_subscriptions},
    {"QUIT", VLOCK_COMMAND_CHANGES, "use :close() of a connection from redis.connect"},
    {"READONLY", VLOCK_COMMAND_CHANGES, "it is for clients of a cluster"},
    {"READWRITE", VLOCK_COMMAND_CHANGES, "it is for clients of a cluster"},
    {"REPLCONF", VLOCK_COMMAND_CHANGES, "it is for replicas"},
    {"RESET", VLOCK_COMMAND_CHANGES, "use :close() of a connection from redis.connect"},
    {"SELECT", VLOCK_COMMAND_CHANGES, "put the database into the URL of redis.connect"},
    {"SSUBSCRIBE", VLOCK_COMMAND_CHANGES, no_subscriptions},
    {"SUBSCRIBE", VLOCK_COMMAND_CHANGES, no_subscriptions},
    {"SUNSUBSCRIBE", VLOCK_COMMAND_CHANGES, no_subscriptions},
    {"SYNC", VLOCK_COMMAND_CHANGES, "it is for replicas"},
    {"UNSUBSCRIBE", VLOCK_COMMAND_CHANGES, no_subscriptions},
    {"UNWATCH", VLOCK_COMMAND_LEAVES, NULL},
    {"WAIT", VLOCK_COMMAND_BLOCKS, NULL},
    {"WAITAOF", VLOCK_COMMAND_BLOCKS, NULL},
    {"WATCH", VLOCK_COMMAND_ENTERS, NULL},
};

static int compare_name(const void *name, const void *ruled)
{
    return strcasecmp(name, ((const struct ruled_command *)ruled)->name);
}

/* Whether the word at this slot is `wanted`, in any case. */
static bool is_word(lua_State *L, int index, const char *wanted)
{
    return lua_type(L, index) == LUA_TSTRING && strcasecmp(lua_tostring(L, index), wanted) == 0;
}

/* Whether `text` begins with `word`, in any case, and ends there or with a line's end. */
static bool is_first_line(const char *text, const char *word)
{
    size_t length = strlen(word);
    return strncasecmp(text, word, length) == 0 && (text[length] == '\0' || text[length] == '\r');
}

/* hiredis looks at the bytes of each command for those that subscribe, and expects other replies
 * from then on. It takes more for such a command than the server does: one letter too many before
 * the name, or anything in a line behind it. */
static bool is_subscription_to_hiredis(const char *name)
{
    static const char *const words[] = {"SUBSCRIBE", "UNSUBSCRIBE", "MONITOR"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (is_first_line(name, words[i]) || (name[0] && is_first_line(name + 1, words[i])))
            return true;
    return false;
}

/* XREAD and XREADGROUP: BLOCK is an option where options stand, and a name behind GROUP or
 * STREAMS. */
static bool reads_and_waits(lua_State *L, int first, int last)
{
    int index = first + 1;
    while (index <= last && !is_word(L, index, "STREAMS")) {
        if (is_word(L, index, "BLOCK"))
            return true;
        index += is_word(L, index, "GROUP") ? 3 : is_word(L, index, "COUNT") ? 2 : 1;
    }
    return false;
}

static bool changes_by_its_second_word(lua_State *L, int first, int last)
{
    if (last == first)
        return false;
    if (is_word(L, first, "CLIENT"))
        return is_word(L, first + 1, "REPLY") || is_word(L, first + 1, "TRACKING");
    return is_word(L, first, "SCRIPT") && is_word(L, first + 1, "DEBUG");
}

enum vlock_command_rule vlock_command_rule(lua_State *L, int first, int last, const char **instead)
{
    if (lua_type(L, first) != LUA_TSTRING)
        return VLOCK_COMMAND_ALLOWED; /* the encoder says what is wrong with it */
    const char *name = lua_tostring(L, first);
    const struct ruled_command *found =
        bsearch(name, ruled_commands, sizeof ruled_commands / sizeof *ruled_commands,
                sizeof *ruled_commands, compare_name);
    if (found) {
        *instead = found->instead;
        return found->rule;
    }
    if (is_subscription_to_hiredis(name)) {
        *instead = no_subscriptions;
        return VLOCK_COMMAND_CHANGES;
    }
    if (changes_by_its_second_word(L, first, last)) {
        *instead = "it changes what comes back on the connection";
        return VLOCK_COMMAND_CHANGES;
    }
    if ((is_word(L, first, "XREAD") || is_word(L, first, "XREADGROUP")) &&
        reads_and_waits(L, first, last))
        return VLOCK_COMMAND_BLOCKS;
    return VLOCK_COMMAND_ALLOWED;
}
