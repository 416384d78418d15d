/* A proxy that withholds replies: see reply_proxy.h. */
#include "reply_proxy.h"

#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un server = {.sun_family = AF_UNIX};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static enum reply_proxy_mode mode;
static const char *word = "";

void reply_proxy_set(enum reply_proxy_mode new_mode, const char *new_word)
{
    pthread_mutex_lock(&lock);
    mode = new_mode;
    word = new_word;
    pthread_mutex_unlock(&lock);
}

static void exit_with(const char *what)
{
    perror(what);
    exit(1);
}

static enum reply_proxy_mode mode_of_request(const char *bytes, size_t length)
{
    pthread_mutex_lock(&lock);
    bool is_meant = mode != PROXY_PASSES && memmem(bytes, length, word, strlen(word));
    enum reply_proxy_mode result = is_meant ? mode : PROXY_PASSES;
    if (result == PROXY_HOLDS_ONCE || result == PROXY_CUTS_ONCE) {
        mode = PROXY_PASSES;
        result = result == PROXY_CUTS_ONCE ? PROXY_CUTS : PROXY_HOLDS;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

/* Serves one client. */
static void *serve(void *argument)
{
    int client = (int)(intptr_t)argument, upstream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    enum reply_proxy_mode withheld = PROXY_PASSES;
    char bytes[65536];
    if (connect(upstream, (struct sockaddr *)&server, sizeof server) != 0)
        exit_with("connect");
    struct pollfd ends[] = {{.fd = client, .events = POLLIN}, {.fd = upstream, .events = POLLIN}};
    while (poll(ends, 2, -1) > 0) {
        ssize_t got;
        if (ends[0].revents) {
            if ((got = read(client, bytes, sizeof bytes)) <= 0 ||
                write(upstream, bytes, (size_t)got) != got)
                break;
            if (withheld == PROXY_PASSES)
                withheld = mode_of_request(bytes, (size_t)got);
        }
        if (ends[1].revents) {
            if ((got = read(upstream, bytes, sizeof bytes)) <= 0 || withheld == PROXY_CUTS)
                break;
            if (withheld == PROXY_PASSES && send(client, bytes, (size_t)got, MSG_NOSIGNAL) != got)
                break;
        }
    }
    close(client);
    close(upstream);
    return NULL;
}

static void start_thread(void *(*function)(void *), int fd)
{
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the thread that tests */
    int failed = pthread_create(&thread, NULL, function, (void *)(intptr_t)fd);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert(!failed);
    pthread_detach(thread);
}

static void *accept_clients(void *argument)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int listener = (int)(intptr_t)argument, client;
    while ((client = accept4(listener, (struct sockaddr *)&address, &size, SOCK_CLOEXEC)) >= 0)
        start_thread(serve, client);
    return NULL;
}

int reply_proxy_start(const char *path)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(server.sun_path, sizeof server.sun_path, "%s", path);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 64) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        exit_with("listen");
    start_thread(accept_clients, listener);
    return ntohs(address.sin_port);
}
