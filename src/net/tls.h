/*
 * TLS between a link and its server, by OpenSSL, the same with every version of hiredis.
 *
 * hiredis gets one end of a pair of sockets in place of the server's, and what came from the server
 * is put into the other end, decrypted. What is to be sent goes to the server directly. Nothing
 * here blocks.
 */
#ifndef VLOCK_TLS_H
#define VLOCK_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "vlock_error.h"

/* Its name and version. Valid for ever. */
const char *vlock_tls_library(void);

/* Files in PEM; NULL: none. */
struct vlock_tls_settings {
    const char *ca;          /* who may have signed the server's certificate; NULL: the system's */
    const char *certificate; /* of this client, with those that lead to its CA */
    const char *key;         /* its private key, without a passphrase */
    const char *server_name; /* that the certificate must be for; NULL: the host of the URL */
    bool is_insecure;        /* whoever answers is taken for the server */
};

/* What connections have in common. */
struct vlock_tls_context;

#define VLOCK_TLS_RECORD 16384 /* bytes: the most that are sent at once */

/* NULL and VLOCK_ERR_USAGE where a file cannot be used, VLOCK_ERR_MEMORY where memory is short. */
struct vlock_tls_context *vlock_tls_context_new(const struct vlock_tls_settings *settings,
                                                struct vlock_error *error);
/* After the connections. NULL is ignored. */
void vlock_tls_context_free(struct vlock_tls_context *context);

/* One connection. */
struct vlock_tls;

/* For the connected socket `fd`, which it owns from here on; `host` is that of the URL. *inner is
 * the socket for hiredis, owned by the caller. NULL and errno on failure: then fd is still the
 * caller's. */
struct vlock_tls *vlock_tls_new(struct vlock_tls_context *context, const char *host, int fd,
                                int *inner);
/* Says goodbye and closes. NULL is ignored. */
void vlock_tls_free(struct vlock_tls *tls);

/* The server's socket, to wait for. */
int vlock_tls_descriptor(const struct vlock_tls *tls);

enum vlock_tls_progress {
    VLOCK_TLS_DONE,
    VLOCK_TLS_WANTS_READ,
    VLOCK_TLS_WANTS_WRITE,
    VLOCK_TLS_LOST,    /* the connection ended */
    VLOCK_TLS_REFUSED, /* by the other side, or by us: the next connection will be, too */
};

enum vlock_tls_progress vlock_tls_shake_hands(struct vlock_tls *tls);

/* Puts what has come from the server into the pair; where the server has ended the connection, so
 * ends the pair. */
void vlock_tls_take_in(struct vlock_tls *tls);

/* As send(): how many bytes have gone; or -1 and errno, EAGAIN where the socket takes no more.
 * After EAGAIN the same bytes come first. What was tried may have gone in part. */
ssize_t vlock_tls_send(struct vlock_tls *tls, const char *bytes, size_t length);

/* Why it was lost or refused, in words; "" where it was not. */
const char *vlock_tls_trouble(const struct vlock_tls *tls);

#endif
