/* TLS by OpenSSL: see tls.h. */
#include "net/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct vlock_tls_context {
    SSL_CTX *ssl;
    char *server_name; /* NULL: the host of the URL */
    bool is_insecure, has_certificate;
};

struct vlock_tls {
    const struct vlock_tls_context *context;
    SSL *ssl;
    int fd, outer; /* the server's socket; our end of the pair */
    bool has_ended;
    size_t kept_from, kept_to; /* of what the pair did not take yet */
    char kept[VLOCK_TLS_RECORD];
    char name[128]; /* of the server */
    char trouble[256];
};

const char *vlock_tls_library(void)
{
    static char text[64]; /* the same at each call */
    snprintf(text, sizeof text, "OpenSSL %s", OpenSSL_version(OPENSSL_VERSION_STRING));
    return text;
}

/* ---- what connections have in common ---- */

/* Of the first thing that failed, from which the others come. */
static const char *reason_of(unsigned long code)
{
    if (ERR_SYSTEM_ERROR(code))
        return strerror(ERR_GET_REASON(code));
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    return reason ? reason : "no reason is known";
}

static int refuse_file(struct vlock_error *error, const char *what, const char *file)
{
    return vlock_error_set(error, VLOCK_ERR_USAGE, "TLS: cannot use %s, %s: %s", what, file,
                           reason_of(ERR_peek_error()));
}

/* A key with a passphrase: nobody is asked for it in the middle of a program. */
static int no_passphrase(char *text, int size, int writes, void *user)
{
    (void)text, (void)size, (void)writes, (void)user;
    return 0;
}

static int load_files(SSL_CTX *ssl, const struct vlock_tls_settings *settings,
                      struct vlock_error *error)
{
    if (settings->ca ? SSL_CTX_load_verify_locations(ssl, settings->ca, NULL) != 1
                     : SSL_CTX_set_default_verify_paths(ssl) != 1)
        return refuse_file(error, "the certificates of the CA",
                           settings->ca ? settings->ca : "the system's");
    if (!settings->certificate != !settings->key)
        return vlock_error_set(error, VLOCK_ERR_USAGE,
                               "TLS: a client's certificate and its key go together: name both");
    if (!settings->certificate)
        return 0;
    if (SSL_CTX_use_certificate_chain_file(ssl, settings->certificate) != 1)
        return refuse_file(error, "the client's certificate", settings->certificate);
    if (SSL_CTX_use_PrivateKey_file(ssl, settings->key, SSL_FILETYPE_PEM) != 1)
        return refuse_file(error, "the client's key", settings->key);
    if (SSL_CTX_check_private_key(ssl) != 1)
        return refuse_file(error, "the client's key, which is not that of its certificate",
                           settings->key);
    return 0;
}

static void set_up(SSL_CTX *ssl, bool is_insecure)
{
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ssl, 1);
    SSL_CTX_set_verify(ssl, is_insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_default_passwd_cb(ssl, no_passphrase);
}

struct vlock_tls_context *vlock_tls_context_new(const struct vlock_tls_settings *settings,
                                                struct vlock_error *error)
{
    struct vlock_tls_context *context = calloc(1, sizeof *context);
    ERR_clear_error();
    if (context)
        context->ssl = SSL_CTX_new(TLS_client_method());
    if (context && settings->server_name)
        context->server_name = strdup(settings->server_name);
    if (!context || !context->ssl || (settings->server_name && !context->server_name)) {
        vlock_error_set(error, VLOCK_ERR_MEMORY, "out of memory");
    } else {
        context->is_insecure = settings->is_insecure;
        context->has_certificate = settings->certificate;
        set_up(context->ssl, settings->is_insecure);
        if (load_files(context->ssl, settings, error) == 0)
            return context;
    }
    vlock_tls_context_free(context);
    return NULL;
}

void vlock_tls_context_free(struct vlock_tls_context *context)
{
    if (!context)
        return;
    SSL_CTX_free(context->ssl);
    free(context->server_name);
    free(context);
}

/* ---- a connection ---- */

static bool is_address(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/* Whom the certificate must be for. A name is also told to the server, which may have several
 * (RFC 6066, section 3: not an address). */
static bool expect(struct vlock_tls *tls)
{
    X509_VERIFY_PARAM *wanted = SSL_get0_param(tls->ssl);
    if (is_address(tls->name))
        return X509_VERIFY_PARAM_set1_ip_asc(wanted, tls->name) == 1;
    return SSL_set1_host(tls->ssl, tls->name) == 1 &&
           SSL_set_tlsext_host_name(tls->ssl, tls->name) == 1;
}

struct vlock_tls *vlock_tls_new(struct vlock_tls_context *context, const char *host, int fd,
                                int *inner)
{
    int pair[2];
    struct vlock_tls *tls = calloc(1, sizeof *tls);
    if (!tls)
        return NULL;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
        free(tls);
        return NULL;
    }
    tls->context = context;
    snprintf(tls->name, sizeof tls->name, "%s", context->server_name ? context->server_name : host);
    tls->ssl = SSL_new(context->ssl);
    if (!tls->ssl || !expect(tls) || SSL_set_fd(tls->ssl, fd) != 1) {
        SSL_free(tls->ssl);
        close(pair[0]);
        close(pair[1]);
        free(tls);
        errno = ENOMEM;
        return NULL;
    }
    SSL_set_connect_state(tls->ssl);
    tls->fd = fd;
    tls->outer = pair[1];
    *inner = pair[0];
    return tls;
}

