/* What a Lua value is as a reply: see lib_reply.h. */
#include "lua/lib_reply.h"

#include <lauxlib.h>

#include "lua/reply.h"

#define TREE_TYPE "vlock.tree"

static const char *kind_of(enum vlock_reply_type type)
{
    switch (type) {
    case VLOCK_REPLY_STRING:
        return "string";
    case VLOCK_REPLY_INTEGER:
        return "integer";
    case VLOCK_REPLY_STATUS:
        return "status";
    case VLOCK_REPLY_ERROR:
        return "error";
    case VLOCK_REPLY_ARRAY:
        return "array";
    case VLOCK_REPLY_NIL:
        break;
    }
    return "nil";
}

static void push_node(lua_State *L, const struct vlock_reply *reply);

static void push_content(lua_State *L, const struct vlock_reply *reply)
{
    if (reply->type == VLOCK_REPLY_INTEGER) {
        lua_pushinteger(L, (lua_Integer)reply->integer);
    } else if (reply->type == VLOCK_REPLY_ARRAY) {
        lua_createtable(L, (int)reply->elements, 0);
        for (size_t i = 0; i < reply->elements; i++) {
            push_node(L, reply->element[i]);
            lua_rawseti(L, -2, (lua_Integer)i + 1);
        }
    } else if (reply->type == VLOCK_REPLY_NIL) {
        lua_pushnil(L);
    } else {
        lua_pushlstring(L, reply->string, reply->length);
    }
}

static void push_node(lua_State *L, const struct vlock_reply *reply)
{
    luaL_checkstack(L, 4, "nested too deeply");
    lua_createtable(L, 0, 2);
    lua_pushstring(L, kind_of(reply->type));
    lua_setfield(L, -2, "kind");
    push_content(L, reply);
    lua_setfield(L, -2, "content");
}

static int l_free_tree(lua_State *L)
{
    struct vlock_reply **tree = luaL_checkudata(L, 1, TREE_TYPE);
    vlock_reply_free(*tree);
    *tree = NULL;
    return 0;
}

static int l_as_reply(lua_State *L)
{
    lua_settop(L, 1);
    struct vlock_reply **tree = lua_newuserdatauv(L, sizeof *tree, 0); /* its owner */
    *tree = NULL;
    luaL_setmetatable(L, TREE_TYPE);
    *tree = vlock_reply_from_lua(L, 1);
    if (!*tree)
        return 0;
    push_node(L, *tree);
    vlock_reply_free(*tree);
    *tree = NULL;
    return 1;
}

void vlock_lib_reply_add(lua_State *L)
{
    luaL_newmetatable(L, TREE_TYPE);
    lua_pushcfunction(L, l_free_tree);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    lua_pushcfunction(L, l_as_reply);
    lua_setfield(L, -2, "as_reply");
}
