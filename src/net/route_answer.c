/* What servers say of a topology: see route_answer.h. */
#include "net/route_answer.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "base/slot.h"

static bool is_list(const redisReply *reply)
{
#ifdef REDIS_REPLY_MAP
    if (reply->type == REDIS_REPLY_MAP)
        return true;
#endif
    return reply->type == REDIS_REPLY_ARRAY;
}

static bool is_text(const redisReply *reply, const char *text)
{
    return (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS) &&
           strcmp(reply->str, text) == 0;
}

/* The value under this name in a list of names and values; NULL: there is none. */
static const redisReply *field(const redisReply *map, const char *name)
{
    for (size_t i = 0; is_list(map) && i + 1 < map->elements; i += 2)
        if (is_text(map->element[i], name))
            return map->element[i + 1];
    return NULL;
}

/* What a server calls itself: nothing, or ?, where it does not know. */
static const char *host_in(const redisReply *reply)
{
    bool is_known = reply && reply->type == REDIS_REPLY_STRING && strcmp(reply->str, "?") != 0;
    return is_known ? reply->str : "";
}

static bool is_slot(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_INTEGER && reply->integer >= 0 &&
           reply->integer < VLOCK_SLOTS;
}

static bool is_port(const redisReply *reply)
{
    return reply && reply->type == REDIS_REPLY_INTEGER && reply->integer > 0 &&
           reply->integer <= 65535;
}

/* The node of a shard that serves its slots; NULL: there is none now. */
static const redisReply *primary_in(const redisReply *nodes)
{
    for (size_t i = 0; is_list(nodes) && i < nodes->elements; i++) {
        const redisReply *role = field(nodes->element[i], "role"),
                         *health = field(nodes->element[i], "health");
        if (role && (is_text(role, "master") || is_text(role, "primary")) &&
            !(health && is_text(health, "fail")))
            return nodes->element[i];
    }
    return NULL;
}

bool vlock_topology_read_shards(const redisReply *reply, bool is_tls, vlock_topology_range *range,
                                void *user)
{
    if (!is_list(reply))
        return false;
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *slots = field(reply->element[i], "slots"),
                         *nodes = field(reply->element[i], "nodes");
        if (!slots || !nodes || !is_list(slots) || slots->elements % 2)
            return false;
        const redisReply *primary = primary_in(nodes);
        const redisReply *port = primary ? field(primary, is_tls ? "tls-port" : "port") : NULL;
        for (size_t j = 0; is_port(port) && j < slots->elements; j += 2) {
            if (!is_slot(slots->element[j]) || !is_slot(slots->element[j + 1]))
                return false;
            range(user, host_in(field(primary, "endpoint")), (int)port->integer,
                  (int)slots->element[j]->integer, (int)slots->element[j + 1]->integer);
        }
    }
    return true;
}

bool vlock_topology_read_slots(const redisReply *reply, vlock_topology_range *range, void *user)
{
    if (!is_list(reply))
        return false;
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *row = reply->element[i];
        if (!is_list(row) || row->elements < 3 || !is_slot(row->element[0]) ||
            !is_slot(row->element[1]) || !is_list(row->element[2]) ||
            row->element[2]->elements < 2 || !is_port(row->element[2]->element[1]))
            return false;
        range(user, host_in(row->element[2]->element[0]),
              (int)row->element[2]->element[1]->integer, (int)row->element[0]->integer,
              (int)row->element[1]->integer);
    }
    return true;
}
