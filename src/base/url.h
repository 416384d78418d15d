/* Where a server is, or those of a cluster: redis://, rediss:// and unix:// URLs and their kin. */
#ifndef VLOCK_URL_H
#define VLOCK_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "vlock_error.h"

enum vlock_url_kind { VLOCK_URL_TCP, VLOCK_URL_UNIX };

/* What the places of a URL are: one server; nodes of a cluster, any of them; the sentinels of a
 * service, any of them. */
enum vlock_url_topology { VLOCK_URL_ONE, VLOCK_URL_CLUSTER, VLOCK_URL_SENTINEL };

struct vlock_url_place {
    char *host;
    int port;
};

#define VLOCK_URL_MOST_PLACES 64 /* beside the first one */

/* Owns its texts. Those that are not in the URL are NULL. */
struct vlock_url {
    enum vlock_url_kind kind;
    enum vlock_url_topology topology;
    char *host;                   /* TCP; localhost where the URL names none */
    int port;                     /* TCP; 6379 where the URL names none; of sentinels 26379 */
    struct vlock_url_place *more; /* further ones of a cluster or of sentinels; NULL: none */
    size_t more_count;
    bool is_tls;   /* TCP */
    char *service; /* of sentinels */
    char *path;    /* UNIX */
    char *user;
    char *password;
    int db; /* 0 in a cluster */
};

/* Reads, with rediss:// for TLS and valkey://, valkeys:// for the same,
 *     redis://[[user]:password@][host][:port][/db]      the host may be an IPv6 address in brackets
 *     redis+cluster://[[user]:password@][host][:port][,host[:port]...]
 *     redis+sentinel://[[user]:password@][host][:port][,host[:port]...]/service[/db]
 *     unix://[[user]:password@]/path[?db=N]
 * with %XX for any byte of user, password and path; blanks and quotation marks of user and
 * password, as / and ?, are taken in that form alone. 0, or -1 with VLOCK_ERR_USAGE; a message
 * never holds the password. On success the caller clears `url`. */
int vlock_url_parse(const char *text, struct vlock_url *url, struct vlock_error *error);

/* 0, or -1 when out of memory. */
int vlock_url_copy(const struct vlock_url *from, struct vlock_url *to);

/* The URL of one server that this one leads to: its user, password, TLS and database, at another
 * place. 0, or -1 when out of memory. */
int vlock_url_at(const struct vlock_url *url, const char *host, int port, struct vlock_url *to);

/* Whether both name the same, password and all. */
bool vlock_url_is_equal(const struct vlock_url *one, const struct vlock_url *other);

/* Wipes and frees the password. */
void vlock_url_forget_password(struct vlock_url *url);

/* Frees the texts, wipes the password, zeroes the struct. */
void vlock_url_clear(struct vlock_url *url);

/* The URL again, with *** for the password and %XX where a byte needs it, cut to `size` bytes with
 * the NUL. Whole, it reads as the same place. */
void vlock_url_print(const struct vlock_url *url, char *text, size_t size);

#endif
