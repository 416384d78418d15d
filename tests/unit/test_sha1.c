/* SHA-1 against published vectors (FIPS 180-4 examples, NIST CAVP) and lengths around a block's
 * end. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "base/sha1.h"

static void check(const char *bytes, size_t count, const char *expected)
{
    char hex[41];
    vlock_sha1_hex(bytes, count, hex);
    assert_string_equal(hex, expected);
}

static void published_vectors_come_out(void **state)
{
    (void)state;
    check("", 0, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    check("abc", 3, "a9993e364706816aba3e25717850c26c9cd0d89d");
    check("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
          "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    check("return 1", 8, "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
}

static void a_million_letters_come_out(void **state)
{
    (void)state;
    char *letters = malloc(1000000);
    assert_non_null(letters);
    memset(letters, 'a', 1000000);
    check(letters, 1000000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    free(letters);
}

/* Digests of n times 'x' from coreutils' sha1sum. */
static void lengths_around_a_block_come_out(void **state)
{
    (void)state;
    static const struct {
        size_t count;
        const char *hex;
    } cases[] = {
#include "sha1_lengths.inc"
    };
    char text[256];
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(text, cases[i].count, cases[i].hex);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(published_vectors_come_out),
    cmocka_unit_test(a_million_letters_come_out),
    cmocka_unit_test(lengths_around_a_block_come_out),
};
RUN_TESTS(tests)
