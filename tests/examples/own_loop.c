/* A program with a poll() loop of its own runs a script beside its own timer, and writes what came
 * back. usage: own_loop URL SOURCE */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <vlock.h>

static void print_reply(void *user, const struct vlock_reply *reply)
{
    (void)user;
    if (reply->type == VLOCK_REPLY_INTEGER)
        printf("%lld\n", reply->integer);
    else
        printf("%s\n", reply->string ? reply->string : "(none)");
}

int main(int argc, char **argv)
{
    struct vlock_error error = {.message = ""};
    struct itimerspec every = {.it_interval = {.tv_nsec = 10000000},
                               .it_value = {.tv_nsec = 10000000}};
    int ticks = 0, steps = 0, result = 1;
    if (argc != 3)
        return 2;
    int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    vlock_engine *engine = vlock_open(&(struct vlock_options){.url = argv[1]}, &error);
    if (!engine || timer < 0 || vlock_descriptor(engine) < 0 ||
        vlock_start(engine, argv[2], strlen(argv[2]), "=own_loop", NULL, print_reply, NULL,
                    &error) != 0) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    timerfd_settime(timer, 0, &every, NULL);
    struct pollfd fds[] = {{.fd = timer, .events = POLLIN},
                           {.fd = vlock_descriptor(engine), .events = POLLIN}};
    result = vlock_step(engine, &error);
    while (result == 1) {
        unsigned long long expirations;
        if (poll(fds, 2, 5000) <= 0) {
            fprintf(stderr, "nothing happened for 5 s\n");
            return 1;
        }
        if (fds[0].revents && read(timer, &expirations, sizeof expirations) == sizeof expirations)
            ticks += (int)expirations;
        if (fds[1].revents) {
            steps++;
            result = vlock_step(engine, &error);
        }
    }
    if (result < 0)
        fprintf(stderr, "%s\n", error.message);
    printf("ticks %d steps %d\n", ticks, steps);
    vlock_close(engine);
    close(timer);
    return result < 0 ? 1 : 0;
}
