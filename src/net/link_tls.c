/* TLS of a link's connection, between its connecting and its greeting: see link_parts.h, tls.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net/link_parts.h"
#include "process/sigpipe.h"

int vlock_link_descriptor(const struct vlock_link *link)
{
    return link->tls ? vlock_tls_descriptor(link->tls) : link->context->c.fd;
}

void vlock_link_begin_tls(struct vlock_link *link)
{
    int inner, fd = link->context->c.fd;
    link->tls_trouble[0] = '\0';
    link->tls = vlock_tls_new(link->options.tls, link->url.host, fd, &inner);
    if (!link->tls) {
        vlock_link_refuse(link, strerror(errno));
        return;
    }
    link->context->c.fd = inner;
    link->state = LINK_SECURING;
    vlock_link_mark_dirty(link); /* and the flush shakes hands: not in here, in hiredis' callback */
}

void vlock_link_secure(struct vlock_link *link)
{
    struct vlock_sigpipe held;
    if (link->holds_sigpipe)
        vlock_sigpipe_hold(&held);
    enum vlock_tls_progress progress = vlock_tls_shake_hands(link->tls);
    if (link->holds_sigpipe)
        vlock_sigpipe_release(&held);
    switch (progress) {
    case VLOCK_TLS_DONE:
        link->state = LINK_GREETING;
        link->has_to_greet = true;
        vlock_link_mark_dirty(link);
        return;
    case VLOCK_TLS_WANTS_READ:
        return;
    case VLOCK_TLS_WANTS_WRITE:
        vlock_link_wait_until_writable(link);
        return;
    case VLOCK_TLS_LOST:
    case VLOCK_TLS_REFUSED:
        snprintf(link->tls_trouble, sizeof link->tls_trouble, "%s", vlock_tls_trouble(link->tls));
        vlock_link_drop(link, link->tls_trouble, progress == VLOCK_TLS_REFUSED);
        return;
    }
}

void vlock_link_take_in(struct vlock_link *link)
{
    vlock_tls_take_in(link->tls);
    if (!link->tls_trouble[0])
        snprintf(link->tls_trouble, sizeof link->tls_trouble, "%s", vlock_tls_trouble(link->tls));
}

void vlock_link_end_tls(struct vlock_link *link)
{
    struct vlock_sigpipe held;
    if (!link->tls)
        return;
    if (link->holds_sigpipe)
        vlock_sigpipe_hold(&held);
    vlock_tls_free(link->tls);
    if (link->holds_sigpipe)
        vlock_sigpipe_release(&held);
    link->tls = NULL;
}
