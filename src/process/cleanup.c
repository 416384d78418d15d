/* A cleanup: see cleanup.h. */
#include "process/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/child.h"

#define URL_VARIABLE "VLOCK_REDIS_URL="

struct vlock_cleanup {
    pid_t process;
    int watch;    /* on it: see child.h */
    int lifeline; /* its other end reads: a byte is the dismissal, the end that we are gone */
};

/* The environment with another VLOCK_REDIS_URL, which is its last element, malloc'd as the list is.
 * NULL when out of memory. */
static char **environment_with(const char *url)
{
    size_t count = 0, kept = 0;
    char *variable;
    while (environ && environ[count])
        count++;
    char **list = calloc(count + 2, sizeof *list);
    if (!list)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], URL_VARIABLE, strlen(URL_VARIABLE)) != 0)
            list[kept++] = environ[i];
    if (asprintf(&variable, URL_VARIABLE "%s", url) < 0) {
        free(list);
        return NULL;
    }
    list[kept] = variable;
    return list;
}

static void free_environment(char **list)
{
    size_t last = 0;
    while (list[last + 1])
        last++;
    explicit_bzero(list[last], strlen(list[last]));
    free(list[last]);
    free(list);
}

static void wait_and_clean(int lifeline, const char *const *words, char **environment)
{
    char byte;
    ssize_t got;
    vlock_child_detach("vlock-cleanup", lifeline, -1);
    while ((got = read(lifeline, &byte, 1)) < 0 && errno == EINTR)
        continue;
    if (got == 0) {
        vlock_child_reset_signals();
        execve("/proc/self/exe", (char *const *)words, environment);
    }
    _exit(0);
}

struct vlock_cleanup *vlock_cleanup_new(const char *const *words, const char *url,
                                        struct vlock_error *error)
{
    struct vlock_cleanup *cleanup = malloc(sizeof *cleanup);
    char **environment = environment_with(url);
    int ends[2];
    if (!cleanup || !environment) {
        vlock_error_set(error, VLOCK_ERR_MEMORY, "out of memory");
        goto failed;
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        vlock_error_set(error, VLOCK_ERR_SYSTEM, "cannot make a pipe: %s", strerror(errno));
        goto failed;
    }
    cleanup->process = fork();
    if (cleanup->process == 0)
        wait_and_clean(ends[0], words, environment);
    close(ends[0]);
    if (cleanup->process < 0) {
        vlock_error_set(error, VLOCK_ERR_SYSTEM, "cannot fork: %s", strerror(errno));
        close(ends[1]);
        goto failed;
    }
    cleanup->watch = vlock_child_watch(cleanup->process);
    cleanup->lifeline = ends[1];
    free_environment(environment);
    return cleanup;

failed:
    if (environment)
        free_environment(environment);
    free(cleanup);
    return NULL;
}

void vlock_cleanup_dismiss(struct vlock_cleanup *cleanup)
{
    if (!cleanup)
        return;
    vlock_child_dismiss(cleanup->lifeline);
    vlock_child_wait(cleanup->process, cleanup->watch);
    free(cleanup);
}

void vlock_cleanup_abandon(struct vlock_cleanup *cleanup)
{
    if (!cleanup)
        return;
    close(cleanup->lifeline);
    if (cleanup->watch >= 0)
        close(cleanup->watch);
    free(cleanup);
}
