/* Handing commands to hiredis, where memory may run out in the middle: see link_parts.h. */
#include <stdlib.h>
#include <string.h>

#include "net/link_parts.h"

#ifdef REDIS_REPLY_MAP /* hiredis 1.0 */
#include <hiredis/alloc.h>
#define FREE_CALLBACK(callback) hi_free(callback)
#else
#define FREE_CALLBACK(callback) free(callback)
#endif

/* The callback that was queued last, behind this one (NULL: it is alone), goes. */
static void take_callback_back(redisCallbackList *list, redisCallback *before)
{
    redisCallback *callback = list->tail;
    list->tail = before;
    if (before)
        before->next = NULL;
    else
        list->head = NULL;
    FREE_CALLBACK(callback);
}

/* hiredis 0.14 takes no notice of an allocation that fails in here, and later versions do not of
 * each. With a command of which only the bytes or only the callback was queued, every reply from
 * there on would be taken for another command's. So it is looked at whether both are there, and
 * what is there alone is taken back. */
int vlock_link_queue(struct vlock_link *link, redisCallbackFn *callback, void *user,
                     const char *bytes, size_t length)
{
    redisAsyncContext *context = link->context;
    redisCallback *last = context->replies.tail;
    size_t queued = sdslen(context->c.obuf);
    int error = context->c.err;
    redisAsyncFormattedCommand(context, callback, user, bytes, length);
    bool has_bytes = sdslen(context->c.obuf) > queued;
    bool has_callback = context->replies.tail != last;
    if (has_bytes && has_callback)
        return 0;
    if (has_callback)
        take_callback_back(&context->replies, last);
    if (has_bytes) {
        sdssetlen(context->c.obuf, queued);
        context->c.obuf[queued] = '\0';
    }
    context->c.err = error; /* nothing is wrong with the connection */
    return -1;
}

int vlock_link_queue_words(struct vlock_link *link, redisCallbackFn *callback, void *user,
                           int count, const char **words)
{
    char *bytes;
    long long length = redisFormatCommandArgv(&bytes, count, words, NULL);
    if (length < 0)
        return -1;
    int result = vlock_link_queue(link, callback, user, bytes, (size_t)length);
    explicit_bzero(bytes, (size_t)length); /* it may hold a password */
    redisFreeCommand(bytes);
    return result;
}
