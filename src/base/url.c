/* Where a server is: see url.h. */
#include "base/url.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#define DEFAULT_HOST "localhost"
#define DEFAULT_PORT 6379
#define DEFAULT_SENTINEL_PORT 26379
#define LONGEST_SERVICE 200
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
                           "bad URL: %s; it looks like redis://HOST:PORT/DB, "
                           "redis+cluster://HOST:PORT,HOST:PORT, "
                           "redis+sentinel://HOST:PORT/SERVICE or unix:///PATH?db=N, with "
                           "USER:PASSWORD@ behind :// where there are such",
                           what);
}

/* Where a text that quotes a URL ends it: a password that holds one of these could not be told from
 * the text around it, and so not be hidden (see secret.h). */
#define ENDS_OF_QUOTATION "'\" \t\n\v\f\r"

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
    if (*at + strcspn(*at, ENDS_OF_QUOTATION) < sign)
        return refuse(error, "user or password hold a blank or a quotation mark: write %20 for a "
                             "blank, %22 for \", %27 for '");
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

/* HOST[:PORT] at text ... end; either may be missing. */
static int parse_place(const char *text, const char *end, int default_port,
                       struct vlock_url_place *place, struct vlock_error *error)
{
    const char *colon;
    if (text < end && *text == '[') {
        const char *bracket = memchr(text, ']', (size_t)(end - text));
        if (!bracket)
            return refuse(error, "the address has no closing bracket");
        place->host = decode(text + 1, bracket);
        colon = bracket + 1;
        if (colon < end && *colon != ':')
            return refuse(error, "behind the closing bracket there may only be :port");
    } else {
        colon = memchr(text, ':', (size_t)(end - text));
        colon = colon ? colon : end;
        place->host = colon > text ? decode(text, colon) : strdup(DEFAULT_HOST);
    }
    if (!place->host)
        return refuse(error, "the host cannot be read");
    if (!*place->host)
        return refuse(error, "there is no address in the brackets");
    place->port = default_port;
    if (colon < end && (!parse_number(colon + 1, end, 65535, &place->port) || place->port == 0))
        return refuse(error, "the port must be a number from 1 to 65535");
    return 0;
}

/* The places, with a comma between them where there may be several. */
static int parse_places(const char *at, const char *end, struct vlock_url *url,
                        struct vlock_error *error)
{
    int port = url->topology == VLOCK_URL_SENTINEL ? DEFAULT_SENTINEL_PORT : DEFAULT_PORT;
    for (bool is_first = true, is_last = false; !is_last; is_first = false) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        struct vlock_url_place place = {NULL, 0};
        if (comma && url->topology == VLOCK_URL_ONE)
            return refuse(error, "it names several servers: those of a cluster begin with "
                                 "redis+cluster://, sentinels with redis+sentinel://");
        is_last = !comma;
        if (parse_place(at, is_last ? end : comma, port, &place, error) != 0) {
            free(place.host);
            return -1;
        }
        if (is_first) {
            url->host = place.host;
            url->port = place.port;
        } else {
            url->more[url->more_count++] = place;
        }
        at = is_last ? end : comma + 1;
        if (is_last)
            break;
        if (!url->more)
            url->more = calloc(VLOCK_URL_MOST_PLACES, sizeof *url->more);
        if (!url->more)
            return vlock_error_set(error, VLOCK_ERR_MEMORY, "out of memory");
        if (url->more_count == VLOCK_URL_MOST_PLACES)
            return refuse(error, "it names more than 65 servers: a few are enough");
    }
    return 0;
}

/* /SERVICE, behind which a database may stand: moves *slash to the / of that, or to the end. */
static int parse_service(const char **slash, const char *end, struct vlock_url *url,
                         struct vlock_error *error)
{
    const char *name = *slash ? *slash + 1 : end;
    const char *name_end = memchr(name, '/', (size_t)(end - name));
    name_end = name_end ? name_end : end;
    url->service = name < name_end ? decode(name, name_end) : NULL;
    if (url->service && strlen(url->service) > LONGEST_SERVICE)
        return refuse(error, "the name of the service is too long");
    if (!url->service)
        return refuse(error, "behind the sentinels there must be /SERVICE, the name by which they "
                             "know the primary: redis+sentinel://HOST:26379/mymaster");
    *slash = name_end < end ? name_end : NULL;
    return 0;
}

