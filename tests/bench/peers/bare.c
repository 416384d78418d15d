/* A bare sender in C, the ceiling for what a client can reach: it sends lua/cas.lua with token and
 * stamp, as vlock does, from a loop without Lua, policies or deadlines.
 *
 * usage, at the top of the checkout: bare socket=PATH kind=own|hot|open workers=N connections=N
 *     share=UPDATES-OF-EACH-WORKER [base_us=N cap_us=N] [size=BYTES] [rate=UPDATES-PER-SECOND]
 *     [merging=FILE]
 *
 * own:  worker i increments bench:i; its last commit is the next base, so an update is one command.
 * hot:  all increment bench:0; an update reads, computes, commits. After a conflict the worker
 *       waits a uniform random time below min(cap, base 2^n) and reads again; where base is 0, it
 *       tries again at once on what the conflict brought.
 *       With merging, a file with the script of a counter's merge at the server (see
 *       lua/cas_merge.lua), the last commit is the next base, and there is no conflict.
 * open: as own, but rate updates a second begin at random times (Poisson), workers * share in all.
 *       A latency counts from the time at which the update was due.
 *
 * Prints {"attempts": N, "seconds": [of each worker, from the common start]}; of open also
 * "latency_ms": {"p50": …, "p99": …}. */
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_BYTES = 1024 };
enum kind { OWN, HOT, OPEN };

struct worker {
    int number, key;
    int failures; /* of this update */
    long done;    /* updates */
    int sequence; /* of its writes */
    long value;
    long long version;
    char stamp[128], token[64];
    int is_reading, is_known; /* whether it has read or written what it builds on */
    int64_t wake_ns;          /* when its pause ends; 0: it has none */
    int64_t due_ns, ended_ns; /* of this update, of its last one */
    struct connection *connection;
};

/* Replies come in the order of the commands: waiting is the ring of those who sent them. What is to
 * be written lies in out, of which sent bytes have been; hiredis would move the rest each time. */
struct connection {
    redisContext *context;
    char *out;
    size_t out_size, out_room, sent;
    struct worker **waiting;
    unsigned first, count, room;
    int is_full; /* the socket takes no more just now */
    int is_shared;
};

static struct {
    const char *socket, *merging;
    enum kind kind;
    long workers, connections, share, base_us, cap_us, size, rate;
    char cas[41], read[41]; /* SHA-1 of the scripts */
    char session[13];
    int epoll;
    int64_t start_ns;
    long attempts, left; /* updates that have not ended */
    struct worker *worker;
    struct connection *connection;
    size_t command_room; /* the most that a command takes */
    /* open: */
    struct worker **idle;
    long idle_count, begun, ended;
    int64_t next_due_ns;
    int64_t *due_ns, *latency_ns;
    long due_first, due_count;
    uint64_t random;
} run;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "bare: %s: %s\n", what, why);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Uniform in [0, 1). */
static double uniform(void)
{
    run.random ^= run.random << 13;
    run.random ^= run.random >> 7;
    run.random ^= run.random << 17;
    return (double)(run.random >> 11) / 9007199254740992.0;
}

/* ---- commands ---- */

static char *bulk(char *at, const char *text, size_t size)
{
    at += sprintf(at, "$%zu\r\n", size);
    memcpy(at, text, size);
    memcpy(at + size, "\r\n", 2);
    return at + size + 2;
}

static char *text(char *at, const char *word)
{
    return bulk(at, word, strlen(word));
}

/* The command that begins at the end of what is to be written is there as a whole. */
static void send_command(struct worker *worker, const char *end)
{
    struct connection *connection = worker->connection;
    connection->out_size = (size_t)(end - connection->out);
    connection->waiting[(connection->first + connection->count) % connection->room] = worker;
    connection->count++;
}

static char *room_for_a_command(struct connection *connection)
{
    if (connection->out_size + run.command_room > connection->out_room) {
        connection->out_room = 2 * connection->out_room + run.command_room;
        connection->out = realloc(connection->out, connection->out_room);
        if (!connection->out)
            fail("memory", "there is not enough");
    }
    return connection->out + connection->out_size;
}

static char *script_call(const struct worker *worker, int words, const char *sha)
{
    char key[32], version_key[40];
    char *at = room_for_a_command(worker->connection);
    at += sprintf(at, "*%d\r\n$7\r\nEVALSHA\r\n", words);
    sprintf(key, "bench:%d", worker->key);
    sprintf(version_key, "{%s}:v", key);
    at = text(text(at, sha), "2");
    return text(text(at, key), version_key);
}

