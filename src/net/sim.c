/* A modelled network: see sim.h. */
#include "net/sim.h"

#include <math.h>
#include <stdlib.h>

#include "base/random.h"

#define FIRST_CAPACITY 64
#define MOST_EVENTS 2 /* of one message at a time: its arrival, and what its client sees */

/* Streams of the seed: the delays are the same with and without faults. Those of workers count from
 * 0, that of arrivals is -1. */
enum { DELAY_STREAM = -2, FAULT_STREAM = -3 };

/* An event to come. Those of the same instant happen in the order in which they were planned. */
struct plan {
    int64_t when_ns;
    uint32_t number;
    enum vlock_sim_event event;
    struct vlock_sim_message *message;
};

TAILQ_HEAD(message_list, vlock_sim_message);

struct vlock_sim_wire {
    struct vlock_sim_wire *next;
    struct message_list waiting;
    int64_t last_arrival_ns, last_reply_ns;
    bool is_direct;
};

struct vlock_sim {
    struct vlock_sim_settings settings;
    struct vlock_sim_counts counts;
    struct vlock_random delays, faults;
    bool has_faults;
    struct plan *heap; /* four children each: fewer levels than with two */
    size_t planned, capacity;
    uint32_t number;
    size_t live; /* messages */
    int slots;
    struct message_list free;
    struct vlock_sim_wire *wires;
    struct vlock_sim_wire *cut;     /* that ends now, with all who wait on it */
    bool cuts_all;                  /* so do all wires */
    struct vlock_sim_message *held; /* by the server */
    int64_t busy_until_ns;          /* when the server has done all that it has */
    int64_t stall_ns;               /* the next one begins; INT64_MAX: there is none */
    int64_t failover_ns, down_until_ns;
};

static int64_t now_ns(const struct vlock_sim *sim)
{
    return sim->settings.clock->virtual_ns;
}

/* ---- the heap ---- */

static bool is_before(const struct plan *one, const struct plan *other)
{
    return one->when_ns != other->when_ns ? one->when_ns < other->when_ns
                                          : (int32_t)(one->number - other->number) < 0;
}

static bool reserve(struct vlock_sim *sim, size_t count)
{
    if (count <= sim->capacity)
        return true;
    size_t capacity = sim->capacity ? sim->capacity : FIRST_CAPACITY;
    while (capacity < count)
        capacity *= 2;
    struct plan *grown = realloc(sim->heap, capacity * sizeof *grown);
    if (!grown)
        return false;
    sim->heap = grown;
    sim->capacity = capacity;
    return true;
}

/* There is room: see vlock_sim_send(). */
static void plan(struct vlock_sim *sim, enum vlock_sim_event event,
                 struct vlock_sim_message *message, int64_t when_ns)
{
    struct plan new = {when_ns, sim->number++, event, message};
    size_t at = sim->planned++;
    while (at > 0 && is_before(&new, &sim->heap[(at - 1) / 4])) {
        sim->heap[at] = sim->heap[(at - 1) / 4];
        at = (at - 1) / 4;
    }
    sim->heap[at] = new;
    if (message)
        message->pending++;
    sim->counts.travelling += event == VLOCK_SIM_ARRIVAL;
}

static struct plan take_first(struct vlock_sim *sim)
{
    struct plan first = sim->heap[0], last = sim->heap[--sim->planned];
    size_t at = 0, child;
    while ((child = 4 * at + 1) < sim->planned) {
        size_t end = child + 4 < sim->planned ? child + 4 : sim->planned, least = child;
        while (++child < end)
            if (is_before(&sim->heap[child], &sim->heap[least]))
                least = child;
        if (!is_before(&sim->heap[least], &last))
            break;
        sim->heap[at] = sim->heap[least];
        at = least;
    }
    sim->heap[at] = last;
    sim->counts.travelling -= first.event == VLOCK_SIM_ARRIVAL;
    return first;
}

int64_t vlock_sim_next_ns(const struct vlock_sim *sim)
{
    return sim->planned ? sim->heap[0].when_ns : INT64_MAX;
}

/* ---- messages ---- */

