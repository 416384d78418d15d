/* vlock_update() with zero bytes in key and value, on the way in and out. */
#include "check.h"

#include <string.h>

#include "vlock.h"

struct host {
    char text[32];
    size_t seen; /* the size of what was last shown */
};

/* Writes what it is shown, and "\0z" behind it. */
static enum vlock_decision append(void *user, struct vlock_update *update)
{
    struct host *host = user;
    host->seen = update->present_size;
    memcpy(host->text, update->present ? update->present : "", update->present_size);
    memcpy(host->text + update->present_size, "\0z", 2);
    update->value = host->text;
    update->size = update->present_size + 2;
    return VLOCK_WRITE;
}

static void an_update_shows_and_writes_every_byte(void **state)
{
    (void)state;
    static const char key[] = "k\0y", wanted[] = "\0z\0z\0z";
    struct vlock_options options = {.private_server = true};
    struct vlock_error error = {.message = ""};
    struct host host;
    struct vlock_state now;
    vlock_engine *engine = vlock_open(&options, &error);
    assert_non_null(engine);
    for (size_t i = 1; i <= 3; i++) {
        assert_int_equal(vlock_update(engine, key, 3, append, &host, NULL, &now, &error),
                         VLOCK_COMMITTED);
        assert_int_equal(host.seen, 2 * (i - 1));
        assert_int_equal(now.size, 2 * i);
        assert_memory_equal(now.value, wanted, 2 * i);
        vlock_state_clear(&now);
    }
    assert_int_equal(vlock_get(engine, key, 3, NULL, &now, &error), 0);
    assert_int_equal(now.size, 6);
    assert_memory_equal(now.value, wanted, 6);
    vlock_state_clear(&now);
    assert_int_equal(vlock_get(engine, "k", 1, NULL, &now, &error), 0);
    assert_null(now.value); /* the key is no shorter one */
    vlock_state_clear(&now);
    vlock_close(engine);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(an_update_shows_and_writes_every_byte)};
RUN_TESTS(tests)
