/* A reply as a tree: what a script returned. Part of the public interface, included by vlock.h. */
#ifndef VLOCK_REPLY_TREE_H
#define VLOCK_REPLY_TREE_H

#include <stddef.h>

enum vlock_reply_type {
    VLOCK_REPLY_NIL,
    VLOCK_REPLY_STRING,
    VLOCK_REPLY_STATUS,
    VLOCK_REPLY_ERROR,
    VLOCK_REPLY_INTEGER,
    VLOCK_REPLY_ARRAY,
};

struct vlock_reply {
    enum vlock_reply_type type;
    long long integer; /* INTEGER */
    char *string;      /* STRING, STATUS, ERROR: `length` bytes and a NUL */
    size_t length;
    struct vlock_reply **element; /* ARRAY */
    size_t elements;
};

#endif
