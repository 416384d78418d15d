/* Which server serves which slot: see route_topology.h. */
#include "net/route_topology.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/slot.h"
#include "net/route_answer.h"

#define ASK_TIME_NS (1000 * 1000 * 1000LL)     /* for one server to answer */
#define BETWEEN_TURNS_NS (100 * 1000 * 1000LL) /* from the end of one turn to the next */
#define SENTINEL_TURN_NS (1000 * 1000 * 1000LL)

#define NOBODY (-1)

/* The map, as numbers of nodes. */
struct slot_map {
    int16_t owner[VLOCK_SLOTS];
};

#define MOST_NODES 10000

struct node {
    struct vlock_url_place place;
    int16_t primary; /* whose replica it is; NOBODY: it is none */
    int16_t told_primary;
};

/* What is asked of the server whose turn it is. */
enum question {
    ASKS_NOTHING,
    ASKS_SHARDS,
    ASKS_SLOTS,   /* it does not know the other */
    ASKS_PRIMARY, /* a sentinel */
    ASKS_ROLE,    /* whom a sentinel has named */
};

/* What came of it. */
enum finding {
    FOUND_NOTHING,
    FOUND_MAP,
    FOUND_NAME,
    FOUND_NO_SHARDS,
    FOUND_CONNECTION, /* it is there now: ask again */
    FOUND_DOOR,       /* a sentinel that lets nobody in who does not log in */
    FOUND_TROUBLE,
};

struct vlock_topology {
    struct vlock_topology *next, **place;
    struct vlock_topology_watch *watches;
    struct vlock_link_pool *pool;
    struct vlock_url url;
    struct vlock_link_options options; /* of the links by which it asks */
    struct vlock_link *room;
    struct node *nodes;
    size_t count;
    struct slot_map map, told;
    int home; /* for commands without a key */
    bool is_known, is_doubted;
    bool logs_in; /* to the sentinel that it asks */
    /* The turn under way: whom it asks, and what. */
    struct vlock_link *asked;
    int64_t asked_until_ns;
    enum question question;
    enum finding finding;
    size_t candidate; /* the next one to ask: first the nodes, then the places of the URL */
    size_t candidates_left;
    char host[256]; /* whom it asks */
    int named;      /* the node that a sentinel has named */
    int64_t ended_ns;
    char trouble[400];
};

/* ---- nodes and slots ---- */

bool vlock_topology_is_known(const struct vlock_topology *topology)
{
    return topology->is_known;
}

size_t vlock_topology_count(const struct vlock_topology *topology)
{
    return topology->count;
}

const struct vlock_url_place *vlock_topology_place(const struct vlock_topology *topology, int node)
{
    return &topology->nodes[node].place;
}

int vlock_topology_replica(const struct vlock_topology *topology, int node, size_t turn)
{
    size_t replicas = 0;
    for (size_t i = 0; i < topology->count; i++)
        replicas += topology->nodes[i].primary == node;
    size_t left = replicas ? turn % replicas : 0;
    for (size_t i = 0; replicas && i < topology->count; i++)
        if (topology->nodes[i].primary == node && left-- == 0)
            return (int)i;
    return NOBODY;
}

bool vlock_topology_is_replica(const struct vlock_topology *topology, int node)
{
    return topology->nodes[node].primary != NOBODY;
}

bool vlock_topology_is_primary(const struct vlock_topology *topology, int node)
{
    for (int slot = 0; slot < VLOCK_SLOTS; slot++)
        if (topology->map.owner[slot] == node)
            return true;
    return false;
}

int vlock_topology_node(const struct vlock_topology *topology, int slot)
{
    return slot < 0 ? topology->home : topology->map.owner[slot];
}

int vlock_topology_find(struct vlock_topology *topology, const char *host, int port)
{
    for (size_t i = 0; i < topology->count; i++)
        if (topology->nodes[i].place.port == port &&
            strcmp(topology->nodes[i].place.host, host) == 0)
            return (int)i;
    if (topology->count == MOST_NODES)
        return NOBODY;
    struct node *nodes = realloc(topology->nodes, (topology->count + 1) * sizeof *topology->nodes);
    char *copy = strdup(host);
    if (nodes)
        topology->nodes = nodes;
    if (!nodes || !copy) {
        free(copy);
        return NOBODY;
    }
    nodes[topology->count] = (struct node){{copy, port}, NOBODY, NOBODY};
    return (int)topology->count++;
}

