/* Where a server is: redis:// and unix:// URLs. */
#ifndef VLOCK_URL_H
#define VLOCK_URL_H

#include <stddef.h>

#include "vlock_error.h"

enum vlock_url_kind { VLOCK_URL_TCP, VLOCK_URL_UNIX };

/* Owns its texts. Those that are not in the URL are NULL. */
struct vlock_url {
    enum vlock_url_kind kind;
    char *host; /* TCP; localhost where the URL names none */
    int port;   /* TCP; 6379 where the URL names none */
    char *path; /* UNIX */
    char *user;
    char *password;
    int db;
};

/* Reads
 *     redis://[[user]:password@][host][:port][/db]      the host may be an IPv6 address in brackets
 *     unix://[[user]:password@]/path[?db=N]
 * with %XX for any byte of user, password and path. 0, or -1 with VLOCK_ERR_USAGE; a message never
 * holds the password. On success the caller clears `url`. */
int vlock_url_parse(const char *text, struct vlock_url *url, struct vlock_error *error);

/* 0, or -1 when out of memory. */
int vlock_url_copy(const struct vlock_url *from, struct vlock_url *to);

/* Frees the texts, wipes the password, zeroes the struct. */
void vlock_url_clear(struct vlock_url *url);

/* The URL again, with *** for the password, cut to `size` bytes with the NUL. */
void vlock_url_print(const struct vlock_url *url, char *text, size_t size);

#endif
