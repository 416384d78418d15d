/* Durations and counts. Any text is read, within its range, or refused; a duration that is printed
 * reads back as what it shows. */
#include "property.h"

#include <inttypes.h>
#include <string.h>

#include "base/units.h"

#define LONGEST_NS 1000000000000000000 /* 1e9 s, as units.h says */

/* Three digits: half of the third one may be lost, of which the least is that of 1.00. */
static void require_near(int64_t ns, int64_t again, const char *shown)
{
    double lost = (double)(again > ns ? again - ns : ns - again);
    REQUIRE(lost <= 0.0051 * (double)ns, "%" PRId64 " ns are printed as %s", ns, shown);
}

static void require_prints_back(int64_t ns)
{
    char shown[24], shown_again[24];
    int64_t again = -1;
    vlock_units_format_duration(ns, shown);
    int result = vlock_units_duration(shown, strlen(shown), &again, NULL);
    REQUIRE(result == 0, "%" PRId64 " ns are printed as %s, which is refused", ns, shown);
    require_near(ns, again, shown);
    vlock_units_format_duration(again, shown_again);
    REQUIRE(strcmp(shown, shown_again) == 0, "%s is printed as %s", shown, shown_again);
}

static void require_refused_well(const struct vlock_error *error)
{
    REQUIRE(error->code == VLOCK_ERR_USAGE && error->message[0], "refused without a reason");
}

static void check_duration(const char *text, size_t size)
{
    int64_t ns = -7;
    struct vlock_error error = {.message = ""};
    if (vlock_units_duration(text, size, &ns, &error) != 0) {
        require_refused_well(&error);
        REQUIRE(ns == -7, "refused, and the result touched");
        return;
    }
    REQUIRE(ns >= 0 && ns <= LONGEST_NS, "%" PRId64 " ns are outside of the range", ns);
    require_prints_back(ns);
}

static void check_count(const char *text, size_t size)
{
    double count = -7;
    struct vlock_error error = {.message = ""};
    if (vlock_units_count(text, size, &count, &error) != 0) {
        require_refused_well(&error);
        REQUIRE(count == -7, "refused, and the result touched");
        return;
    }
    REQUIRE(count >= 0 && count <= 1e300, "%g is outside of the range", count);
}

/* The first bytes as a number: any of 64 bits is printed within its 24 bytes, and one that a text
 * can mean reads back. */
static void check_number(const uint8_t *data, size_t size)
{
    int64_t ns = 0;
    char text[24];
    memcpy(&ns, data, size < sizeof ns ? size : sizeof ns);
    vlock_units_format_duration(ns, text);
    REQUIRE(memchr(text, '\0', sizeof text), "%" PRId64 " ns are printed without an end", ns);
    REQUIRE((text[0] == '-') == (ns < 0), "%" PRId64 " ns are printed as %s", ns, text);
    require_prints_back((int64_t)((uint64_t)ns % (LONGEST_NS + 1)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1); /* no byte behind it: reading one is seen */
    REQUIRE(text, "out of memory");
    memcpy(text, data, size);
    check_duration(text, size);
    check_count(text, size);
    check_number(data, size);
    free(text);
    return 0;
}