void vlock_topology_move(struct vlock_topology *topology, int slot, int node)
{
    topology->map.owner[slot] = (int16_t)node;
}

struct vlock_link *vlock_topology_room(const struct vlock_topology *topology)
{
    return topology->room;
}

/* ---- the replies, of which callbacks only take notes ---- */

static void note_trouble(struct vlock_topology *topology, const char *text)
{
    topology->finding = FOUND_TROUBLE;
    snprintf(topology->trouble, sizeof topology->trouble, "%.390s", text);
}

static void note_range(void *user, const char *host, int port, int from, int to, bool is_replica)
{
    struct vlock_topology *topology = user;
    int node = vlock_topology_find(topology, *host ? host : topology->host, port);
    if (is_replica && node != NOBODY)
        topology->nodes[node].told_primary = topology->told.owner[from];
    for (int slot = from; slot <= to && !is_replica; slot++)
        topology->told.owner[slot] = (int16_t)node;
}

static void forget_told(struct vlock_topology *topology)
{
    memset(&topology->told, 0xff, sizeof topology->told); /* NOBODY */
    for (size_t i = 0; i < topology->count; i++)
        topology->nodes[i].told_primary = NOBODY;
}

static void note_ranges(struct vlock_topology *topology, const redisReply *reply)
{
    forget_told(topology);
    bool is_read =
        topology->question == ASKS_SHARDS
            ? vlock_topology_read_shards(reply, topology->url.is_tls, note_range, topology)
            : vlock_topology_read_slots(reply, note_range, topology);
    if (is_read)
        topology->finding = FOUND_MAP;
    else
        note_trouble(topology, "what it says of the cluster's slots cannot be read");
}

/* [host, port], or nil. */
static void note_name(struct vlock_topology *topology, const redisReply *reply)
{
    bool is_place = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
                    reply->element[0]->type == REDIS_REPLY_STRING &&
                    reply->element[1]->type == REDIS_REPLY_STRING;
    char text[400];
    if (is_place) {
        topology->named =
            vlock_topology_find(topology, reply->element[0]->str, atoi(reply->element[1]->str));
        topology->finding = FOUND_NAME;
    } else {
        snprintf(text, sizeof text,
                 "it knows no service '%.100s': SENTINEL MASTERS lists those "
                 "that it knows",
                 topology->url.service);
        note_trouble(topology, text);
    }
}

/* [[host, port, offset] …], the replicas of the primary that was named. */
static void note_replicas(struct vlock_topology *topology, const redisReply *list)
{
    for (size_t i = 0; list->type == REDIS_REPLY_ARRAY && i < list->elements; i++) {
        const redisReply *replica = list->element[i];
        bool is_place = replica->type == REDIS_REPLY_ARRAY && replica->elements == 3 &&
                        replica->element[0]->type == REDIS_REPLY_STRING &&
                        replica->element[1]->type == REDIS_REPLY_STRING;
        int node = is_place ? vlock_topology_find(topology, replica->element[0]->str,
                                                  atoi(replica->element[1]->str))
                            : NOBODY;
        if (node != NOBODY)
            topology->nodes[node].told_primary = (int16_t)topology->named;
    }
}

/* ["master", offset, replicas], of the primary. */
static void note_role(struct vlock_topology *topology, const redisReply *reply)
{
    bool is_primary = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
                      reply->element[0]->type == REDIS_REPLY_STRING &&
                      strcmp(reply->element[0]->str, "master") == 0;
    if (!is_primary) {
        note_trouble(topology, "the sentinels name a server that says it is no primary");
        return;
    }
    forget_told(topology);
    for (int slot = 0; slot < VLOCK_SLOTS; slot++)
        topology->told.owner[slot] = (int16_t)topology->named;
    if (reply->elements == 3)
        note_replicas(topology, reply->element[2]);
    topology->finding = FOUND_MAP;
}

