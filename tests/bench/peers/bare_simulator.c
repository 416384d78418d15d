/* A bare simulator in C, for what simulated events cost without all that vlockrun does with them:
 * the model of M. Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015), a heap
 * of events, and for each client a Lua coroutine that is full_jitter. One key, nothing verified.
 *
 * usage: bare_simulator workers=N commits=N
 * Prints {"events": N, "attempts": N, "cpu_seconds": N}. */
#include <lauxlib.h>
#include <lualib.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum kind { READ_ARRIVES, READ_RETURNS, WRITE_ARRIVES, WRITE_RETURNS, PAUSE_ENDS };

struct event {
    double at; /* seconds */
    enum kind kind;
    int client;
};

struct client {
    lua_State *policy;
    long base; /* the version that it has read */
    int has_won;
};

static const char POLICY[] = "local unit = ...\n"
                             "local min, yield = math.min, coroutine.yield\n"
                             "return function()\n"
                             "  local failures = 0\n"
                             "  while true do\n"
                             "    local pause = unit() * min(2, 0.005 * 2 ^ min(failures, 1023))\n"
                             "    failures = yield(pause) and failures + 1 or 0\n"
                             "  end\n"
                             "end\n";

static struct event *heap; /* each client has one event at a time */
static int events;

static void plan(double at, enum kind kind, int client)
{
    int place = events++;
    for (; place > 0 && heap[(place - 1) / 2].at > at; place = (place - 1) / 2)
        heap[place] = heap[(place - 1) / 2];
    heap[place] = (struct event){at, kind, client};
}

static struct event take(void)
{
    struct event first = heap[0], last = heap[--events];
    int place = 0, child;
    while ((child = 2 * place + 1) < events) {
        if (child + 1 < events && heap[child + 1].at < heap[child].at)
            child++;
        if (heap[child].at >= last.at)
            break;
        heap[place] = heap[child];
        place = child;
    }
    heap[place] = last;
    return first;
}

/* Uniform in [0,1). */
static double unit(void)
{
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 11) * 0x1p-53;
}

static double hop(void)
{
    static double spare = NAN;
    double x, y, squares;
    if (!isnan(spare)) {
        double normal = spare;
        spare = NAN;
        return fabs(0.010 + 0.002 * normal);
    }
    do {
        x = 2 * unit() - 1;
        y = 2 * unit() - 1;
        squares = x * x + y * y;
    } while (squares >= 1 || squares == 0);
    double scale = sqrt(-2 * log(squares) / squares);
    spare = y * scale;
    return fabs(0.010 + 0.002 * x * scale);
}

static int l_unit(lua_State *L)
{
    lua_pushnumber(L, unit());
    return 1;
}

/* The pause that a client's policy wants after a write that has failed, or not. */
static double ask(lua_State *L, lua_State *policy, int has_failed)
{
    int results;
    lua_pushboolean(policy, has_failed);
    if (lua_resume(policy, L, 1, &results) != LUA_YIELD)
        exit(1);
    double pause = lua_tonumber(policy, -1);
    lua_pop(policy, results);
    return pause;
}

static struct client *new_clients(lua_State *L, int count)
{
    struct client *clients = calloc((size_t)count, sizeof *clients);
    lua_pushcfunction(L, l_unit);
    if (!clients || luaL_loadstring(L, POLICY) != LUA_OK)
        exit(1);
    lua_insert(L, -2);
    lua_call(L, 1, 1);
    for (int i = 0; i < count; i++) {
        clients[i].policy = lua_newthread(L);
        luaL_ref(L, LUA_REGISTRYINDEX);
        lua_pushvalue(L, -1);
        lua_xmove(L, clients[i].policy, 1);
        ask(L, clients[i].policy, 0);
    }
    return clients;
}

int main(int argc, char **argv)
{
    int workers;
    long commits, version = 0, count = 0, attempts = 0;
    if (argc != 3 || sscanf(argv[1], "workers=%d", &workers) != 1 || workers < 1 ||
        sscanf(argv[2], "commits=%ld", &commits) != 1)
        return 2;
    lua_State *L = luaL_newstate();
    heap = calloc((size_t)workers, sizeof *heap);
    if (!L || !heap)
        return 1;
    luaL_openlibs(L);
    struct client *clients = new_clients(L, workers);
    for (int i = 0; i < workers; i++)
        plan(hop(), READ_ARRIVES, i);
    clock_t began = clock();
    for (; version < commits; count++) {
        struct event event = take();
        struct client *client = &clients[event.client];
        double pause = 0;
        enum kind next = READ_ARRIVES;
        switch (event.kind) {
        case READ_ARRIVES:
            client->base = version;
            next = READ_RETURNS;
            break;
        case READ_RETURNS:
            next = WRITE_ARRIVES;
            break;
        case WRITE_ARRIVES:
            attempts++;
            client->has_won = client->base == version;
            version += client->has_won;
            next = WRITE_RETURNS;
            break;
        case WRITE_RETURNS:
            pause = ask(L, client->policy, !client->has_won);
            next = client->has_won ? READ_ARRIVES : PAUSE_ENDS;
            break;
        case PAUSE_ENDS:
            break;
        }
        plan(event.at + (next == PAUSE_ENDS ? pause : hop()), next, event.client);
    }
    printf("{\"events\": %ld, \"attempts\": %ld, \"cpu_seconds\": %.9f}\n", count, attempts,
           (double)(clock() - began) / CLOCKS_PER_SEC);
    lua_close(L);
    free(clients);
    free(heap);
    return 0;
}
