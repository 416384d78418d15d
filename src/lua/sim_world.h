/*
 * The world of a simulation: virtual time, a modelled network (`sim`), and the task that is the
 * server. What clients send waits here as Lua values until it arrives, and so do the replies.
 */
#ifndef VLOCK_SIM_WORLD_H
#define VLOCK_SIM_WORLD_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

struct vlock_scheduler;
struct vlock_sim_settings;
struct vlock_sim_wire;
struct vlock_sim_world;
struct vlock_sim_counts;

/* Makes the type of worlds, with these methods: once, before all else in here. */
void vlock_sim_world_register(lua_State *L, const luaL_Reg *methods);

/* Pushes a world, a userdata, whose time begins now, at 0. It ends at vlock_sim_world_end(), or
 * when it is forgotten. The settings' distributions are taken over. Raises where another one has
 * not ended. */
struct vlock_sim_world *vlock_sim_world_new(lua_State *L,
                                            const struct vlock_sim_settings *settings);
void vlock_sim_world_end(struct vlock_sim_world *world);

/* The one at this index; raises where there is none, or it has ended. */
struct vlock_sim_world *vlock_sim_world_check(lua_State *L, int index);

/* Whether it has not ended. */
bool vlock_sim_world_is_on(const struct vlock_sim_world *world);

/* One more connection; direct: see sim.h. Raises when out of memory. */
struct vlock_sim_wire *vlock_sim_world_connect(lua_State *L, struct vlock_sim_world *world,
                                               bool is_direct);

/* Sends the command that stands in L's stack slots first … top, and parks: use as `return
 * vlock_sim_world_send(…)`. k finds on top of its stack what a link's callback would have put
 * there: an enum vlock_link_outcome, and the reply or a message. is_commit: a status is the bare
 * text. limit_ns: by when its sender wants to know what became of it; 0: as of any. */
int vlock_sim_world_send(lua_State *L, struct vlock_sim_world *world, struct vlock_sim_wire *wire,
                         int first, int64_t limit_ns, bool is_commit, lua_KContext context,
                         lua_KFunction k);

/* ---- for the task that is the server ---- */

/* Parks until a command arrives: use as `return vlock_sim_world_receive(…)`. Returns its words, a
 * list of texts; or false: what was in here is another server now. */
int vlock_sim_world_receive(lua_State *L, struct vlock_sim_world *world);

/* When the command that has arrived is done, where it takes so long. Nanoseconds. */
int64_t vlock_sim_world_serve(const struct vlock_sim_world *world, int64_t service_ns);

/* Answers it with the value on top of L's stack (popped), as scripts see replies: {ok = …} is a
 * status, {err = …} an error. done_ns: of vlock_sim_world_serve(). */
void vlock_sim_world_answer(lua_State *L, struct vlock_sim_world *world, int64_t done_ns);

/* ---- for a task that is all of the clients (crowd.h) ---- */

struct vlock_sim;

struct vlock_scheduler *vlock_sim_world_scheduler(const struct vlock_sim_world *world);

/* Its time, in nanoseconds. */
int64_t vlock_sim_world_now(const struct vlock_sim_world *world);

/* Its network, whose clock stands where vlock_sim_world_go_on_to() has left it. */
struct vlock_sim *vlock_sim_world_network(struct vlock_sim_world *world);

/* Goes on to this time, as of vlock_scheduler_go_on_to(). */
bool vlock_sim_world_go_on_to(struct vlock_sim_world *world, int64_t when_ns);

/* Parks until the network's next event is due, or the time is `when_ns`: use as `return
 * vlock_sim_world_await(…)`. What happens is left for the task to take. */
int vlock_sim_world_await(lua_State *L, struct vlock_sim_world *world, int64_t when_ns,
                          lua_KFunction k);

/* Counts commands that it has sent, and sleeps of its clients that have ended. */
void vlock_sim_world_count(struct vlock_sim_world *world, int64_t commands, int64_t sleeps);

/* What has happened so far; timers: sleeps that have ended. */
const struct vlock_sim_counts *vlock_sim_world_counts(const struct vlock_sim_world *world,
                                                      int64_t *timers);

#endif
