/*
 * Which link serves a key: of one server the only one there is; of a cluster that to the node of
 * the key's slot; of a service with sentinels that to its primary.
 *
 * A route is what a client has of its own: a link to each server that it talks to. What the servers
 * are is the topology's, which the routes of one URL share.
 */
#ifndef VLOCK_ROUTE_H
#define VLOCK_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/link.h"

struct vlock_route;
struct vlock_topology;

/* A command without a key goes to one server: of a cluster, the first that serves any slot. */
#define VLOCK_NO_SLOT (-1)

/* How often one command is sent on to another server. */
#define VLOCK_MOST_REDIRECTIONS 5

/* Makes a route to what `url` (copied) names. Does not connect yet. NULL and `error` when out of
 * memory. */
struct vlock_route *vlock_route_new(struct vlock_link_pool *pool, const struct vlock_url *url,
                                    const struct vlock_link_options *options,
                                    struct vlock_error *error);

/* As vlock_link_free() and vlock_link_close(). NULL is ignored. */
void vlock_route_free(struct vlock_route *route);
void vlock_route_close(struct vlock_route *route);

/* Whether there may be several servers, now or in turn. NULL, here and below: it has no links. */
bool vlock_route_has_topology(const struct vlock_route *route);
/* Whether the keys are spread over several servers. */
bool vlock_route_is_cluster(const struct vlock_route *route);
/* Whether it is known where to send anything. */
bool vlock_route_is_known(const struct vlock_route *route);

/* The link for the keys of this slot, or for VLOCK_NO_SLOT. was_turned_away: this command was sent
 * before, and the server was not to be reached, or said that it is not in charge: it waits until
 * that is cleared up. NULL when out of memory. */
struct vlock_link *vlock_route_link(struct vlock_route *route, int slot, bool was_turned_away);

#define VLOCK_NO_READER (-1)

/* The link to a replica of the server of this slot, for what may be answered by an older state;
 * *reader is its number, or VLOCK_NO_READER: what is sent there waits until the servers are known.
 * NULL: no replica is known that has answered lately, or out of memory. */
struct vlock_link *vlock_route_reader(struct vlock_route *route, int slot, int *reader);

/* A reader did not answer: it is left alone for a while, and who is there is asked for. */
void vlock_route_avoid(struct vlock_route *route, int reader);

/* What an error reply, or an end without one, says of the way. */
enum vlock_route_advice {
    VLOCK_ROUTE_ARRIVED,    /* nothing: it is for the caller */
    VLOCK_ROUTE_MOVED,      /* it did not run: send it again, by vlock_route_link() */
    VLOCK_ROUTE_ASK,        /* the same, but once and by *ask, behind an ASKING */
    VLOCK_ROUTE_NO_PRIMARY, /* it did not run: send it again, turned away */
};

/* Heeds the error with which a command was answered. */
enum vlock_route_advice vlock_route_heed(struct vlock_route *route, const char *error,
                                         struct vlock_link **ask);

/* A server was not to be reached, or did not answer: whether it is still in charge is asked for. */
void vlock_route_doubt(struct vlock_route *route);

/* Sends what a node of a cluster wants to hear just before a command for a slot that is moving to
 * it. -1: out of memory. */
int vlock_route_send_asking(struct vlock_link *link, int64_t deadline_ns);

/* Ends the connections: their replies have been mixed up. As vlock_link_distrust(). */
void vlock_route_distrust(struct vlock_route *route);

/* The links to the servers of a cluster or a service to which anything was sent, one after the
 * other: from 0 on, until NULL. */
const struct vlock_link *vlock_route_used(const struct vlock_route *route, size_t number);

/* The URL without its password; where it leads to; what went by it. As of a link. */
const char *vlock_route_name(const struct vlock_route *route);
const struct vlock_url *vlock_route_url(const struct vlock_route *route);
struct vlock_link_traffic vlock_route_traffic(const struct vlock_route *route);

#endif
