/* Passwords in texts: see secret.h. */
#include "base/secret.h"

#include <string.h>

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* What may stand before "://": the last letter of a scheme, or what comes behind it there (RFC
 * 3986, section 3.1). */
static bool ends_scheme(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
}

static bool ends_authority(char c)
{
    return c == '/' || c == '?' || c == '\'' || c == '"' || c == ' ' || (c >= '\t' && c <= '\r');
}

bool vlock_secret_find(const char *text, size_t length, size_t *at, size_t *count)
{
    static const char mark[] = "://";
    const char *end = text + length, *from = text + *at;
    while ((from = memmem(from, (size_t)(end - from), mark, sizeof mark - 1))) {
        const char *authority = from + sizeof mark - 1, *sign = NULL, *colon = NULL, *c;
        bool has_scheme = from > text && ends_scheme(from[-1]);
        for (c = authority; c < end && !ends_authority(*c); c++) {
            if (*c == '@')
                sign = c;
            if (*c == ':' && !colon)
                colon = c;
        }
        const char *start = authority, *stop = sign;
        if (colon && sign && colon + 1 < sign)
            start = colon + 1;
        else if (colon && sign && colon < sign)
            stop = colon; /* an empty password: the user stands alone */
        if (has_scheme && sign && start < stop) {
            *at = (size_t)(start - text);
            *count = (size_t)(stop - start);
            return true;
        }
        from = authority;
    }
    return false;
}

void vlock_secret_overwrite(char *text)
{
    size_t length = strlen(text), at = 0, count;
    for (; vlock_secret_find(text, length, &at, &count); at += count)
        memset(text + at, '*', count);
}