static struct vlock_sim_message *new_message(struct vlock_sim *sim, struct vlock_sim_wire *wire)
{
    struct vlock_sim_message *message = TAILQ_FIRST(&sim->free);
    if (!reserve(sim, MOST_EVENTS * (sim->live + 1) + 1))
        return NULL;
    if (message) {
        TAILQ_REMOVE(&sim->free, message, entry);
    } else {
        message = malloc(sizeof *message);
        if (!message)
            return NULL;
        message->slot = ++sim->slots;
    }
    *message = (struct vlock_sim_message){
        .slot = message->slot, .waits = true, .is_direct = wire->is_direct, .wire = wire};
    TAILQ_INSERT_TAIL(&wire->waiting, message, entry);
    sim->live++;
    return message;
}

static void release_if_over(struct vlock_sim *sim, struct vlock_sim_message *message)
{
    if (message->waits || message->is_held || message->pending)
        return;
    TAILQ_INSERT_HEAD(&sim->free, message, entry);
    sim->live--;
}

void vlock_sim_forget(struct vlock_sim *sim, struct vlock_sim_message *message)
{
    if (message->waits)
        TAILQ_REMOVE(&message->wire->waiting, message, entry);
    message->waits = false;
    release_if_over(sim, message);
}

/* ---- delays and faults ---- */

static int64_t draw(struct vlock_distribution *distribution, struct vlock_random *random)
{
    double ns = vlock_distribution_draw(distribution, random);
    return ns > 0 ? (int64_t)llround(fmin(ns, 1e18)) : 0;
}

/* When a message that is sent at `ns` is at the other end. last_ns: of the wire, in its
 * direction. */
static int64_t hop_from(struct vlock_sim *sim, int64_t ns, int64_t *last_ns)
{
    ns += draw(&sim->settings.delay, &sim->delays);
    if (!sim->settings.is_ordered)
        return ns;
    if (ns < *last_ns)
        ns = *last_ns;
    *last_ns = ns;
    return ns;
}

/* What the client sees of a message that it will have no reply to. */
static void plan_cut(struct vlock_sim *sim, struct vlock_sim_message *message, int64_t when_ns)
{
    if (when_ns > message->limit_ns)
        plan(sim, VLOCK_SIM_TIMEOUT, message, message->limit_ns);
    else
        plan(sim, VLOCK_SIM_CUT, message, when_ns);
}

static bool send_with_fault(struct vlock_sim *sim, struct vlock_sim_message *message,
                            int64_t arrival_ns)
{
    const struct vlock_sim_settings *settings = &sim->settings;
    double chance = vlock_random_unit(&sim->faults);
    if (chance < settings->lost_request) {
        sim->counts.lost++;
        plan(sim, VLOCK_SIM_TIMEOUT, message, message->limit_ns);
    } else if (chance < settings->lost_request + settings->cut_request) {
        plan_cut(sim, message, arrival_ns);
    } else if (chance < settings->lost_request + settings->cut_request + settings->late_request) {
        sim->counts.late++;
        plan_cut(sim, message, arrival_ns);
        plan(sim, VLOCK_SIM_ARRIVAL, message,
             arrival_ns + draw(&sim->settings.lateness, &sim->faults));
    } else {
        return false;
    }
    return true;
}

static void travel_until(struct vlock_sim *sim, struct vlock_sim_message *message,
                         int64_t arrival_ns)
{
    plan(sim, VLOCK_SIM_ARRIVAL, message, arrival_ns);
    if (arrival_ns > message->limit_ns)
        plan(sim, VLOCK_SIM_TIMEOUT, message, message->limit_ns);
}

struct vlock_sim_message *vlock_sim_send(struct vlock_sim *sim, struct vlock_sim_wire *wire,
                                         int64_t limit_ns)
{
    int64_t now = now_ns(sim);
    struct vlock_sim_message *message = new_message(sim, wire);
    if (!message)
        return NULL;
    if (wire->is_direct) {
        message->limit_ns = INT64_MAX;
        plan(sim, VLOCK_SIM_ARRIVAL, message, now);
        return message;
    }
    sim->counts.commands++;
    message->limit_ns = now + sim->settings.timeout_ns;
    if (limit_ns && limit_ns < message->limit_ns)
        message->limit_ns = limit_ns > now ? limit_ns : now;
    int64_t arrival_ns = hop_from(sim, now, &wire->last_arrival_ns);
    if (sim->has_faults && send_with_fault(sim, message, arrival_ns))
        return message;
    travel_until(sim, message, arrival_ns);
    return message;
}