void vlock_tls_free(struct vlock_tls *tls)
{
    if (!tls)
        return;
    if (SSL_is_init_finished(tls->ssl) && !tls->has_ended) {
        ERR_clear_error();
        SSL_shutdown(tls->ssl);
    }
    SSL_free(tls->ssl);
    close(tls->fd);
    close(tls->outer);
    explicit_bzero(tls->kept, sizeof tls->kept);
    free(tls);
}

int vlock_tls_descriptor(const struct vlock_tls *tls)
{
    return tls->fd;
}

const char *vlock_tls_trouble(const struct vlock_tls *tls)
{
    return tls->trouble;
}

/* ---- what went wrong ---- */

static void note_distrust(struct vlock_tls *tls, long verdict)
{
    const char *what = X509_verify_cert_error_string(verdict), *advice = "";
    switch (verdict) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        snprintf(tls->trouble, sizeof tls->trouble,
                 "the server's certificate is not for %s: use a name that it is for, in the URL or "
                 "as the server's name (--sni)",
                 tls->name);
        return;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        advice = ": name the file of the CA that signed it (--cacert)";
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        advice = ": the server needs a new one, or this machine the right time";
        break;
    }
    snprintf(tls->trouble, sizeof tls->trouble, "the server's certificate is not trusted: %s%s",
             what, advice);
}

/* An alert of the server's: it did not like what we sent. */
static bool is_alert(unsigned long code)
{
    int reason = ERR_GET_REASON(code);
    return ERR_GET_LIB(code) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET &&
           reason < SSL_AD_REASON_OFFSET + 256;
}

static void note_refusal(struct vlock_tls *tls, unsigned long code)
{
    int reason = ERR_GET_REASON(code);
    if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason == SSL_R_WRONG_VERSION_NUMBER)
        snprintf(tls->trouble, sizeof tls->trouble,
                 "what answers there does not speak TLS: for a server without, the URL begins with "
                 "redis://");
    else
        snprintf(tls->trouble, sizeof tls->trouble, "TLS: %s%s", reason_of(code),
                 is_alert(code) && !tls->context->has_certificate
                     ? "; the server may want a client's certificate (--cert and --cert-key)"
                     : "");
}

/* Tells a call of OpenSSL that did not succeed. */
static enum vlock_tls_progress progress_of(struct vlock_tls *tls, int result, int reason)
{
    long verdict = SSL_get_verify_result(tls->ssl);
    unsigned long code = ERR_peek_error();
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_NONE:
        return VLOCK_TLS_DONE;
    case SSL_ERROR_WANT_READ:
        return VLOCK_TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return VLOCK_TLS_WANTS_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return VLOCK_TLS_LOST;
    case SSL_ERROR_SYSCALL:
        snprintf(tls->trouble, sizeof tls->trouble, "%s",
                 reason ? strerror(reason) : "the connection was closed");
        return VLOCK_TLS_LOST;
    }
    if (!SSL_is_init_finished(tls->ssl) && verdict != X509_V_OK && !tls->context->is_insecure)
        note_distrust(tls, verdict);
    else
        note_refusal(tls, code);
    return VLOCK_TLS_REFUSED;
}

/* ---- what goes to and fro ---- */

enum vlock_tls_progress vlock_tls_shake_hands(struct vlock_tls *tls)
{
    ERR_clear_error();
    errno = 0;
    int result = SSL_do_handshake(tls->ssl);
    return progress_of(tls, result, errno);
}

/* Whether the pair has taken all that was kept for it. */
static bool hand_over(struct vlock_tls *tls)
{
    while (tls->kept_from < tls->kept_to) {
        ssize_t put = send(tls->outer, tls->kept + tls->kept_from, tls->kept_to - tls->kept_from,
                           MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        tls->kept_from += (size_t)put;
    }
    return true;
}

static void end_pair(struct vlock_tls *tls)
{
    tls->has_ended = true;
    shutdown(tls->outer, SHUT_WR);
}

void vlock_tls_take_in(struct vlock_tls *tls)
{
    while (!tls->has_ended && hand_over(tls)) {
        ERR_clear_error();
        errno = 0;
        int got = SSL_read(tls->ssl, tls->kept, sizeof tls->kept);
        tls->kept_from = 0;
        tls->kept_to = got > 0 ? (size_t)got : 0;
        if (got > 0)
            continue;
        enum vlock_tls_progress progress = progress_of(tls, got, errno);
        if (progress == VLOCK_TLS_LOST || progress == VLOCK_TLS_REFUSED)
            end_pair(tls);
        return;
    }
}

ssize_t vlock_tls_send(struct vlock_tls *tls, const char *bytes, size_t length)
{
    ERR_clear_error();
    errno = 0;
    int sent =
        SSL_write(tls->ssl, bytes, length < VLOCK_TLS_RECORD ? (int)length : VLOCK_TLS_RECORD);
    if (sent > 0)
        return sent;
    switch (progress_of(tls, sent, errno)) {
    case VLOCK_TLS_WANTS_READ:
    case VLOCK_TLS_WANTS_WRITE:
        errno = EAGAIN;
        return -1;
    default:
        if (!errno || errno == EAGAIN || errno == EINTR)
            errno = EPIPE;
        return -1;
    }
}
