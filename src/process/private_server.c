/* A server of one's own: see private_server.h. */
#include "process/private_server.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/child.h"
#include "base/clock.h"

#define GUARD_TICK_MS 50 /* how soon an early end of the server is noticed */
#define START_LIMIT_NS (10 * VLOCK_NS_PER_SECOND)

static const char no_program[] =
    "no redis-server or valkey-server in PATH, for the private server. Install one (Debian, "
    "Ubuntu: apt install redis-server), "
    "name one in VLOCK_SERVER, or use a server of yours: -u redis://localhost";

struct vlock_private_server {
    pid_t supervisor;
    int watch;    /* on the supervisor: see child.h */
    int lifeline; /* our end of the pipe: a byte, or its being closed by our end, ends the server */
    char folder[80];
    char url[300];
};

/* ---- finding the program ---- */

static bool is_program(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

static bool find_in_path(const char *name, char *found, size_t size)
{
    const char *path = getenv("PATH");
    if (strchr(name, '/')) {
        snprintf(found, size, "%s", name);
        return is_program(found);
    }
    while (path && *path) {
        size_t length = strcspn(path, ":");
        snprintf(found, size, "%.*s/%s", (int)length, length ? path : ".", name);
        if (is_program(found))
            return true;
        path += length + (path[length] == ':');
    }
    return false;
}

static bool find_program(char *found, size_t size, struct vlock_error *error)
{
    const char *named = getenv("VLOCK_SERVER");
    if (named && *named) {
        if (find_in_path(named, found, size))
            return true;
        vlock_error_set(error, VLOCK_ERR_UNREACHABLE,
                        "VLOCK_SERVER names %s, which is no program that can be run", named);
        return false;
    }
    if (find_in_path("redis-server", found, size) || find_in_path("valkey-server", found, size))
        return true;
    vlock_error_set(error, VLOCK_ERR_UNREACHABLE, "%s", no_program);
    return false;
}

/* ---- the supervisor's side: only async-signal-safe calls until exec, since the process that
 * forked may have threads ---- */

static void exec_server(const char *program, const char *folder)
{
    vlock_child_reset_signals();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == 1 || chdir(folder) != 0)
        _exit(127);
    int log = open("log", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (log >= 0) {
        dup2(log, STDOUT_FILENO);
        dup2(log, STDERR_FILENO);
    }
    execl(program, program, "--port", "0", "--unixsocket", "socket", "--unixsocketperm", "700",
          "--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", ".", "--maxclients",
          "20000", (char *)NULL);
    static const char failed[] = "cannot run the server program\n";
    if (write(STDERR_FILENO, failed, sizeof failed - 1) < 0)
        _exit(126);
    _exit(127);
}

static void remove_folder(const char *folder)
{
    DIR *list = opendir(folder);
    struct dirent *entry;
    while (list && (entry = readdir(list)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(list), entry->d_name, 0);
    if (list)
        closedir(list);
    rmdir(folder);
}

static void end_server(pid_t server)
{
    kill(server, SIGKILL); /* it keeps nothing: there is nothing it could save */
    while (waitpid(server, NULL, 0) < 0 && errno == EINTR)
        continue;
}

/* Lives as long as `host` does, whose children may hold the other end of `lifeline` too, and
 * nothing comes from there; says on `report` when the server has ended before. */
static void guard(const char *program, const char *folder, pid_t host, int lifeline, int report)
{
    vlock_child_detach("vlock-supervisor", lifeline, report);

    pid_t server = fork();
    if (server == 0)
        exec_server(program, folder);
    struct pollfd held = {.fd = lifeline, .events = POLLIN};
    while (poll(&held, 1, GUARD_TICK_MS) <= 0 && getppid() == host) {
        if (server > 0 && waitpid(server, NULL, WNOHANG) == server)
            server = -1;
        if (server < 0 && report >= 0) {
            close(report);
            report = -1;
        }
    }
    if (server > 0)
        end_server(server);
    remove_folder(folder);
    _exit(0);
}

/* ---- our side ---- */

static bool accepts_connections(const char *folder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", folder);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool accepted = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return accepted;
}

/* The last line of the server's log, for the message. */
static void read_log(const char *folder, char *line, size_t size)
{
    char path[128], text[2048];
    snprintf(path, sizeof path, "%s/log", folder);
    line[0] = '\0';
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    while (fgets(text, sizeof text, file))
        if (text[0] != '\n')
            snprintf(line, size, "%.*s", (int)strcspn(text, "\n"), text);
    fclose(file);
}

/* The folder's name must leave room for the socket's in a socket address, which holds about a
 * hundred characters. */
static bool make_folder(char *folder, size_t size)
{
    const char *named = getenv("TMPDIR");
    /* Relative to where we are now; the server will be elsewhere. */
    char *parent = named && *named ? realpath(named, NULL) : NULL;
    snprintf(folder, size, "%s/vlock-XXXXXX", parent && strlen(parent) <= 48 ? parent : "/tmp");
    free(parent);
    return mkdtemp(folder) != NULL;
}

/* unix:// and the socket's path, in which nothing means anything else in a URL. */
static void write_url(const char *folder, char *url, size_t size)
{
    size_t used = (size_t)snprintf(url, size, "unix://");
    for (const char *c = folder; *c && used + 4 < size; c++)
        used += (size_t)snprintf(
            url + used, size - used,
            isalnum((unsigned char)*c) || strchr("/-_.~", *c) ? "%c" : "%%%02X", (unsigned char)*c);
    snprintf(url + used, size - used, "/socket");
}

/* False: the server has ended, which closes `report`, or says nothing for too long. */
static bool wait_until_ready(struct vlock_private_server *server, int report)
{
    int64_t limit = vlock_clock_now() + START_LIMIT_NS;
    struct pollfd ended = {.fd = report, .events = POLLIN};
    for (int ms = 1; vlock_clock_now() < limit; ms = ms < 20 ? ms + 1 : ms) {
        if (accepts_connections(server->folder))
            return true;
        if (poll(&ended, 1, ms) > 0)
            return false;
    }
    return false;
}

struct vlock_private_server *vlock_private_server_start(struct vlock_error *error)
{
    char program[4096];
    if (!find_program(program, sizeof program, error))
        return NULL;
    struct vlock_private_server *server = calloc(1, sizeof *server);
    if (!server) {
        vlock_error_set(error, VLOCK_ERR_MEMORY, "out of memory");
        return NULL;
    }
    int ends[2] = {-1, -1}, reports[2] = {-1, -1};
    if (!make_folder(server->folder, sizeof server->folder) || pipe2(ends, O_CLOEXEC) != 0 ||
        pipe2(reports, O_CLOEXEC) != 0) {
        vlock_error_set(error, VLOCK_ERR_SYSTEM,
                        "cannot make a folder for the private server in %s: %s", server->folder,
                        strerror(errno));
        remove_folder(server->folder);
        for (int i = 0; i < 2; i++)
            if (ends[i] >= 0)
                close(ends[i]);
        free(server);
        return NULL;
    }
    write_url(server->folder, server->url, sizeof server->url);
    server->lifeline = ends[1];
    pid_t host = getpid();
    server->supervisor = fork();
    if (server->supervisor == 0)
        guard(program, server->folder, host, ends[0], reports[1]);
    server->watch = vlock_child_watch(server->supervisor);
    close(ends[0]);
    close(reports[1]);
    bool is_ready = server->supervisor > 0 && wait_until_ready(server, reports[0]);
    close(reports[0]);
    if (is_ready)
        return server;

    char line[512];
    read_log(server->folder, line, sizeof line);
    vlock_error_set(error, VLOCK_ERR_UNREACHABLE, "the private server (%s) did not start: %s",
                    program, line[0] ? line : "no word from it in 10 s");
    vlock_private_server_stop(server);
    return NULL;
}

void vlock_private_server_stop(struct vlock_private_server *server)
{
    if (!server)
        return;
    vlock_child_dismiss(server->lifeline);
    vlock_child_wait(server->supervisor, server->watch);
    remove_folder(server->folder); /* it is there where the supervisor was killed */
    free(server);
}

const char *vlock_private_server_url(const struct vlock_private_server *server)
{
    return server->url;
}