static void note_error(struct vlock_topology *topology, const char *said)
{
    char text[400];
    if (topology->question == ASKS_SHARDS && strstr(said, "unknown subcommand")) {
        topology->finding = FOUND_NO_SHARDS;
        return;
    }
    if (strstr(said, "cluster support disabled"))
        snprintf(text, sizeof text,
                 "it is no node of a cluster: the URL of a single server begins with redis://");
    else if (topology->question == ASKS_PRIMARY && strncmp(said, "ERR unknown command", 19) == 0)
        snprintf(text, sizeof text,
                 "it is no sentinel: the URL of the server itself begins with redis://");
    else
        snprintf(text, sizeof text, "it says: %.300s", said);
    note_trouble(topology, text);
}

/* Whether a sentinel wants a login that we have, and have not tried. */
static bool is_door(const struct vlock_topology *topology, const char *message)
{
    return topology->question == ASKS_PRIMARY && !topology->logs_in && topology->url.password &&
           strstr(message, "NOAUTH ");
}

static void on_answer(void *user, enum vlock_link_outcome outcome, const redisReply *reply,
                      const char *message)
{
    struct vlock_topology *topology = user;
    if (outcome == VLOCK_LINK_NOT_SENT)
        topology->finding = FOUND_CONNECTION;
    else if (outcome == VLOCK_LINK_FAILED && is_door(topology, message))
        topology->finding = FOUND_DOOR;
    else if (outcome != VLOCK_LINK_REPLY)
        note_trouble(topology, message);
    else if (reply->type == REDIS_REPLY_ERROR)
        note_error(topology, reply->str);
    else if (topology->question == ASKS_PRIMARY)
        note_name(topology, reply);
    else if (topology->question == ASKS_ROLE)
        note_role(topology, reply);
    else
        note_ranges(topology, reply);
    vlock_link_rest(topology->room, 0); /* goes on in `step` */
}

/* ---- asking ---- */

static const char question_bytes[][64] = {
    [ASKS_SHARDS] = "*2\r\n$7\r\nCLUSTER\r\n$6\r\nSHARDS\r\n",
    [ASKS_SLOTS] = "*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n",
    [ASKS_ROLE] = "*1\r\n$4\r\nROLE\r\n",
};

static void forget_asked(struct vlock_topology *topology)
{
    vlock_link_free(topology->asked);
    topology->asked = NULL;
}

/* Asks whom it is connected to. */
static void ask(struct vlock_topology *topology, enum question question)
{
    char text[512];
    const char *bytes = question_bytes[question];
    if (question == ASKS_PRIMARY) {
        snprintf(text, sizeof text,
                 "*3\r\n$8\r\nSENTINEL\r\n$23\r\nGET-MASTER-ADDR-BY-NAME\r\n$%zu\r\n%.300s\r\n",
                 strlen(topology->url.service), topology->url.service);
        bytes = text;
    }
    topology->question = question;
    topology->finding = FOUND_NOTHING;
    if (!vlock_link_send(topology->asked, bytes, strlen(bytes), topology->asked_until_ns, 0,
                         on_answer, topology)) {
        note_trouble(topology, "out of memory");
        vlock_link_rest(topology->room, 0);
    }
}

static bool connect_to(struct vlock_topology *topology, const char *host, int port)
{
    struct vlock_url url;
    struct vlock_error error = {.message = ""};
    forget_asked(topology);
    snprintf(topology->host, sizeof topology->host, "%s", host);
    topology->asked_until_ns = vlock_clock_now() + ASK_TIME_NS;
    if (vlock_url_at(&topology->url, host, port, &url) == 0) {
        bool asks_sentinel = topology->question == ASKS_PRIMARY;
        if (asks_sentinel)
            url.db = 0;
        if (asks_sentinel && !topology->logs_in) { /* most have no password */
            free(url.user);
            vlock_url_forget_password(&url);
            url.user = NULL;
        }
        topology->asked = vlock_link_new(topology->pool, &url, &topology->options, &error);
        vlock_url_clear(&url);
    }
    return topology->asked != NULL;
}

/* The place at this turn of the list: the nodes of a cluster, which know each other; behind them,
 * or else, what the URL names. */
