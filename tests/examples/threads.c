/* Four threads, an engine each, increment one counter under full_jitter: none of their updates may
 * be lost. usage: threads URL THREADS UPDATES */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vlock.h>

static const char *url;
static int updates;

static enum vlock_decision add_one(void *user, struct vlock_update *update)
{
    char *text = user;
    snprintf(text, 32, "%lld", update->present ? atoll(update->present) + 1 : 1);
    update->value = text;
    update->size = strlen(text);
    return VLOCK_WRITE;
}

static void *work(void *unused)
{
    (void)unused;
    struct vlock_error error = {.message = ""};
    vlock_engine *engine = vlock_open(&(struct vlock_options){.url = url}, &error);
    long failed = 0;
    for (int i = 0; engine && i < updates; i++) {
        char text[32];
        struct vlock_cell_options options = {.backoff = "full_jitter", .retry = "forever"};
        if (vlock_update(engine, "counter", 7, add_one, text, &options, NULL, &error) !=
            VLOCK_COMMITTED) {
            fprintf(stderr, "%s\n", error.message);
            failed++;
        }
    }
    vlock_close(engine);
    return (void *)(engine ? failed : -1L);
}

int main(int argc, char **argv)
{
    int count = argc == 4 ? atoi(argv[2]) : 0;
    pthread_t threads[16];
    long failed = 0;
    if (count < 1 || count > 16)
        return 2;
    url = argv[1];
    updates = atoi(argv[3]);
    for (int i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, work, NULL) != 0)
            return 1;
    for (int i = 0; i < count; i++) {
        void *result;
        pthread_join(threads[i], &result);
        failed += (long)result;
    }
    return failed ? 1 : 0;
}
