/* Where a server is: see url.h. */
#include "base/url.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#define DEFAULT_HOST "localhost"
#define DEFAULT_PORT 6379
#define DB_LIMIT 1000000

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 32) >= 'a' && (c | 32) <= 'f')
        return (c | 32) - 'a' + 10;
    return -1;
}

/* A copy of text … end with %XX decoded. NULL when out of memory, or for %00 and bad digits. */
static char *decode(const char *text, const char *end)
{
    char *copy = malloc((size_t)(end - text) + 1), *at = copy;
    while (copy && text < end) {
        if (*text != '%') {
            *at++ = *text++;
            continue;
        }
        int high = end - text > 2 ? hex_digit(text[1]) : -1,
            low = high >= 0 ? hex_digit(text[2]) : -1;
        if (low < 0 || high * 16 + low == 0) {
            free(copy);
            return NULL;
        }
        *at++ = (char)(high * 16 + low);
        text += 3;
    }
    if (copy)
        *at = '\0';
    return copy;
}

static bool parse_number(const char *text, const char *end, int limit, int *number)
{
    long value = 0;
    if (text == end)
        return false;
    for (; text < end; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (*text - '0');
        if (value > limit)
            return false;
    }
    *number = (int)value;
    return true;
}

static int refuse(struct vlock_error *error, const char *what)
{
    return vlock_error_set(error, VLOCK_ERR_USAGE,
                           "bad URL: %s; it looks like redis://HOST:PORT/DB or unix:///PATH?db=N, "
                           "with USER:PASSWORD@ behind :// "
                           "where there are such",
                           what);
}

/* [user[:password]@]: moves *at behind it. An empty one is none. The last @ before the path ends
 * it, so that a password may hold one. */
static int parse_user(const char **at, const char *end, struct vlock_url *url,
                      struct vlock_error *error)
{
    const char *sign = NULL;
    for (const char *c = *at; c < end; c++)
        if (*c == '@')
            sign = c;
    if (!sign)
        return 0;
    const char *colon = memchr(*at, ':', (size_t)(sign - *at));
    const char *user_end = colon ? colon : sign;
    bool has_user = user_end > *at, has_password = colon && colon + 1 < sign;
    if (has_password)
        url->password = decode(colon + 1, sign);
    if (has_user)
        url->user = decode(*at, user_end);
    if ((has_password && !url->password) || (has_user && !url->user))
        return refuse(error,
                      "user or password hold a % that is not followed by two hexadecimal digits");
    *at = sign + 1;
    return 0;
}

/* What stands behind the host, where an @ means that it was not meant to: a password with a / or ?
 * that is not encoded. */
static int check_rest(const char *rest, const char *end, struct vlock_error *error)
{
    if (memchr(rest, '@', (size_t)(end - rest)))
        return refuse(error, "an @ stands behind the host: in a user or a password, / is written "
                             "%2F and ? is written %3F");
    return 0;
}

static int parse_db(const char *text, const char *end, struct vlock_url *url,
                    struct vlock_error *error)
{
    if (!parse_number(text, end, DB_LIMIT, &url->db))
        return refuse(error, "the database must be a number");
    return 0;
}

/* ?db=N, at *query … end. */
static int parse_query(const char *query, const char *end, struct vlock_url *url,
                       struct vlock_error *error)
{
    if (query == end)
        return 0;
    if (strncmp(query, "?db=", 4) != 0)
        return refuse(error, "behind the ? there may only be db=N");
    return parse_db(query + 4, end, url, error);
}

static int parse_tcp(const char *at, struct vlock_url *url, struct vlock_error *error)
{
    const char *end = at + strlen(at);
    const char *query = at + strcspn(at, "?");
    const char *slash = memchr(at, '/', (size_t)(query - at));
    const char *host_end = slash ? slash : query;
    if (check_rest(host_end, end, error) != 0 || parse_user(&at, host_end, url, error) != 0)
        return -1;

    const char *colon;
    if (at < host_end && *at == '[') {
        const char *bracket = memchr(at, ']', (size_t)(host_end - at));
        if (!bracket)
            return refuse(error, "the address has no closing bracket");
        url->host = decode(at + 1, bracket);
        colon = bracket + 1;
        if (colon < host_end && *colon != ':')
            return refuse(error, "behind the closing bracket there may only be :port");
    } else {
        colon = memchr(at, ':', (size_t)(host_end - at));
        colon = colon ? colon : host_end;
        url->host = colon > at ? decode(at, colon) : strdup(DEFAULT_HOST);
    }
    if (!url->host)
        return refuse(error, "the host cannot be read");
    url->port = DEFAULT_PORT;
    if (colon < host_end &&
        (!parse_number(colon + 1, host_end, 65535, &url->port) || url->port == 0))
        return refuse(error, "the port must be a number from 1 to 65535");
    bool has_db = slash && slash + 1 < query;
    if (has_db && query < end)
        return refuse(error, "a database stands behind the / and one behind the ?: say one");
    if (has_db && parse_db(slash + 1, query, url, error) != 0)
        return -1;
    return parse_query(query, end, url, error);
}