static int parse_tcp(const char *at, struct vlock_url *url, struct vlock_error *error)
{
    const char *end = at + strlen(at);
    const char *query = at + strcspn(at, "?");
    const char *slash = memchr(at, '/', (size_t)(query - at));
    const char *host_end = slash ? slash : query;
    if (check_rest(host_end, end, error) != 0 || parse_user(&at, host_end, url, error) != 0 ||
        parse_places(at, host_end, url, error) != 0)
        return -1;
    if (url->topology == VLOCK_URL_SENTINEL && parse_service(&slash, query, url, error) != 0)
        return -1;
    bool has_db = slash && slash + 1 < query;
    if (has_db && query < end)
        return refuse(error, "a database stands behind the / and one behind the ?: say one");
    if (has_db && parse_db(slash + 1, query, url, error) != 0)
        return -1;
    if (parse_query(query, end, url, error) != 0)
        return -1;
    if (url->topology == VLOCK_URL_CLUSTER && url->db)
        return refuse(error, "a cluster has no database but 0");
    return 0;
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

/* SCHEME[+cluster|+sentinel]:// of one with an address: moves *at behind it. */
static bool parse_tcp_scheme(const char **at, struct vlock_url *url)
{
    static const struct {
        const char *name;
        bool is_tls;
    } names[] = {{"redis", false}, {"rediss", true}, {"valkey", false}, {"valkeys", true}};
    static const struct {
        const char *ending;
        enum vlock_url_topology topology;
    } endings[] = {{"://", VLOCK_URL_ONE},
                   {"+cluster://", VLOCK_URL_CLUSTER},
                   {"+sentinel://", VLOCK_URL_SENTINEL}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (size_t j = 0; j < sizeof endings / sizeof *endings; j++) {
            size_t length = strlen(names[i].name);
            if (!has_scheme(*at, names[i].name) || !has_scheme(*at + length, endings[j].ending))
                continue;
            url->is_tls = names[i].is_tls;
            url->topology = endings[j].topology;
            *at += length + strlen(endings[j].ending);
            return true;
        }
    }
    return false;
}

static int parse_scheme(const char *text, struct vlock_url *url, struct vlock_error *error)
{
    if (parse_tcp_scheme(&text, url)) {
        url->kind = VLOCK_URL_TCP;
        return parse_tcp(text, url, error);
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

static bool copy_places(const struct vlock_url *from, struct vlock_url *to)
{
    if (!from->more_count)
        return true;
    to->more = calloc(from->more_count, sizeof *to->more);
    for (; to->more && to->more_count < from->more_count; to->more_count++) {
        struct vlock_url_place *place = &to->more[to->more_count];
        place->port = from->more[to->more_count].port;
        if (!copy_text(&place->host, from->more[to->more_count].host))
            return false;
    }
    return to->more != NULL;
}

int vlock_url_copy(const struct vlock_url *from, struct vlock_url *to)
{
    memset(to, 0, sizeof *to);
    to->kind = from->kind;
    to->topology = from->topology;
    to->port = from->port;
    to->is_tls = from->is_tls;
    to->db = from->db;
    if (copy_text(&to->host, from->host) && copy_text(&to->path, from->path) &&
        copy_text(&to->user, from->user) && copy_text(&to->password, from->password) &&
        copy_text(&to->service, from->service) && copy_places(from, to))
        return 0;
    vlock_url_clear(to);
    return -1;
}

int vlock_url_at(const struct vlock_url *url, const char *host, int port, struct vlock_url *to)
{
    memset(to, 0, sizeof *to);
    to->kind = VLOCK_URL_TCP;
    to->port = port;
    to->is_tls = url->is_tls;
    to->db = url->db;
    if (copy_text(&to->host, host) && copy_text(&to->user, url->user) &&
        copy_text(&to->password, url->password))
        return 0;
    vlock_url_clear(to);
    return -1;
}

static bool is_same_text(const char *one, const char *other)
{
    return one && other ? strcmp(one, other) == 0 : one == other;
}

bool vlock_url_is_equal(const struct vlock_url *one, const struct vlock_url *other)
{
    bool is_equal = one->kind == other->kind && one->topology == other->topology &&
                    one->is_tls == other->is_tls && one->port == other->port &&
                    one->db == other->db && one->more_count == other->more_count &&
                    is_same_text(one->host, other->host) &&
                    is_same_text(one->path, other->path) && is_same_text(one->user, other->user) &&
                    is_same_text(one->password, other->password) &&
                    is_same_text(one->service, other->service);
    for (size_t i = 0; is_equal && i < one->more_count; i++)
        is_equal = one->more[i].port == other->more[i].port &&
                   strcmp(one->more[i].host, other->more[i].host) == 0;
    return is_equal;
}

void vlock_url_forget_password(struct vlock_url *url)
{
    if (url->password)
        explicit_bzero(url->password, strlen(url->password));
    free(url->password);
    url->password = NULL;
}

void vlock_url_clear(struct vlock_url *url)
{
    vlock_url_forget_password(url);
    for (size_t i = 0; i < url->more_count; i++)
        free(url->more[i].host);
    free(url->more);
    free(url->host);
    free(url->path);
    free(url->user);
    free(url->service);
    memset(url, 0, sizeof *url);
}

/* ---- printing ---- */

struct printed {
    char *text;
    size_t size, length;
};

static void add(struct printed *to, const char *text)
{
    for (; *text && to->length + 1 < to->size; text++)
        to->text[to->length++] = *text;
}

/* At most `count` bytes of the text, with %XX for those that mean something else in a URL, or to a
 * terminal: letters, digits and the ones in `kept` mean themselves. */
static void add_encoded(struct printed *to, const char *text, size_t count, const char *kept)
{
    for (; *text && count > 0; text++, count--) {
        char shown[4] = {*text};
        bool is_letter = (*text | 32) >= 'a' && (*text | 32) <= 'z';
        bool is_digit = *text >= '0' && *text <= '9';
        if (!is_letter && !is_digit && !strchr(kept, *text))
            snprintf(shown, sizeof shown, "%%%02X", (unsigned)(unsigned char)*text);
        add(to, shown);
    }
}

static void add_user(struct printed *to, const struct vlock_url *url)
{
    if (url->password) {
        add_encoded(to, url->user ? url->user : "", 60, "-._~");
        add(to, ":***@");
    } else if (url->user) {
        add(to, "***@"); /* some put the password there */
    }
}

static void add_place(struct printed *to, const char *host, int number)
{
    char port[16];
    bool is_ipv6 = strchr(host, ':') != NULL;
    add(to, is_ipv6 ? "[" : "");
    add_encoded(to, host, SIZE_MAX, is_ipv6 ? "-._~:" : "-._~");
    snprintf(port, sizeof port, "%s:%d", is_ipv6 ? "]" : "", number);
    add(to, port);
}

static void add_places(struct printed *to, const struct vlock_url *url)
{
    add_place(to, url->host, url->port);
    for (size_t i = 0; i < url->more_count; i++) {
        add(to, ",");
        add_place(to, url->more[i].host, url->more[i].port);
    }
    if (url->service) {
        add(to, "/");
        add_encoded(to, url->service, SIZE_MAX, "-._~");
    }
}

void vlock_url_print(const struct vlock_url *url, char *text, size_t size)
{
    struct printed to = {text, size, 0};
    bool is_unix = url->kind == VLOCK_URL_UNIX;
    add(&to, is_unix ? "unix" : url->is_tls ? "rediss" : "redis");
    add(&to, url->topology == VLOCK_URL_CLUSTER    ? "+cluster://"
             : url->topology == VLOCK_URL_SENTINEL ? "+sentinel://"
                                                   : "://");
    add_user(&to, url);
    if (is_unix)
        add_encoded(&to, url->path, SIZE_MAX, "-._~/!$&'()*+,;=:@");
    else
        add_places(&to, url);
    if (url->db) {
        char db[16];
        snprintf(db, sizeof db, "%s%d", is_unix ? "?db=" : "/", url->db);
        add(&to, db);
    }
    if (size > 0)
        text[to.length] = '\0';
}
