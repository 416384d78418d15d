/* URLs of servers. Any text is read or refused; a password shows up nowhere; what is printed is the
 * same place when it is read again. */
#include "property.h"

#include <string.h>

#include "base/url.h"

#define SECRET "Kq7-zW4-xJ9"

/* As large as an input that is printed with every byte encoded, and what stands around it: where a
 * place is left out, between two commas, localhost:26379. */
static char *print(const struct vlock_url *url, size_t input_size)
{
    size_t size = 3 * input_size + 200 + 16 * VLOCK_URL_MOST_PLACES;
    char *text = malloc(size);
    REQUIRE(text, "out of memory");
    vlock_url_print(url, text, size);
    return text;
}

static void require_one_line_of_ascii(const char *text)
{
    for (const char *c = text; *c; c++)
        REQUIRE(*c > ' ' && *c < 127, "byte %d is printed: %s", (unsigned char)*c, text);
}

/* User and password are not printed whole. */
static void forget_who(struct vlock_url *url)
{
    vlock_url_forget_password(url);
    free(url->user);
    url->user = NULL;
}

static void require_same_place(const struct vlock_url *url, const char *shown)
{
    struct vlock_url again;
    struct vlock_error error = {.message = ""};
    int result = vlock_url_parse(shown, &again, &error);
    REQUIRE(result == 0, "what was printed is refused: %s: %s", shown, error.message);
    REQUIRE(!again.password == !url->password, "the password came or went: %s", shown);
    struct vlock_url place;
    REQUIRE(vlock_url_copy(url, &place) == 0, "out of memory");
    forget_who(&place);
    forget_who(&again);
    REQUIRE(vlock_url_is_equal(&again, &place), "what was printed is another place: %s", shown);
    vlock_url_clear(&place);
    vlock_url_clear(&again);
}

/* The printed text does not depend on the password: it is the same with another one. */
static void require_password_unseen(const struct vlock_url *url, const char *shown, size_t size)
{
    struct vlock_url other;
    if (!url->password)
        return;
    REQUIRE(vlock_url_copy(url, &other) == 0, "out of memory");
    free(other.password);
    other.password = strdup(SECRET);
    char *text = print(&other, size);
    REQUIRE(strcmp(text, shown) == 0, "the password is seen: %s and %s", shown, text);
    free(text);
    vlock_url_clear(&other);
}

static void require_whole(const struct vlock_url *url)
{
    REQUIRE(url->kind == VLOCK_URL_TCP || url->kind == VLOCK_URL_UNIX, "a kind there is not");
    if (url->kind == VLOCK_URL_TCP)
        REQUIRE(url->host && *url->host && url->port > 0 && url->port < 65536 && !url->path,
                "TCP without a host or a port");
    else
        REQUIRE(url->path && *url->path == '/' && !url->host, "a socket without a path");
    REQUIRE(url->db >= 0, "a database below zero");
}

static void require_refused_well(const struct vlock_url *url, const struct vlock_error *error)
{
    REQUIRE(error->code == VLOCK_ERR_USAGE && error->message[0], "refused without a reason");
    REQUIRE(!url->host && !url->path && !url->user && !url->password, "something is left");
}

static void check(const char *text, size_t size)
{
    struct vlock_url url;
    struct vlock_error error = {.message = ""};
    if (vlock_url_parse(text, &url, &error) != 0) {
        require_refused_well(&url, &error);
        return;
    }
    require_whole(&url);
    char *shown = print(&url, size);
    require_one_line_of_ascii(shown);
    require_same_place(&url, shown);
    require_password_unseen(&url, shown, size);
    char small[24];
    vlock_url_print(&url, small, sizeof small); /* cut, and within its size */
    REQUIRE(strncmp(small, shown, strlen(small)) == 0, "cut, it reads otherwise: %s", small);
    free(shown);
    vlock_url_clear(&url);
}

/* The same text with a secret before its last @: no message may hold that, whatever is wrong with
 * the text. */
static void check_with_secret(const char *text, size_t size)
{
    const char *scheme = strstr(text, "://"), *sign = strrchr(text, '@');
    if (!scheme || !sign || sign < scheme || strstr(text, SECRET))
        return; /* the fuzzer learns the secret, too, and writes it elsewhere */
    char *planted = malloc(size + sizeof SECRET);
    REQUIRE(planted, "out of memory");
    sprintf(planted, "%.*s" SECRET "%s", (int)(sign - text), text, sign);
    struct vlock_url url;
    struct vlock_error error = {.message = ""};
    if (vlock_url_parse(planted, &url, &error) != 0) {
        REQUIRE(!strstr(error.message, SECRET), "the message holds the password: %s",
                error.message);
    } else if (url.password || url.user) {
        char *shown = print(&url, size + sizeof SECRET);
        REQUIRE((url.path && strstr(url.path, SECRET)) || !strstr(shown, SECRET),
                "the password is printed: %s", shown);
        free(shown);
    }
    vlock_url_clear(&url);
    free(planted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    REQUIRE(text, "out of memory");
    memcpy(text, data, size);
    text[size] = '\0';
    check(text, size);
    check_with_secret(text, strlen(text) + 1);
    free(text);
    return 0;
}
