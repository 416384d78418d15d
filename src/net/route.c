/* Which link serves a key: see route.h. */
#include "net/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/slot.h"
#include "net/route_topology.h"

#define AVOIDING_NS (10 * 1000 * 1000 * 1000LL)

/* The way to one server, by its number in the topology. A link is NULL where none was needed. */
struct way {
    struct vlock_link *link;
    struct vlock_link *reader; /* where it is a replica that is read from */
    int64_t avoided_until_ns;
};

struct vlock_route {
    struct vlock_topology_watch watch; /* the first: what a watch points to is a route */
    struct vlock_topology *topology;   /* NULL: one server, which is ways[0] */
    struct vlock_link_pool *pool;
    struct vlock_url url;
    struct vlock_link_options options;
    struct way *ways;
    size_t count;
    size_t turn; /* which replicas are its own: others have others */
    char name[160];
};

/* The way to this server; NULL when out of memory. */
static struct way *way_to(struct vlock_route *route, int node)
{
    size_t index = (size_t)node;
    if (index >= route->count) {
        size_t count = vlock_topology_count(route->topology);
        struct way *ways = realloc(route->ways, count * sizeof *ways);
        if (!ways)
            return NULL;
        memset(ways + route->count, 0, (count - route->count) * sizeof *ways);
        route->ways = ways;
        route->count = count;
    }
    return &route->ways[index];
}

/* Makes *link, to this server, where there is none. */
static struct vlock_link *made(struct vlock_route *route, struct vlock_link **link, int node,
                               bool is_reader)
{
    struct vlock_error error;
    struct vlock_url url;
    struct vlock_link_options options = route->options;
    const struct vlock_url_place *place = vlock_topology_place(route->topology, node);
    if (*link || vlock_url_at(&route->url, place->host, place->port, &url) != 0)
        return *link;
    options.is_reader = is_reader && route->url.topology == VLOCK_URL_CLUSTER;
    *link = vlock_link_new(route->pool, &url, &options, &error);
    vlock_url_clear(&url);
    return *link;
}

static struct vlock_link *link_to(struct vlock_route *route, int node)
{
    struct way *way = way_to(route, node);
    return way ? made(route, &way->link, node, false) : NULL;
}

/* Who serves nothing any more is left: what waits for him goes elsewhere. */
static void on_change(struct vlock_topology_watch *watch)
{
    struct vlock_route *route = (struct vlock_route *)watch;
    static const char why[] = "another server has taken its place";
    for (size_t i = 0; i < route->count; i++) {
        struct way *way = &route->ways[i];
        if (way->link && !vlock_topology_is_primary(route->topology, (int)i))
            vlock_link_end(way->link, why);
        if (way->reader && !vlock_topology_is_replica(route->topology, (int)i))
            vlock_link_end(way->reader, why);
    }
}

struct vlock_route *vlock_route_new(struct vlock_link_pool *pool, const struct vlock_url *url,
                                    const struct vlock_link_options *options,
                                    struct vlock_error *error)
{
    struct vlock_route *route = calloc(1, sizeof *route);
    if (!route || vlock_url_copy(url, &route->url) != 0)
        goto failed;
    route->pool = pool;
    route->turn = pool->routes++;
    route->options = *options;
    vlock_url_print(url, route->name, sizeof route->name);
    if (url->topology != VLOCK_URL_ONE) {
        route->options.reconnects = false; /* there may be somebody else in its place */
        route->watch.changed = on_change;
        route->topology = vlock_topology_take(pool, url, options, &route->watch, error);
        if (route->topology)
            return route;
        goto failed;
    }
    route->ways = calloc(1, sizeof *route->ways);
    if (!route->ways)
        goto failed;
    route->ways[0].link = vlock_link_new(pool, url, options, error);
    route->count = 1;
    if (route->ways[0].link)
        return route;

failed:
    vlock_error_set(error, VLOCK_ERR_MEMORY, "out of memory");
    vlock_route_free(route);
    return NULL;
}

static void release(struct vlock_route *route, void (*end)(struct vlock_link *link))
{
    if (!route)
        return;
    for (size_t i = 0; i < route->count; i++) {
        end(route->ways[i].link);
        end(route->ways[i].reader);
    }
    if (route->topology)
        vlock_topology_give_back(route->topology, &route->watch, end);
    free(route->ways);
    vlock_url_clear(&route->url);
    free(route);
}

void vlock_route_free(struct vlock_route *route)
{
    release(route, vlock_link_free);
}

void vlock_route_close(struct vlock_route *route)
{
    release(route, vlock_link_close);
}

bool vlock_route_has_topology(const struct vlock_route *route)
{
    return route && route->topology;
}

bool vlock_route_is_cluster(const struct vlock_route *route)
{
    return route && route->url.topology == VLOCK_URL_CLUSTER;
}

bool vlock_route_is_known(const struct vlock_route *route)
{
    return !route->topology || vlock_topology_is_known(route->topology);
}

struct vlock_link *vlock_route_link(struct vlock_route *route, int slot, bool was_turned_away)
{
    struct vlock_topology *topology = route->topology;
    if (!topology)
        return route->ways[0].link;
    int node = vlock_topology_node(topology, slot);
    if (node < 0) /* a slot that nobody serves: a node says so in its own words */
        node = vlock_topology_node(topology, VLOCK_NO_SLOT);
    if (node < 0)
        vlock_topology_doubt(topology);
    if (node < 0 || (was_turned_away && vlock_topology_is_doubted(topology)))
        return vlock_topology_room(topology);
    return link_to(route, node);
}

