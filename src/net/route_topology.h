/*
 * Which server serves which slot: of a cluster, as its nodes tell it (CLUSTER SHARDS, or CLUSTER
 * SLOTS where that is not known); of a service with sentinels, all slots are its primary's, whom
 * the sentinels name and who says of itself that it is one (ROLE).
 *
 * It is asked for when somebody doubts it, by one connection, however many doubt; in turn, of the
 * servers that are known, and of those that the URL names. Who cannot go on without an answer waits
 * in a link that leads nowhere. Sentinels are asked once a second besides.
 */
#ifndef VLOCK_TOPOLOGY_H
#define VLOCK_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>

#include "net/link.h"

struct vlock_topology;

/* Somebody who is told when the map has changed. Owned by the caller. */
struct vlock_topology_watch {
    void (*changed)(struct vlock_topology_watch *watch); /* not from a callback of a link */
    struct vlock_topology_watch *next, **place;
};

/* That of this URL, made where the pool has none. The options are those of its connections, of
 * which `on_rest` and `reconnects` do not count. The watch is told of changes until it is given
 * back. NULL and `error` when out of memory. */
struct vlock_topology *vlock_topology_take(struct vlock_link_pool *pool,
                                           const struct vlock_url *url,
                                           const struct vlock_link_options *options,
                                           struct vlock_topology_watch *watch,
                                           struct vlock_error *error);
/* end: vlock_link_free or vlock_link_close, for those who wait in its room where this watch was the
 * last one. */
void vlock_topology_give_back(struct vlock_topology *topology, struct vlock_topology_watch *watch,
                              void (*end)(struct vlock_link *link));

/* Whether it was told at least once. */
bool vlock_topology_is_known(const struct vlock_topology *topology);

/* Servers are numbered from 0 on as they become known, and keep their numbers. */
size_t vlock_topology_count(const struct vlock_topology *topology);
const struct vlock_url_place *vlock_topology_place(const struct vlock_topology *topology, int node);
/* The replica of this server whose turn it is when they are counted by `turn`; -1: none is
 * known. */
int vlock_topology_replica(const struct vlock_topology *topology, int node, size_t turn);
/* Whether it is a replica of one that serves any slot. */
bool vlock_topology_is_replica(const struct vlock_topology *topology, int node);
/* Whether it serves any slot. */
bool vlock_topology_is_primary(const struct vlock_topology *topology, int node);

/* Who serves this slot; of -1, the server for commands without a key: the first that serves any.
 * -1: nobody that is known. */
int vlock_topology_node(const struct vlock_topology *topology, int slot);

/* The number of the server at this place, which may be new. -1 when out of memory. */
int vlock_topology_find(struct vlock_topology *topology, const char *host, int port);

/* A server says that this one serves the slot now. */
void vlock_topology_move(struct vlock_topology *topology, int slot, int node);

/* What is known may be over: it is asked for, unless it is being asked for. Safe in callbacks. */
void vlock_topology_doubt(struct vlock_topology *topology);
bool vlock_topology_is_doubted(const struct vlock_topology *topology);

/* Where those wait who cannot go on without an answer: they are let go as NOT_SENT when one has
 * come, and FAILED where nobody has ever answered. */
struct vlock_link *vlock_topology_room(const struct vlock_topology *topology);

#endif