/* ---- the server ---- */

static int64_t after(const struct vlock_sim_outage *outage, int64_t ns)
{
    return outage->every_ns ? ns + outage->every_ns : INT64_MAX;
}

int64_t vlock_sim_serve(struct vlock_sim *sim, const struct vlock_sim_message *message,
                        int64_t service_ns)
{
    int64_t start_ns = now_ns(sim);
    if (message->is_direct)
        return start_ns;
    if (start_ns < sim->busy_until_ns)
        start_ns = sim->busy_until_ns;
    while (start_ns >= sim->stall_ns) {
        int64_t over_ns = sim->stall_ns + sim->settings.stall.takes_ns;
        if (start_ns < over_ns)
            start_ns = over_ns;
        sim->stall_ns = after(&sim->settings.stall, sim->stall_ns);
    }
    return sim->busy_until_ns = start_ns + service_ns;
}

bool vlock_sim_answer(struct vlock_sim *sim, struct vlock_sim_message *message, int64_t done_ns)
{
    const struct vlock_sim_settings *settings = &sim->settings;
    message->is_held = false;
    sim->held = NULL;
    if (!message->waits || message->pending) { /* its client was told, or will be */
        release_if_over(sim, message);
        return false;
    }
    if (message->is_direct) {
        plan(sim, VLOCK_SIM_REPLY, message, done_ns);
        return true;
    }
    /* Where another server takes over before it is done, its connection ends then. */
    int64_t reply_ns = hop_from(sim, done_ns, &message->wire->last_reply_ns);
    double chance = sim->has_faults ? vlock_random_unit(&sim->faults) : 1;
    if (chance < settings->lost_reply) {
        sim->counts.lost++;
        plan(sim, VLOCK_SIM_TIMEOUT, message, message->limit_ns);
    } else if (chance < settings->lost_reply + settings->cut_reply) {
        plan_cut(sim, message, reply_ns);
    } else if (reply_ns > message->limit_ns) {
        plan(sim, VLOCK_SIM_TIMEOUT, message, message->limit_ns);
    } else {
        plan(sim, VLOCK_SIM_REPLY, message, reply_ns);
    }
    return true;
}

/* ---- events ---- */

struct vlock_sim_message *vlock_sim_next_cut(struct vlock_sim *sim)
{
    struct vlock_sim_wire *wire = sim->cut;
    if (sim->cuts_all)
        for (wire = sim->wires; wire; wire = wire->next)
            if (!wire->is_direct && !TAILQ_EMPTY(&wire->waiting))
                break;
    struct vlock_sim_message *message = wire ? TAILQ_FIRST(&wire->waiting) : NULL;
    sim->counts.cut += message != NULL;
    if (message)
        return message;
    sim->cut = NULL;
    sim->cuts_all = false;
    return NULL;
}

static void fail_over(struct vlock_sim *sim)
{
    sim->counts.failovers++;
    sim->busy_until_ns = sim->down_until_ns = sim->failover_ns + sim->settings.failover.takes_ns;
    sim->failover_ns = after(&sim->settings.failover, sim->failover_ns);
    if (sim->failover_ns < INT64_MAX)
        plan(sim, VLOCK_SIM_FAILOVER, NULL, sim->failover_ns);
    sim->cuts_all = true;
}

/* A command is at the server, or at the place where one will be. */
static enum vlock_sim_event arrive(struct vlock_sim *sim, struct vlock_sim_message *message,
                                   int64_t when_ns)
{
    if (message->is_direct || when_ns >= sim->down_until_ns) {
        message->is_held = true;
        sim->held = message;
        return VLOCK_SIM_ARRIVAL;
    }
    if (message->waits && !message->pending) /* as a link does, it tries to connect until it can */
        travel_until(sim, message,
                     hop_from(sim, sim->down_until_ns, &message->wire->last_arrival_ns));
    release_if_over(sim, message);
    return VLOCK_SIM_NOTHING;
}