struct vlock_link *vlock_route_reader(struct vlock_route *route, int slot, int *reader)
{
    struct vlock_topology *topology = route->topology;
    int64_t now = vlock_clock_now();
    int node = topology ? vlock_topology_node(topology, slot) : -1, first = -1;
    *reader = VLOCK_NO_READER;
    if (!vlock_route_is_known(route))
        return vlock_route_link(route, slot, false);
    for (size_t i = route->turn; node >= 0; i++) {
        *reader = vlock_topology_replica(topology, node, i);
        struct way *way = *reader < 0 || *reader == first ? NULL : way_to(route, *reader);
        if (!way)
            return NULL;
        if (way->avoided_until_ns <= now)
            return made(route, &way->reader, *reader, true);
        first = first < 0 ? *reader : first;
    }
    return NULL;
}

void vlock_route_avoid(struct vlock_route *route, int reader)
{
    if ((size_t)reader < route->count)
        route->ways[reader].avoided_until_ns = vlock_clock_now() + AVOIDING_NS;
    vlock_route_doubt(route); /* it may be none any more */
}

static bool begins_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* The link to whom "MOVED SLOT HOST:PORT" or "ASK …" names; *node is his number. */
static struct vlock_link *link_to_named(struct vlock_route *route, const char *error, int *slot,
                                        int *node)
{
    const char *number = strchr(error, ' '), *place = strrchr(error, ' '),
               *colon = strrchr(error, ':');
    char host[256];
    *slot = number ? atoi(number + 1) : VLOCK_SLOTS;
    if (*slot < 0 || *slot >= VLOCK_SLOTS || !colon || colon < place ||
        (size_t)(colon - place) > sizeof host)
        return NULL;
    snprintf(host, sizeof host, "%.*s", (int)(colon - place - 1), place + 1);
    if (!*host || strcmp(host, "?") == 0) { /* that of whom we asked */
        int asked = vlock_topology_node(route->topology, *slot);
        if (asked < 0)
            return NULL;
        snprintf(host, sizeof host, "%.255s", vlock_topology_place(route->topology, asked)->host);
    }
    *node = vlock_topology_find(route->topology, host, atoi(colon + 1));
    return *node < 0 ? NULL : link_to(route, *node);
}

enum vlock_route_advice vlock_route_heed(struct vlock_route *route, const char *error,
                                         struct vlock_link **ask)
{
    int slot, node;
    if (!route->topology)
        return VLOCK_ROUTE_ARRIVED;
    if (begins_with(error, "READONLY ") || begins_with(error, "MASTERDOWN ")) {
        vlock_topology_doubt(route->topology);
        return VLOCK_ROUTE_NO_PRIMARY;
    }
    if (begins_with(error, "CLUSTERDOWN "))
        vlock_topology_doubt(route->topology);
    if (begins_with(error, "ASK ")) {
        *ask = link_to_named(route, error, &slot, &node);
        return *ask ? VLOCK_ROUTE_ASK : VLOCK_ROUTE_ARRIVED;
    }
    if (!begins_with(error, "MOVED ") || !link_to_named(route, error, &slot, &node))
        return VLOCK_ROUTE_ARRIVED;
    vlock_topology_move(route->topology, slot, node);
    vlock_topology_doubt(route->topology);
    return VLOCK_ROUTE_MOVED;
}

void vlock_route_doubt(struct vlock_route *route)
{
    if (route->topology)
        vlock_topology_doubt(route->topology);
}

/* What it answers is no matter: a node that does not take it sends the command back. */
static void forget_answer(void *user, enum vlock_link_outcome outcome,
                          const struct redisReply *reply, const char *message)
{
    (void)user, (void)outcome, (void)reply, (void)message;
}

int vlock_route_send_asking(struct vlock_link *link, int64_t deadline_ns)
{
    static const char asking[] = "*1\r\n$6\r\nASKING\r\n";
    return vlock_link_send(link, asking, sizeof asking - 1, deadline_ns, 0, forget_answer, NULL)
               ? 0
               : -1;
}

void vlock_route_distrust(struct vlock_route *route)
{
    for (size_t i = 0; i < route->count; i++) {
        if (route->ways[i].link)
            vlock_link_distrust(route->ways[i].link);
        if (route->ways[i].reader)
            vlock_link_distrust(route->ways[i].reader);
    }
}

const struct vlock_link *vlock_route_used(const struct vlock_route *route, size_t number)
{
    for (size_t i = 0; vlock_route_has_topology(route) && i < route->count; i++) {
        const struct way *way = &route->ways[i];
        if (way->link && number-- == 0)
            return way->link;
        if (way->reader && number-- == 0)
            return way->reader;
    }
    return NULL;
}

const char *vlock_route_name(const struct vlock_route *route)
{
    return route->name;
}

const struct vlock_url *vlock_route_url(const struct vlock_route *route)
{
    return &route->url;
}

static void add_traffic(struct vlock_link_traffic *sum, const struct vlock_link *link)
{
    if (!link)
        return;
    struct vlock_link_traffic one = vlock_link_traffic(link);
    sum->commands += one.commands;
    sum->replies += one.replies;
    sum->writes += one.writes;
}

struct vlock_link_traffic vlock_route_traffic(const struct vlock_route *route)
{
    struct vlock_link_traffic sum = {0, 0, 0};
    for (size_t i = 0; i < route->count; i++) {
        add_traffic(&sum, route->ways[i].link);
        add_traffic(&sum, route->ways[i].reader);
    }
    return sum;
}
