/* Slots of keys. */
#include "check.h"

#include <string.h>

#include "base/slot.h"

static int slot(const char *key)
{
    return vlock_slot_of(key, strlen(key));
}

/* The check value of CRC-16/XMODEM is 0x31c3 = 12739; the others are what CLUSTER KEYSLOT of Redis
 * 7.0.15 says. */
static void slots_are_those_of_the_servers(void **state)
{
    (void)state;
    assert_int_equal(slot("123456789"), 12739);
    assert_int_equal(slot("foo"), 12182);
    assert_int_equal(slot("bar"), 5061);
    assert_int_equal(slot(""), 0);
    assert_int_equal(vlock_slot_of("a\0b\xff", 4), 7390);
}

static void a_hash_tag_is_what_counts(void **state)
{
    (void)state;
    assert_int_equal(slot("{foo}:v"), slot("foo"));
    assert_int_equal(slot("x{foo}y{bar}"), slot("foo"));
    assert_int_equal(slot("{user1000}.following"), slot("{user1000}.followers"));
    /* No tag: nothing in it, or no end. */
    assert_int_equal(slot("foo{}{bar}"), 8363);
    assert_int_equal(slot("foo{bar"), 15278);
    assert_int_equal(slot("foo{{bar}}zap"), slot("{bar"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(slots_are_those_of_the_servers),
    cmocka_unit_test(a_hash_tag_is_what_counts),
};
RUN_TESTS(tests)
