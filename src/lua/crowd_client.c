/* What the clients of a crowd do: the update loop of lua/vlock/cell/update.lua, for cells of a
 * simulated register (lua/vlock/sim/register.lua). See crowd.h. */
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>

#include "base/chain.h"
#include "base/clock.h"
#include "base/histogram.h"
#include "lua/chain_record.h"
#include "lua/crowd_parts.h"
#include "net/sim.h"

static double now_in_seconds(const struct vlock_crowd *crowd)
{
    return vlock_crowd_seconds(crowd->now_ns);
}

/* Whether no further update is begun, nor tried again. */
static bool is_over(const struct vlock_crowd *crowd)
{
    return now_in_seconds(crowd) >= crowd->deadline;
}

/* ---- the record ---- */

static struct vlock_growth_value print_version(int64_t version, char digits[VLOCK_CROWD_DIGITS])
{
    int count = snprintf(digits, VLOCK_CROWD_DIGITS, "%lld", (long long)version);
    return (struct vlock_growth_value){digits, (size_t)count};
}

static struct vlock_chain_record *record_of(struct vlock_crowd *crowd, int cell)
{
    struct vlock_chain_record **record = &crowd->cells[cell].record;
    if (*record)
        return *record;
    lua_State *L = crowd->L;
    lua_getfield(L, VLOCK_CROWD_SLOT(VLOCK_CROWD_SETTINGS), "open_record");
    lua_pushinteger(L, cell + 1);
    lua_call(L, 1, 1);
    *record = vlock_chain_record_check(L, -1);
    lua_rawseti(L, VLOCK_CROWD_SLOT(VLOCK_CROWD_RECORDS), cell + 1);
    return *record;
}

static void check_recorded(const struct vlock_crowd *crowd, int status)
{
    if (status != 0)
        luaL_error(crowd->L, "out of memory");
}

static void record_read(struct vlock_crowd *crowd, const struct vlock_crowd_client *client)
{
    struct vlock_chain_state found = {client->found.id, client->found.content};
    struct vlock_chain_span span = {client->sent_ns, crowd->now_ns};
    struct vlock_chain_sightings *sightings =
        &crowd->cells[client->cell].sightings[client->found.version & (VLOCK_CROWD_RECENT - 1)];
    struct vlock_chain *chain = record_of(crowd, client->cell)->chain;
    check_recorded(crowd, vlock_chain_read_more(chain, sightings, found, span));
}

static void record_commit(struct vlock_crowd *crowd, const struct vlock_crowd_client *client)
{
    char base_digits[VLOCK_CROWD_DIGITS], made_digits[VLOCK_CROWD_DIGITS];
    int64_t version = client->base.version;
    struct vlock_growth_value base = print_version(version, base_digits);
    struct vlock_growth_value made = print_version(version + 1, made_digits);
    uint64_t made_id = vlock_chain_id(made.bytes, made.count);
    struct vlock_chain_span span = {client->sent_ns, crowd->now_ns};
    if (version == 0)
        base = (struct vlock_growth_value){NULL, 0};
    check_recorded(crowd, vlock_chain_record_commit(record_of(crowd, client->cell), client->base.id,
                                                    base, made_id, made, span));
}

static void record_latency(struct vlock_crowd *crowd, const struct vlock_crowd_client *client)
{
    vlock_histogram_record(crowd->latencies, crowd->now_ns - client->began_ns);
}

/* ---- what it sends ---- */

static void send(struct vlock_crowd *crowd, struct vlock_crowd_client *client,
                 enum vlock_crowd_phase phase)
{
    int64_t index = client - crowd->clients;
    struct vlock_sim_message *message =
        vlock_sim_send(crowd->sim, crowd->wires[index % crowd->wire_count], 0);
    if (!message)
        luaL_error(crowd->L, "out of memory");
    message->sender = client;
    client->sent_ns = crowd->now_ns;
    client->phase = phase;
    crowd->commands++;
}

static void begin_write(struct vlock_crowd *crowd, struct vlock_crowd_client *client)
{
    crowd->attempts++;
    send(crowd, client, VLOCK_CROWD_WRITES);
}

void vlock_crowd_arrive(struct vlock_crowd *crowd, struct vlock_sim_message *message)
{
    struct vlock_crowd_client *client = message->sender;
    struct vlock_crowd_cell *cell = &crowd->cells[client->cell];
    bool writes = client->phase == VLOCK_CROWD_WRITES;
    client->has_won = writes && cell->now.version == client->base.version;
    if (!writes) {
        client->found = cell->now;
    } else if (client->has_won) {
        char digits[VLOCK_CROWD_DIGITS];
        struct vlock_growth_value value = print_version(++cell->now.version, digits);
        cell->now.id = vlock_chain_id(value.bytes, value.count);
        cell->now.content = vlock_chain_record_content(value);
        client->found = cell->now;
    }
    int64_t service_ns = writes ? crowd->write_ns : crowd->read_ns;
    vlock_sim_answer(crowd->sim, message, vlock_sim_serve(crowd->sim, message, service_ns));
}

/* ---- pauses ---- */

/* As vlock.core's sleep: never early. */
static void sleep_for(struct vlock_crowd *crowd, struct vlock_crowd_client *client, double seconds,
                      enum vlock_crowd_phase phase)
{
    int64_t ns = (int64_t)ceil(seconds * VLOCK_NS_PER_SECOND);
    client->phase = phase;
    vlock_timers_set(&crowd->timers, &client->timer, crowd->now_ns + ns);
}

