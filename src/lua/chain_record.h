/* Chains of commits (base/chain.h) as Lua values, with the growth of the counter that they make. */
#ifndef VLOCK_CHAIN_RECORD_H
#define VLOCK_CHAIN_RECORD_H

#include <lua.h>
#include <stdbool.h>

#include "base/chain.h"
#include "base/growth.h"

/* A userdata: what is known of one key. */
struct vlock_chain_record {
    struct vlock_chain *chain;
    bool is_counter; /* whether each commit adds to the number that the value begins with */
    struct vlock_growth growth;
};

/* Adds chain and id to the table on top of the stack. May raise. */
void vlock_chain_record_add_functions(lua_State *L);

/* The record at this index; raises where there is none. */
struct vlock_chain_record *vlock_chain_record_check(lua_State *L, int index);

/* A commit that somebody was told of, of states that have stamps; base_id: vlock_chain_id() of its
 * base's. 0, or -1 when out of memory. */
int vlock_chain_record_commit(struct vlock_chain_record *record, uint64_t base_id,
                              struct vlock_growth_value base, uint64_t made_id,
                              struct vlock_growth_value made, struct vlock_chain_span span);

/* What stands for a value in a state of base/chain.h. */
uint32_t vlock_chain_record_content(struct vlock_growth_value value);

#endif
