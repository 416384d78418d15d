/*
 * A server of one's own: redis-server or valkey-server from PATH, empty, without persistence, on a
 * Unix socket in a fresh folder that only its owner can enter.
 *
 * A supervisor process stands between us and the server. It holds the other end of a pipe of ours;
 * when we go, however we go, the pipe closes, and the supervisor ends the server and removes the
 * folder. Should the supervisor itself be killed, the kernel ends the server (Linux:
 * PR_SET_PDEATHSIG).
 */
#ifndef VLOCK_PRIVATE_SERVER_H
#define VLOCK_PRIVATE_SERVER_H

#include "vlock_error.h"

struct vlock_private_server;

/* Starts one and waits until it accepts connections (up to 10 s). The program is the environment's
 * VLOCK_SERVER, a name or a path, or the first of redis-server and valkey-server in PATH. NULL and
 * `error`, with advice, where there is none or it does not start. */
struct vlock_private_server *vlock_private_server_start(struct vlock_error *error);

/* Ends it, and returns when process and folder are gone. NULL is ignored. */
void vlock_private_server_stop(struct vlock_private_server *server);

/* unix:///… ; valid as long as the server. */
const char *vlock_private_server_url(const struct vlock_private_server *server);

#endif