static void send_read(struct worker *worker)
{
    worker->is_reading = 1;
    send_command(worker, script_call(worker, 5, run.read));
}

static void send_commit(struct worker *worker)
{
    char number[32], *at;
    int is_first = worker->version == 0;
    size_t digits, size;
    worker->is_reading = 0;
    run.attempts++;
    at = script_call(worker, (is_first ? 12 : 13) + (run.merging ? 2 : 0), run.cas);
    digits = (size_t)sprintf(number, "%ld", worker->value + 1);
    size = digits < (size_t)run.size ? (size_t)run.size : digits;
    at += sprintf(at, "$%zu\r\n%s", size, number);
    memset(at, '.', size - digits);
    at += size - digits;
    memcpy(at, "\r\n", 2);
    sprintf(number, "%lld", worker->version + 1);
    at = text(text(at + 2, number), "0");
    sprintf(worker->token, "%s-%d.%d", run.session, worker->number + 1, ++worker->sequence);
    at = text(text(at, worker->token), worker->stamp);
    at = text(text(at, "RECEIPT"), "60000");
    at = is_first ? at : text(at, "XX");
    if (run.merging) {
        sprintf(number, "%ld", worker->value);
        at = text(text(at, is_first ? "" : number), is_first ? "ABSENT" : "HELD");
    }
    send_command(worker, at);
}

/* ---- what a worker does ---- */

static void begin(struct worker *worker)
{
    worker->failures = 0;
    if (run.kind == HOT && !(run.merging && worker->is_known))
        send_read(worker);
    else
        send_commit(worker);
}

static void end_update(struct worker *worker)
{
    worker->done++;
    run.left--;
    worker->ended_ns = now_ns();
    if (run.kind == OPEN) {
        run.latency_ns[run.ended++] = worker->ended_ns - worker->due_ns;
        run.idle[run.idle_count++] = worker;
    } else if (worker->done < run.share) {
        begin(worker);
    }
}

static void keep_state(struct worker *worker, const redisReply *value, long long version,
                       const redisReply *stamp)
{
    worker->value = value->type == REDIS_REPLY_STRING ? atol(value->str) : 0;
    worker->version = version;
    worker->is_known = 1;
    snprintf(worker->stamp, sizeof worker->stamp, "%s", stamp->str);
}

static void on_conflict(struct worker *worker, redisReply **reply)
{
    double ceiling;
    if (run.kind != HOT)
        fail("a key of its own", "conflict");
    keep_state(worker, reply[2], reply[1]->integer, reply[3]);
    worker->failures++;
    ceiling = ldexp((double)run.base_us, worker->failures < 40 ? worker->failures : 40);
    if (ceiling > (double)run.cap_us)
        ceiling = (double)run.cap_us;
    if (ceiling > 0)
        worker->wake_ns = now_ns() + (int64_t)(uniform() * ceiling * 1000);
    else
        send_commit(worker);
}

static void on_reply(struct worker *worker, redisReply *reply)
{
    if (reply->type == REDIS_REPLY_STATUS && strncmp(reply->str, "OK ", 3) == 0) {
        size_t size = strlen(worker->token);
        if (reply->len < size || strcmp(reply->str + reply->len - size, worker->token) != 0)
            fail("a reply to another command", reply->str);
        snprintf(worker->stamp, sizeof worker->stamp, "%s", reply->str + 3);
        worker->value++;
        worker->version++;
        end_update(worker);
    } else if (reply->type == REDIS_REPLY_ARRAY && worker->is_reading && reply->elements >= 3) {
        keep_state(worker, reply->element[0], reply->element[1]->integer, reply->element[2]);
        send_commit(worker);
    } else if (run.merging && reply->type == REDIS_REPLY_ARRAY && reply->elements == 8) {
        if (strcmp(reply->element[4]->str, worker->token) != 0)
            fail("a reply to another command", reply->element[4]->str);
        keep_state(worker, reply->element[2], reply->element[1]->integer, reply->element[3]);
        end_update(worker);
    } else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 5) {
        on_conflict(worker, reply->element);
    } else {
        fail("the server says", reply->str ? reply->str : "something that is not understood");
    }
}

/* ---- the loop ---- */