static int parse_unix(const char *at, struct vlock_url *url, struct vlock_error *error)
{
    const char *end = at + strlen(at);
    const char *query = at + strcspn(at, "?");
    const char *slash = memchr(at, '/', (size_t)(query - at));
    if (slash && slash > at && parse_user(&at, slash, url, error) != 0)
        return -1;
    if (at != slash || at == query)
        return refuse(error, "a unix:// URL holds an absolute path: unix:///run/redis.sock");
    url->path = decode(at, query);
    if (!url->path)
        return refuse(error, "the path holds a % that is not followed by two hexadecimal digits");
    size_t length = strlen(url->path), limit = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    if (length > limit)
        return vlock_error_set(error, VLOCK_ERR_USAGE,
                               "bad URL: the socket's path has %zu bytes, the system takes %zu at "
                               "most: use a shorter one",
                               length, limit);
    return parse_query(query, end, url, error);
}

/* Schemes are written in any case (RFC 3986, section 3.1). */
static bool has_scheme(const char *text, const char *scheme)
{
    return strncasecmp(text, scheme, strlen(scheme)) == 0;
}

static int parse_scheme(const char *text, struct vlock_url *url, struct vlock_error *error)
{
    static const char *const later[] = {"rediss://", "valkeys://", "redis+sentinel://",
                                        "redis+cluster://"};
    for (size_t i = 0; i < sizeof later / sizeof *later; i++)
        if (has_scheme(text, later[i]))
            return vlock_error_set(error, VLOCK_ERR_USAGE,
                                   "%s is not supported yet; redis://, valkey:// and unix:// are",
                                   later[i]);
    if (has_scheme(text, "redis://") || has_scheme(text, "valkey://")) {
        url->kind = VLOCK_URL_TCP;
        return parse_tcp(strstr(text, "://") + 3, url, error);
    }
    if (has_scheme(text, "unix://")) {
        url->kind = VLOCK_URL_UNIX;
        return parse_unix(text + 7, url, error);
    }
    return refuse(error, "it begins with no scheme that is known");
}

int vlock_url_parse(const char *text, struct vlock_url *url, struct vlock_error *error)
{
    memset(url, 0, sizeof *url);
    char *copy = strdup(text + strspn(text, " \t\r\n"));
    if (!copy)
        return vlock_error_set(error, VLOCK_ERR_MEMORY, "out of memory");
    size_t length = strlen(copy); /* a line's end comes with what was read from a file */
    while (length > 0 && strchr(" \t\r\n", copy[length - 1]))
        copy[--length] = '\0';
    int result = parse_scheme(copy, url, error);
    explicit_bzero(copy, length);
    free(copy);
    if (result != 0)
        vlock_url_clear(url);
    return result;
}

static bool copy_text(char **to, const char *from)
{
    *to = from ? strdup(from) : NULL;
    return *to || !from;
}

int vlock_url_copy(const struct vlock_url *from, struct vlock_url *to)
{
    memset(to, 0, sizeof *to);
    to->kind = from->kind;
    to->port = from->port;
    to->db = from->db;
    if (copy_text(&to->host, from->host) && copy_text(&to->path, from->path) &&
        copy_text(&to->user, from->user) && copy_text(&to->password, from->password))
        return 0;
    vlock_url_clear(to);
    return -1;
}

void vlock_url_clear(struct vlock_url *url)
{
    if (url->password)
        explicit_bzero(url->password, strlen(url->password));
    free(url->host);
    free(url->path);
    free(url->user);
    free(url->password);
    memset(url, 0, sizeof *url);
}

void vlock_url_print(const struct vlock_url *url, char *text, size_t size)
{
    char user[80] = "", db[16] = "";
    if (url->password)
        snprintf(user, sizeof user, "%.60s:***@", url->user ? url->user : "");
    else if (url->user)
        snprintf(user, sizeof user, "***@"); /* some put the password there */
    if (url->kind == VLOCK_URL_UNIX) {
        if (url->db)
            snprintf(db, sizeof db, "?db=%d", url->db);
        snprintf(text, size, "unix://%s%s%s", user, url->path, db);
        return;
    }
    bool is_ipv6 = strchr(url->host, ':') != NULL;
    if (url->db)
        snprintf(db, sizeof db, "/%d", url->db);
    snprintf(text, size, "redis://%s%s%s%s:%d%s", user, is_ipv6 ? "[" : "", url->host,
             is_ipv6 ? "]" : "", url->port, db);
}
