/* Growable bytes. A zeroed struct is an empty buffer; it owns its memory. */
#ifndef VLOCK_BUFFER_H
#define VLOCK_BUFFER_H

#include <stddef.h>

struct vlock_buffer {
    char *data;
    size_t length, capacity;
};

/* Makes room for `more` bytes behind what is there. 0, or -1 when out of memory, with the buffer as
 * it was. */
int vlock_buffer_reserve(struct vlock_buffer *buffer, size_t more);

/* Adds bytes. 0, or -1 when out of memory, with the buffer as it was. */
int vlock_buffer_append(struct vlock_buffer *buffer, const void *bytes, size_t count);

/* Empties it and keeps its memory for what comes next. */
void vlock_buffer_reset(struct vlock_buffer *buffer);

void vlock_buffer_free(struct vlock_buffer *buffer);

#endif