static void flush(struct connection *connection)
{
    int was_full = connection->is_full;
    connection->is_full = 0;
    while (connection->sent < connection->out_size && !connection->is_full) {
        ssize_t count = write(connection->context->fd, connection->out + connection->sent,
                              connection->out_size - connection->sent);
        if (count > 0)
            connection->sent += (size_t)count;
        else if (errno == EAGAIN)
            connection->is_full = 1;
        else if (errno != EINTR)
            fail("writing", strerror(errno));
    }
    if (!connection->is_full)
        connection->sent = connection->out_size = 0;
    if (connection->is_full != was_full) {
        struct epoll_event event = { .events = EPOLLIN | (was_full ? 0 : EPOLLOUT),
                                     .data.ptr = connection };
        epoll_ctl(run.epoll, EPOLL_CTL_MOD, connection->context->fd, &event);
    }
}

static void take_replies(struct connection *connection)
{
    void *reply = NULL;
    if (redisBufferRead(connection->context) != REDIS_OK)
        fail("reading", connection->context->errstr);
    while (redisGetReplyFromReader(connection->context, &reply) == REDIS_OK && reply) {
        struct worker *worker = connection->waiting[connection->first];
        connection->first = (connection->first + 1) % connection->room;
        connection->count--;
        on_reply(worker, reply);
        freeReplyObject(reply);
    }
    if (connection->context->err)
        fail("reading", connection->context->errstr);
}

/* Updates of the open loop that are due go to idle workers, or wait for one. Returns when the next
 * is due. */
static int64_t start_what_is_due(void)
{
    long total = run.workers * run.share;
    while (run.begun < total && run.next_due_ns <= now_ns()) {
        run.due_ns[run.begun++] = run.next_due_ns;
        run.next_due_ns += (int64_t)(-log(1 - uniform()) / (double)run.rate * 1e9);
    }
    while (run.due_first < run.begun && run.idle_count > 0) {
        struct worker *worker = run.idle[--run.idle_count];
        worker->due_ns = run.due_ns[run.due_first++];
        begin(worker);
        flush(worker->connection);
    }
    return run.begun < total ? run.next_due_ns : INT64_MAX;
}

static int64_t wake_who_has_waited(void)
{
    int64_t next = INT64_MAX, now = now_ns();
    for (long i = 0; i < run.workers; i++) {
        struct worker *worker = &run.worker[i];
        if (worker->wake_ns == 0)
            continue;
        if (worker->wake_ns <= now) {
            worker->wake_ns = 0;
            send_read(worker);
            flush(worker->connection);
        } else if (worker->wake_ns < next) {
            next = worker->wake_ns;
        }
    }
    return next;
}

static void turn(void)
{
    struct epoll_event events[64];
    int64_t next = run.kind == OPEN ? start_what_is_due()
                   : run.kind == HOT ? wake_who_has_waited()
                                     : INT64_MAX;
    int64_t wait = next == INT64_MAX ? 1000000000 : next - now_ns();
    struct timespec limit = { 0, 0 };
    int count;
    if (wait > 0)
        limit = (struct timespec){ wait / 1000000000, wait % 1000000000 };
    count = epoll_pwait2(run.epoll, events, 64, &limit, NULL);
    for (int i = 0; i < count; i++) {
        struct connection *connection = events[i].data.ptr;
        if (events[i].events & EPOLLIN)
            take_replies(connection);
        flush(connection);
    }
}

/* ---- beginning and end ---- */

static void load_script(redisContext *context, const char *path, char sha[41])
{
    static char source[100000];
    FILE *file = fopen(path, "r");
    size_t size = file ? fread(source, 1, sizeof source - 1, file) : 0;
    redisReply *reply;
    if (size == 0)
        fail(path, "cannot be read: run this at the top of the checkout");
    fclose(file);
    reply = redisCommand(context, "SCRIPT LOAD %b", source, size);
    if (!reply || reply->type != REDIS_REPLY_STRING)
        fail(path, "is not taken by the server");
    snprintf(sha, 41, "%s", reply->str);
    freeReplyObject(reply);
}

static void connect_all(void)
{
    struct rlimit descriptors;
    redisContext *context = redisConnectUnix(run.socket);
    if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
        descriptors.rlim_cur = descriptors.rlim_max;
        setrlimit(RLIMIT_NOFILE, &descriptors);
    }
    if (!context || context->err)
        fail(run.socket, context ? context->errstr : "no memory");
    load_script(context, run.merging ? run.merging : "lua/cas.lua", run.cas);
    load_script(context, "lua/read.lua", run.read);
    redisFree(context);
    run.epoll = epoll_create1(0);
    for (long i = 0; i < run.connections; i++) {
        struct connection *connection = &run.connection[i];
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };
        connection->context = redisConnectUnix(run.socket);
        while (connection->context && connection->context->err && errno == EAGAIN) {
            redisFree(connection->context); /* many connect: the server has not kept up */
            usleep(1000);
            connection->context = redisConnectUnix(run.socket);
        }
        if (!connection->context || connection->context->err)
            fail(run.socket, connection->context ? connection->context->errstr : "no memory");
        connection->context->flags &= ~REDIS_BLOCK;
        fcntl(connection->context->fd, F_SETFL, O_NONBLOCK);
        connection->room = (unsigned)(run.workers / run.connections + 1);
        connection->waiting = calloc(connection->room, sizeof *connection->waiting);
        if (epoll_ctl(run.epoll, EPOLL_CTL_ADD, connection->context->fd, &event) != 0)
            fail(run.socket, "cannot be waited for");
    }
}