enum vlock_sim_event vlock_sim_take(struct vlock_sim *sim, struct vlock_sim_message **message)
{
    *message = NULL;
    if (!sim->planned || sim->heap[0].when_ns > now_ns(sim))
        return VLOCK_SIM_NOTHING;
    struct plan next = take_first(sim);
    sim->counts.events += !next.message || !next.message->is_direct;
    if (next.event == VLOCK_SIM_FAILOVER) {
        fail_over(sim);
        return VLOCK_SIM_FAILOVER;
    }
    next.message->pending--;
    if (next.event == VLOCK_SIM_ARRIVAL) {
        next.event = arrive(sim, next.message, next.when_ns);
    } else if (!next.message->waits) {
        release_if_over(sim, next.message);
        next.event = VLOCK_SIM_NOTHING;
    }
    if (next.event == VLOCK_SIM_CUT) {
        sim->counts.cut++;
        sim->cut = next.message->wire;
    }
    sim->counts.timeouts += next.event == VLOCK_SIM_TIMEOUT;
    *message = next.event == VLOCK_SIM_NOTHING ? NULL : next.message;
    return next.event;
}

const struct vlock_sim_counts *vlock_sim_counts(const struct vlock_sim *sim)
{
    return &sim->counts;
}

/* ---- life ---- */

struct vlock_sim_wire *vlock_sim_wire_new(struct vlock_sim *sim, bool is_direct)
{
    struct vlock_sim_wire *wire = calloc(1, sizeof *wire);
    if (!wire)
        return NULL;
    TAILQ_INIT(&wire->waiting);
    wire->is_direct = is_direct;
    wire->next = sim->wires;
    sim->wires = wire;
    return wire;
}

static int64_t first_of(const struct vlock_sim_outage *outage)
{
    return outage->at_ns ? outage->at_ns : after(outage, 0);
}

struct vlock_sim *vlock_sim_new(const struct vlock_sim_settings *settings)
{
    struct vlock_sim *sim = calloc(1, sizeof *sim);
    struct vlock_distribution delay = settings->delay, lateness = settings->lateness;
    if (!sim || !reserve(sim, FIRST_CAPACITY)) {
        vlock_distribution_clear(&delay);
        vlock_distribution_clear(&lateness);
        free(sim);
        return NULL;
    }
    sim->settings = *settings;
    TAILQ_INIT(&sim->free);
    vlock_random_seed(&sim->delays, settings->seed, (uint64_t)DELAY_STREAM);
    vlock_random_seed(&sim->faults, settings->seed, (uint64_t)FAULT_STREAM);
    sim->has_faults = settings->lost_request + settings->lost_reply + settings->cut_request +
                          settings->cut_reply + settings->late_request >
                      0;
    sim->stall_ns = first_of(&settings->stall);
    sim->failover_ns = first_of(&settings->failover);
    if (sim->failover_ns < INT64_MAX)
        plan(sim, VLOCK_SIM_FAILOVER, NULL, sim->failover_ns);
    return sim;
}

static void free_messages(struct message_list *list)
{
    struct vlock_sim_message *message;
    while ((message = TAILQ_FIRST(list))) {
        TAILQ_REMOVE(list, message, entry);
        free(message);
    }
}

/* Each message is in one of the lists, or nobody waits for it, and it is still to arrive. */
void vlock_sim_free(struct vlock_sim *sim)
{
    if (!sim)
        return;
    if (sim->held && !sim->held->waits && !sim->held->pending)
        TAILQ_INSERT_TAIL(&sim->free, sim->held, entry);
    while (sim->planned) {
        struct vlock_sim_message *message = take_first(sim).message;
        if (message && --message->pending == 0 && !message->waits)
            TAILQ_INSERT_TAIL(&sim->free, message, entry);
    }
    while (sim->wires) {
        struct vlock_sim_wire *wire = sim->wires;
        sim->wires = wire->next;
        free_messages(&wire->waiting);
        free(wire);
    }
    free_messages(&sim->free);
    vlock_distribution_clear(&sim->settings.delay);
    vlock_distribution_clear(&sim->settings.lateness);
    free(sim->heap);
    free(sim);
}
