/* Histories: any bytes as the file that `vlockrun verify` is given. It ends with a verdict, or with
 * a message that names the line; and tells the same of the same bytes. histories.lua asks, and
 * judges that. */
#include "property.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vlock.h"

#define SCRIPT "tests/fuzz/histories.lua"

/* One for all inputs: a history leaves nothing behind. */
static vlock_engine *open_engine(void)
{
    struct vlock_error error = {.message = ""};
    vlock_engine *engine = vlock_open(&(struct vlock_options){.seed = 1}, &error);
    REQUIRE(engine, "no engine: %s", error.message);
    return engine;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static vlock_engine *engine;
    struct vlock_error error = {.message = ""};
    char name[32];
    int file = memfd_create("history", 0);
    REQUIRE(file >= 0 && write(file, data, size) == (ssize_t)size, "the file cannot be made");
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    if (!engine)
        engine = open_engine();
    struct vlock_arguments arguments = {.arg_count = 1, .args = (const char *[]){name}};
    int result = vlock_run_file(engine, SCRIPT, &arguments, NULL, NULL, &error);
    REQUIRE(result == 0, "%s", error.message);
    close(file);
    return 0;
}
