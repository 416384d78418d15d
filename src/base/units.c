/* Durations and counts: see units.h. */
#include "base/units.h"

#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DURATION_LIMIT_NS 1e18

struct unit {
    const char *name;
    double factor;
};

static const struct unit time_units[] = {{"ns", 1},   {"us", 1e3},   {"ms", 1e6}, {"s", 1e9},
                                         {"m", 60e9}, {"h", 3600e9}, {"", 1e9}};
static const struct unit count_units[] = {{"", 1}, {"k", 1e3}, {"K", 1e3}, {"M", 1e6}, {"G", 1e9}};

/* Digits with at most one point and an exponent: not the other things strtod() takes (inf, nan,
 * hexadecimal, signs, spaces). */
static size_t number_length(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    size_t length = digits;
    if (text[length] == '.') {
        size_t fraction = strspn(text + length + 1, "0123456789");
        digits += fraction;
        length += 1 + fraction;
    }
    if (!digits)
        return 0;
    if (text[length] == 'e' || text[length] == 'E') {
        size_t sign = text[length + 1] == '-' || text[length + 1] == '+';
        size_t exponent = strspn(text + length + 1 + sign, "0123456789");
        if (exponent)
            length += 1 + sign + exponent;
    }
    return length;
}

/* As strtod() in the C locale: here the thread's may have another decimal point. */
static double number_from(char *digits)
{
    char *point = strchr(digits, '.');
    if (point)
        *point = localeconv()->decimal_point[0];
    return strtod(digits, NULL);
}

static void put_point(char *text)
{
    char *point = strchr(text, localeconv()->decimal_point[0]);
    if (point)
        *point = '.';
}

static bool parse(const char *text, size_t length, const struct unit *units, size_t unit_count,
                  double *value)
{
    char copy[64];
    if (length == 0 || length >= sizeof copy || memchr(text, '\0', length))
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    size_t digits = number_length(copy);
    if (!digits)
        return false;
    for (size_t i = 0; i < unit_count; i++) {
        if (strcmp(copy + digits, units[i].name) == 0) {
            copy[digits] = '\0';
            *value = number_from(copy) * units[i].factor;
            return true;
        }
    }
    return false;
}

int vlock_units_duration(const char *text, size_t length, int64_t *ns, struct vlock_error *error)
{
    double value;
    if (!parse(text, length, time_units, sizeof time_units / sizeof *time_units, &value) ||
        value > DURATION_LIMIT_NS)
        return vlock_error_set(error, VLOCK_ERR_USAGE,
                               "\"%.*s\" is not a duration like 250us, 2ms, 1.5s, 5m or 1h",
                               (int)(length < 60 ? length : 60), text);
    *ns = (int64_t)(value + 0.5);
    return 0;
}

int vlock_units_count(const char *text, size_t length, double *count, struct vlock_error *error)
{
    double value;
    if (!parse(text, length, count_units, sizeof count_units / sizeof *count_units, &value) ||
        value > 1e300)
        return vlock_error_set(error, VLOCK_ERR_USAGE,
                               "\"%.*s\" is not a number like 50, 10k, 1M or 0.5",
                               (int)(length < 60 ? length : 60), text);
    *count = value;
    return 0;
}

void vlock_units_format_duration(int64_t ns, char text[24])
{
    /* `from`: what would have as many of the next smaller unit, rounded to three digits. */
    static const struct {
        const char *name;
        double factor, from;
    } shown[] = {{"h", 3600e9, 59.95 * 60e9}, {"m", 60e9, 59.95e9}, {"s", 1e9, 999.5e6},
                 {"ms", 1e6, 999.5e3},        {"us", 1e3, 999.5},   {"ns", 1, 1}};
    const char *sign = ns < 0 ? "-" : "";
    double size = ns < 0 ? -(double)ns : (double)ns;
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        if (size >= shown[i].from) {
            double number = fmax(size / shown[i].factor, 1);
            if (number >= 999.5) /* hours; not rounded up past the longest that can be read */
                snprintf(text, 24, "%s%.0f%s", sign, floor(number), shown[i].name);
            else
                snprintf(text, 24, "%s%.3g%s", sign, number, shown[i].name);
            put_point(text);
            return;
        }
    }
    snprintf(text, 24, "0s");
}