static struct vlock_url_place place_to_ask(const struct vlock_topology *topology, size_t number)
{
    size_t nodes = topology->url.topology == VLOCK_URL_CLUSTER ? topology->count : 0;
    if (number < nodes)
        return topology->nodes[number].place;
    number -= nodes;
    return number == 0 ? (struct vlock_url_place){topology->url.host, topology->url.port}
                       : topology->url.more[number - 1];
}

static size_t places_to_ask(const struct vlock_topology *topology)
{
    size_t nodes = topology->url.topology == VLOCK_URL_CLUSTER ? topology->count : 0;
    return nodes + 1 + topology->url.more_count;
}

static void end_turn(struct vlock_topology *topology)
{
    forget_asked(topology);
    topology->question = ASKS_NOTHING;
    topology->ended_ns = vlock_clock_now();
    topology->is_doubted = false;
    vlock_link_rest(topology->room,
                    topology->url.topology == VLOCK_URL_SENTINEL ? SENTINEL_TURN_NS : -1);
}

/* Nobody has answered. What was known stays: who waits finds out whether it still holds. */
static void give_up_turn(struct vlock_topology *topology)
{
    char message[600];
    end_turn(topology);
    snprintf(message, sizeof message, "cannot connect to %s: %s", vlock_link_name(topology->room),
             topology->trouble);
    vlock_link_let_go(topology->room, topology->is_known ? VLOCK_LINK_NOT_SENT : VLOCK_LINK_FAILED,
                      message);
}

/* Asks the next one of those that are left. */
static void ask_next(struct vlock_topology *topology)
{
    for (; topology->candidates_left > 0; topology->candidates_left--) {
        struct vlock_url_place place =
            place_to_ask(topology, topology->candidate++ % places_to_ask(topology));
        bool asks_sentinels = topology->url.topology == VLOCK_URL_SENTINEL;
        topology->question = asks_sentinels ? ASKS_PRIMARY : ASKS_SHARDS;
        topology->logs_in = false; /* each has a mind of its own */
        if (connect_to(topology, place.host, place.port)) {
            topology->candidates_left--;
            ask(topology, topology->question);
            return;
        }
        note_trouble(topology, "out of memory");
    }
    give_up_turn(topology);
}

/* The same sentinel once more, by a connection that logs in. */
static void ask_same(struct vlock_topology *topology)
{
    char host[sizeof topology->host];
    snprintf(host, sizeof host, "%s", topology->host);
    if (connect_to(topology, host, vlock_link_url(topology->asked)->port))
        ask(topology, ASKS_PRIMARY);
    else
        ask_next(topology);
}

static int first_owner(const struct slot_map *map)
{
    for (int slot = 0; slot < VLOCK_SLOTS; slot++)
        if (map->owner[slot] >= 0)
            return map->owner[slot];
    return NOBODY;
}

/* What was told holds from now on. Whether that is a change. */
static bool take_told(struct vlock_topology *topology)
{
    bool is_changed =
        !topology->is_known || memcmp(&topology->map, &topology->told, sizeof topology->map) != 0;
    topology->map = topology->told;
    for (size_t i = 0; i < topology->count; i++) {
        struct node *node = &topology->nodes[i];
        is_changed = is_changed || node->primary != node->told_primary;
        node->primary = node->told_primary;
    }
    return is_changed;
}

static void take_map(struct vlock_topology *topology)
{
    bool is_changed = take_told(topology);
    topology->home = first_owner(&topology->map);
    topology->is_known = true;
    topology->candidate--; /* who has answered is asked first the next time */
    end_turn(topology);
    for (struct vlock_topology_watch *watch = topology->watches; watch && is_changed;
         watch = watch->next)
        watch->changed(watch);
    vlock_link_let_go(topology->room, VLOCK_LINK_NOT_SENT, NULL);
}

static void begin_turn(struct vlock_topology *topology)
{
    topology->is_doubted = true;
    topology->candidates_left = places_to_ask(topology);
    ask_next(topology);
}

