/* What servers say of a topology, read into a list of ranges: the replies to CLUSTER SHARDS and
 * CLUSTER SLOTS. */
#ifndef VLOCK_TOPOLOGY_ANSWER_H
#define VLOCK_TOPOLOGY_ANSWER_H

#include <stdbool.h>

struct redisReply;

/* A server that serves the slots from ... to, or a replica of the one that does, and was told of
 * before. `host` is valid as long as the reply; empty: it is that of the server which answered. */
typedef void vlock_topology_range(void *user, const char *host, int port, int from, int to,
                                  bool is_replica);

/* Calls `range` for each range of slots that has a primary, and for its replicas. False, where the
 * reply is not one of this form: some ranges may have been told nevertheless. */
bool vlock_topology_read_shards(const struct redisReply *reply, bool is_tls,
                                vlock_topology_range *range, void *user);
bool vlock_topology_read_slots(const struct redisReply *reply, vlock_topology_range *range,
                               void *user);

#endif
