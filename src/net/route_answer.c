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

/* Whether a node of a shard is in this role, by its old name or its new one, and in health. */
static bool is_in_role(const redisReply *node, const char *one, const char *other)
{
    const redisReply *role = field(node, "role"), *health = field(node, "health");
    return role && (is_text(role, one) || is_text(role, other)) &&
           !(health && is_text(health, "fail"));
}

/* The node of a shard that serves its slots; NULL: there is none now. */
static const redisReply *primary_in(const redisReply *nodes)
{
    for (size_t i = 0; is_list(nodes) && i < nodes->elements; i++)
        if (is_in_role(nodes->element[i], "master", "primary"))
            return nodes->element[i];
    return NULL;
}

/* A reader of a reply that names who serves what, and whom it tells. */
struct telling {
    vlock_topology_range *range;
    void *user;
    const char *port; /* the name of that field */
};

/* Tells that this node has these slots. False: they cannot be read. */
static bool tell_slots(const struct telling *telling, const redisReply *node,
                       const redisReply *slots, bool is_replica)
{
    const redisReply *port = field(node, telling->port);
    for (size_t i = 0; is_port(port) && i < slots->elements; i += 2) {
        if (!is_slot(slots->element[i]) || !is_slot(slots->element[i + 1]))
            return false;
        telling->range(telling->user, host_in(field(node, "endpoint")), (int)port->integer,
                       (int)slots->element[i]->integer, (int)slots->element[i + 1]->integer,
                       is_replica);
    }
    return true;
}

bool vlock_topology_read_shards(const redisReply *reply, bool is_tls, vlock_topology_range *range,
                                void *user)
{
    const struct telling telling = {range, user, is_tls ? "tls-port" : "port"};
    if (!is_list(reply))
        return false;
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *slots = field(reply->element[i], "slots"),
                         *nodes = field(reply->element[i], "nodes");
        if (!slots || !nodes || !is_list(slots) || slots->elements % 2)
            return false;
        const redisReply *primary = primary_in(nodes);
        if (!primary)
            continue;
        if (!tell_slots(&telling, primary, slots, false))
            return false;
        for (size_t j = 0; j < nodes->elements; j++)
            if (is_in_role(nodes->element[j], "slave", "replica"))
                tell_slots(&telling, nodes->element[j], slots, true);
    }
    return true;
}

/* [host, port, …] */
static bool is_node(const redisReply *node)
{
    return is_list(node) && node->elements >= 2 && is_port(node->element[1]);
}

bool vlock_topology_read_slots(const redisReply *reply, vlock_topology_range *range, void *user)
{
    if (!is_list(reply))
        return false;
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *row = reply->element[i];
        if (!is_list(row) || row->elements < 3 || !is_slot(row->element[0]) ||
            !is_slot(row->element[1]) || !is_node(row->element[2]))
            return false;
        for (size_t j = 2; j < row->elements && is_node(row->element[j]); j++)
            range(user, host_in(row->element[j]->element[0]),
                  (int)row->element[j]->element[1]->integer, (int)row->element[0]->integer,
                  (int)row->element[1]->integer, j > 2);
    }
    return true;
}