/* From the loop, when there is something to do: a turn to begin, or a finding to act on. */
static void step(void *user)
{
    struct vlock_topology *topology = user;
    enum finding finding = topology->finding;
    topology->finding = FOUND_NOTHING;
    if (topology->question == ASKS_NOTHING) {
        begin_turn(topology);
    } else if (finding == FOUND_MAP) {
        take_map(topology);
    } else if (finding == FOUND_CONNECTION) {
        ask(topology, topology->question);
    } else if (finding == FOUND_DOOR) {
        topology->logs_in = true;
        ask_same(topology);
    } else if (finding == FOUND_NO_SHARDS) {
        ask(topology, ASKS_SLOTS);
    } else if (finding == FOUND_NAME && topology->named >= 0) {
        topology->question = ASKS_ROLE;
        const struct vlock_url_place *place = vlock_topology_place(topology, topology->named);
        if (connect_to(topology, place->host, place->port))
            ask(topology, ASKS_ROLE);
        else
            ask_next(topology);
    } else if (finding != FOUND_NOTHING) {
        ask_next(topology);
    }
}

void vlock_topology_doubt(struct vlock_topology *topology)
{
    if (topology->is_doubted)
        return;
    topology->is_doubted = true;
    int64_t wait_ns = topology->ended_ns + BETWEEN_TURNS_NS - vlock_clock_now();
    vlock_link_rest(topology->room, topology->ended_ns && wait_ns > 0 ? wait_ns : 0);
}

bool vlock_topology_is_doubted(const struct vlock_topology *topology)
{
    return topology->is_doubted;
}

/* ---- life ---- */

static void add_watch(struct vlock_topology *topology, struct vlock_topology_watch *watch)
{
    watch->next = topology->watches;
    watch->place = &topology->watches;
    if (watch->next)
        watch->next->place = &watch->next;
    topology->watches = watch;
}

static void release(struct vlock_topology *topology, void (*end)(struct vlock_link *link))
{
    vlock_link_free(topology->asked);
    end(topology->room);
    for (size_t i = 0; i < topology->count; i++)
        free(topology->nodes[i].place.host);
    free(topology->nodes);
    vlock_url_clear(&topology->url);
    free(topology);
}

static struct vlock_topology *new_topology(struct vlock_link_pool *pool,
                                           const struct vlock_url *url,
                                           const struct vlock_link_options *options)
{
    struct vlock_error error;
    struct vlock_topology *topology = calloc(1, sizeof *topology);
    if (!topology)
        return NULL;
    topology->pool = pool;
    topology->home = NOBODY;
    topology->options = *options;
    topology->options.reconnects = false;
    topology->options.is_resp3 = false;
    topology->options.on_rest = NULL;
    if (topology->options.connect_timeout_ns > ASK_TIME_NS)
        topology->options.connect_timeout_ns = ASK_TIME_NS;
    memset(&topology->map, 0xff, sizeof topology->map); /* NOBODY */
    struct vlock_link_options room = {.on_rest = step, .user = topology};
    if (vlock_url_copy(url, &topology->url) == 0)
        topology->room = vlock_link_new(pool, url, &room, &error);
    if (topology->room)
        return topology;
    release(topology, vlock_link_free);
    return NULL;
}

struct vlock_topology *vlock_topology_take(struct vlock_link_pool *pool,
                                           const struct vlock_url *url,
                                           const struct vlock_link_options *options,
                                           struct vlock_topology_watch *watch,
                                           struct vlock_error *error)
{
    struct vlock_topology *topology = pool->topologies;
    while (topology && !vlock_url_is_equal(&topology->url, url))
        topology = topology->next;
    if (!topology) {
        topology = new_topology(pool, url, options);
        if (!topology) {
            vlock_error_set(error, VLOCK_ERR_MEMORY, "out of memory");
            return NULL;
        }
        topology->next = pool->topologies;
        topology->place = &pool->topologies;
        if (topology->next)
            topology->next->place = &topology->next;
        pool->topologies = topology;
    }
    add_watch(topology, watch);
    return topology;
}

void vlock_topology_give_back(struct vlock_topology *topology, struct vlock_topology_watch *watch,
                              void (*end)(struct vlock_link *link))
{
    *watch->place = watch->next;
    if (watch->next)
        watch->next->place = watch->place;
    if (topology->watches)
        return;
    *topology->place = topology->next;
    if (topology->next)
        topology->next->place = topology->place;
    release(topology, end);
}