/* What is left of a backoff, cut short at the end of the run: as of limits.sleep in
 * lua/vlock/lab/run/limits.lua. */
static void back_off(struct vlock_crowd *crowd, struct vlock_crowd_client *client, double left)
{
    double most = fmax(crowd->deadline - now_in_seconds(crowd), 0);
    sleep_for(crowd, client, fmin(left, most), VLOCK_CROWD_BACKS_OFF);
}

/* ---- updates ---- */

static int choose_cell(struct vlock_crowd *crowd, struct vlock_crowd_client *client)
{
    int64_t index = client - crowd->clients;
    return crowd->is_own ? (int)(index % crowd->cell_count)
                         : (int)(vlock_random_unit(&client->random) * crowd->cell_count);
}

static bool takes_another(struct vlock_crowd *crowd, const struct vlock_crowd_client *client)
{
    if (is_over(crowd))
        return false;
    if (crowd->per_worker >= 0)
        return client->begun < crowd->per_worker;
    if (crowd->left > 0)
        crowd->left--;
    else if (crowd->left == 0)
        return false;
    return true;
}

static void end_client(struct vlock_crowd *crowd, struct vlock_crowd_client *client)
{
    client->phase = VLOCK_CROWD_ENDED;
    client->ended_ns = crowd->now_ns;
    vlock_crowd_forget_policy(crowd, client);
    crowd->active--;
}

void vlock_crowd_begin(struct vlock_crowd *crowd, struct vlock_crowd_client *client)
{
    if (!takes_another(crowd, client)) {
        end_client(crowd, client);
        return;
    }
    client->begun++;
    client->began_ns = crowd->now_ns;
    client->cell = choose_cell(crowd, client);
    enum vlock_pace_start start = vlock_pace_begin(&client->pace, crowd->now_ns);
    double rest = vlock_pace_rest(start) * client->rtt;
    switch (start) {
    case VLOCK_PACE_READS:
        send(crowd, client, VLOCK_CROWD_READS);
        break;
    case VLOCK_PACE_BUILDS:
        begin_write(crowd, client);
        break;
    case VLOCK_PACE_RESTS_AND_READS:
        rest *= vlock_random_unit(&client->random);
        sleep_for(crowd, client, rest, VLOCK_CROWD_RESTS_AND_READS);
        break;
    case VLOCK_PACE_RESTS_AND_BUILDS:
    case VLOCK_PACE_RESTS_LONG_AND_BUILDS:
        sleep_for(crowd, client, rest, VLOCK_CROWD_RESTS_AND_BUILDS);
        break;
    }
}

static void end_update(struct vlock_crowd *crowd, struct vlock_crowd_client *client)
{
    client->attempt = 0;
    vlock_crowd_forget_conflict(crowd, client);
    vlock_crowd_begin(crowd, client);
}

static void end_as_cut_off(struct vlock_crowd *crowd, struct vlock_crowd_client *client)
{
    crowd->unfinished++;
    record_latency(crowd, client);
    end_update(crowd, client);
}

static void commit(struct vlock_crowd *crowd, struct vlock_crowd_client *client)
{
    record_commit(crowd, client);
    vlock_pace_committed(&client->pace, true, client->sent_ns, crowd->now_ns);
    client->base = client->found;
    client->commits++;
    crowd->commits++;
    vlock_crowd_note_commit(crowd, client);
    record_latency(crowd, client);
    end_update(crowd, client);
}

static void lose(struct vlock_crowd *crowd, struct vlock_crowd_client *client)
{
    vlock_pace_disturbed(&client->pace, client->sent_ns, crowd->now_ns);
    crowd->conflicts++;
    client->attempt++;
    if (is_over(crowd)) {
        end_as_cut_off(crowd, client);
        return;
    }
    double seconds = vlock_crowd_ask(crowd, client);
    if (seconds < 0) {
        crowd->gave_up++;
        end_update(crowd, client);
    } else if (seconds > 0) {
        client->wakes_up = now_in_seconds(crowd) + seconds;
        back_off(crowd, client, seconds);
    } else {
        send(crowd, client, VLOCK_CROWD_READS);
    }
}

void vlock_crowd_reply(struct vlock_crowd *crowd, struct vlock_crowd_client *client)
{
    if (client->phase == VLOCK_CROWD_READS) {
        record_read(crowd, client);
        vlock_crowd_note_read(crowd, client);
        client->base = client->found;
        begin_write(crowd, client);
        return;
    }
    client->rtt = now_in_seconds(crowd) - vlock_crowd_seconds(client->sent_ns);
    if (client->has_won)
        commit(crowd, client);
    else
        lose(crowd, client);
}

void vlock_crowd_wake(struct vlock_crowd *crowd, struct vlock_crowd_client *client)
{
    double left = client->wakes_up - now_in_seconds(crowd);
    crowd->sleeps++;
    if (client->phase == VLOCK_CROWD_RESTS_AND_BUILDS)
        begin_write(crowd, client);
    else if (client->phase == VLOCK_CROWD_RESTS_AND_READS || left <= 0)
        send(crowd, client, VLOCK_CROWD_READS);
    else if (is_over(crowd))
        end_as_cut_off(crowd, client);
    else
        back_off(crowd, client, left);
}
