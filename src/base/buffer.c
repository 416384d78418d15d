/* Growable bytes: see buffer.h. */
#include "base/buffer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 256

int vlock_buffer_reserve(struct vlock_buffer *buffer, size_t more)
{
    if (more <= buffer->capacity - buffer->length)
        return 0;
    if (more > SIZE_MAX / 2 - buffer->length)
        return -1;
    size_t capacity = buffer->capacity ? buffer->capacity : FIRST_CAPACITY;
    while (capacity - buffer->length < more)
        capacity *= 2;
    char *grown = realloc(buffer->data, capacity);
    if (!grown)
        return -1;
    buffer->data = grown;
    buffer->capacity = capacity;
    return 0;
}

int vlock_buffer_append(struct vlock_buffer *buffer, const void *bytes, size_t count)
{
    if (vlock_buffer_reserve(buffer, count) != 0)
        return -1;
    if (count)
        memcpy(buffer->data + buffer->length, bytes, count);
    buffer->length += count;
    return 0;
}

void vlock_buffer_reset(struct vlock_buffer *buffer)
{
    buffer->length = 0;
}

void vlock_buffer_free(struct vlock_buffer *buffer)
{
    free(buffer->data);
    memset(buffer, 0, sizeof *buffer);
}