static void make_workers(void)
{
    for (long i = 0; i < run.workers; i++) {
        struct worker *worker = &run.worker[i];
        worker->number = (int)i;
        worker->key = run.kind == HOT ? 0 : (int)i;
        worker->connection = &run.connection[i % run.connections];
        strcpy(worker->stamp, "0");
        run.idle[run.idle_count++] = worker;
    }
}

static int by_size(const void *one, const void *other)
{
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

static void print_result(void)
{
    printf("{\"attempts\": %ld, \"seconds\": [", run.attempts);
    for (long i = 0; i < run.workers; i++)
        printf("%s%.6f", i ? ", " : "", (double)(run.worker[i].ended_ns - run.start_ns) / 1e9);
    printf("]");
    if (run.kind == OPEN) {
        const int64_t *latency = run.latency_ns;
        qsort(run.latency_ns, (size_t)run.ended, sizeof *latency, by_size);
        printf(", \"latency_ms\": {\"p50\": %.4f, \"p99\": %.4f}",
               (double)latency[run.ended / 2] / 1e6, (double)latency[run.ended * 99 / 100] / 1e6);
    }
    printf("}\n");
}

static const char *option(char **words, const char *name, const char *otherwise)
{
    size_t size = strlen(name);
    for (; *words; words++)
        if (strncmp(*words, name, size) == 0 && (*words)[size] == '=')
            return *words + size + 1;
    return otherwise;
}

static void read_options(char **words)
{
    const char *kind = option(words, "kind", "own");
    run.socket = option(words, "socket", "");
    run.merging = option(words, "merging", NULL);
    run.kind = strcmp(kind, "hot") == 0 ? HOT : strcmp(kind, "open") == 0 ? OPEN : OWN;
    run.workers = atol(option(words, "workers", "50"));
    run.connections = atol(option(words, "connections", "1"));
    run.share = atol(option(words, "share", "1000"));
    run.base_us = atol(option(words, "base_us", "0"));
    run.cap_us = atol(option(words, "cap_us", "0"));
    run.size = atol(option(words, "size", "0"));
    run.rate = atol(option(words, "rate", "1"));
    if (run.workers < 1 || run.connections < 1 || run.connections > run.workers || run.share < 1
        || run.rate < 1)
        fail("workers, connections, share, rate", "must be 1 or more, and a worker a connection");
}

int main(int count, char **words)
{
    size_t total;
    (void)count;
    read_options(words + 1);
    total = (size_t)(run.workers * run.share);
    run.random = (uint64_t)now_ns() | 1;
    snprintf(run.session, sizeof run.session, "%012llx",
             (unsigned long long)run.random & 0xffffffffffff);
    run.worker = calloc((size_t)run.workers, sizeof *run.worker);
    run.idle = calloc((size_t)run.workers, sizeof *run.idle);
    run.connection = calloc((size_t)run.connections, sizeof *run.connection);
    run.command_room = HEAD_BYTES + (size_t)run.size;
    run.due_ns = calloc(run.kind == OPEN ? total : 1, sizeof *run.due_ns);
    run.latency_ns = calloc(run.kind == OPEN ? total : 1, sizeof *run.latency_ns);
    if (!run.worker || !run.idle || !run.connection || !run.due_ns || !run.latency_ns)
        fail("memory", "there is not enough");
    prctl(PR_SET_TIMERSLACK, 1);
    connect_all();
    make_workers();
    run.left = (long)total;
    run.start_ns = run.next_due_ns = now_ns();
    if (run.kind != OPEN)
        for (long i = 0; i < run.workers; i++) {
            begin(&run.worker[i]);
            if (i % run.connections == run.connections - 1 || i == run.workers - 1)
                flush(run.worker[i].connection);
        }
    for (long i = 0; i < run.connections; i++)
        flush(&run.connection[i]);
    while (run.left > 0)
        turn();
    print_result();
    return 0;
}
