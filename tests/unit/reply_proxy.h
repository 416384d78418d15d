/* A proxy before a Unix socket, on a TCP port, that withholds replies: for tests of what is not
 * known, or known although the reply is missing. It runs in a thread of its own, and serves until
 * the process ends. */
#ifndef VLOCK_TESTS_REPLY_PROXY_H
#define VLOCK_TESTS_REPLY_PROXY_H

enum reply_proxy_mode {
    PROXY_PASSES,
    /* The request that holds the word, and what follows it, reach the server; no reply comes
     * back. */
    PROXY_HOLDS,
    PROXY_CUTS,       /* the same, and the connection ends when the reply would come */
    PROXY_HOLDS_ONCE, /* the first such request alone */
    PROXY_CUTS_ONCE,
};

/* Starts one before the socket at `path` (copied); returns its port. */
int reply_proxy_start(const char *path);

/* From now on, and for connections to come. `word` is a static string that the request holds, as
 * "EXEC". */
void reply_proxy_set(enum reply_proxy_mode mode, const char *word);

#endif
