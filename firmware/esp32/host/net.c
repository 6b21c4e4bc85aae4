#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

static uint64_t now_of(const host_net *n) { return n->clock->mono_us(n->clock->self); }

static void net_close(void *self) {
    host_net *n = self;
    if (n->ssl) {
        (void)SSL_shutdown(n->ssl);
        SSL_free(n->ssl);
    }
    n->ssl = NULL;
    if (n->fd >= 0) close(n->fd);
    n->fd = -1;
}

/* A stream that believes one CA and nothing else, or anyone. Neither names nor dates are looked at. */
static SSL *begin_tls(host_net *n) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    const unsigned char *der = n->ca;
    if (!context) return NULL;
    if (n->trust != HL_TRUST_ANYONE) {
        X509 *ca = n->ca_bytes ? d2i_X509(NULL, &der, (long)n->ca_bytes) : NULL;
        X509_STORE *store = SSL_CTX_get_cert_store(context);
        if (ca) (void)X509_STORE_add_cert(store, ca);
        X509_free(ca);
        (void)X509_STORE_set_flags(store, X509_V_FLAG_NO_CHECK_TIME);
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    }
    SSL *ssl = SSL_new(context);
    SSL_CTX_free(context);
    if (!ssl) return NULL;
    (void)SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void)SSL_set_fd(ssl, n->fd);
    SSL_set_connect_state(ssl);
    return ssl;
}

static int net_open(void *self) {
    host_net *n = self;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int on = 1;
    if (getaddrinfo(n->host, n->port, &hints, &found)) return -1;
    n->fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int result = n->fd < 0 ? -1 : connect(n->fd, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    if (result && errno != EINPROGRESS) return -1;
    (void)setsockopt(n->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (n->trust == HL_TRUST_PLAIN) return 0;
    n->ssl = begin_tls(n);
    return n->ssl ? 0 : -1;
}

/* Bytes moved, 0 for "not now", less than 0 for the end. */
static int tls_result(host_net *n, int result) {
    if (result > 0) return result;
    int why = SSL_get_error(n->ssl, result);
    ERR_clear_error();
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static int net_ready(void *self) {
    host_net *n = self;
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    int error = 0;
    socklen_t error_size = sizeof error;
    if (getsockopt(n->fd, SOL_SOCKET, SO_ERROR, &error, &error_size) || error) return -1;
    if (getpeername(n->fd, (struct sockaddr *)&peer, &size)) return 0;
    return n->ssl ? tls_result(n, SSL_do_handshake(n->ssl)) : 1;
}

static int send_bytes(host_net *n, const void *data, size_t size) {
    if (n->ssl) return tls_result(n, SSL_write(n->ssl, data, (int)size));
    ssize_t sent = send(n->fd, data, size, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
    return (int)sent;
}

static int net_send(void *self, const void *data, size_t size) {
    host_net *n = self;
    if (faults_take(n->faults, FAULT_DROP, now_of(n), NULL)) return -1;
    if (faults_during(n->faults, FAULT_STALL, now_of(n))) {
        usleep(2000); /* the stream says that it could take more */
        return 0;
    }
    if (faults_during(n->faults, FAULT_SLOW, now_of(n)) && size > 1024) {
        usleep(1000);
        size = 1024;
    }
    if (size >= 512 && faults_take(n->faults, FAULT_MIDCUT, now_of(n), NULL)) {
        (void)send_bytes(n, data, size / 2);
        return -1;
    }
    return send_bytes(n, data, size);
}

static int net_receive(void *self, void *data, size_t size) {
    host_net *n = self;
    if (faults_take(n->faults, FAULT_DROP, now_of(n), NULL)) return -1;
    if (faults_during(n->faults, FAULT_STALL, now_of(n))) return 0;
    if (n->ssl) return tls_result(n, SSL_read(n->ssl, data, (int)size));
    ssize_t got = recv(n->fd, data, size, 0);
    if (got < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
    return got == 0 ? -1 : (int)got;
}

static bool set_host(host_net *n, const char *address, const char *port) {
    const char *colon = strrchr(address, ':'), *host = address;
    size_t length = colon ? (size_t)(colon - address) : strlen(address);
    if (length > 2 && *host == '[' && host[length - 1] == ']') { /* an IPv6 address */
        host++;
        length -= 2;
    }
    if (!length || length >= sizeof n->host || (colon && strlen(colon + 1) >= sizeof n->port)) return false;
    memcpy(n->host, host, length);
    n->host[length] = 0;
    strcpy(n->port, colon ? colon + 1 : port);
    return true;
}

static int net_aim(void *self, const char *host, hl_trust trust, const uint8_t *ca, size_t ca_bytes) {
    host_net *n = self;
    n->trust = trust;
    if (trust == HL_TRUST_GIVEN && ca_bytes <= sizeof n->ca) {
        memcpy(n->ca, ca, ca_bytes);
        n->ca_bytes = ca_bytes;
    }
    return set_host(n, host, "8480") ? 0 : -1;
}

bool host_net_begin(host_net *n, const char *address, faults *f, const hl_clock *clock) {
    memset(n, 0, sizeof *n);
    n->fd = -1;
    n->faults = f;
    n->clock = clock;
    n->trust = HL_TRUST_PLAIN;
    n->web = (hl_web){{n, net_open, net_ready, net_send, net_receive, net_close}, net_aim};
    return set_host(n, address, "1883");
}

void host_net_trust(host_net *n, const uint8_t *ca, size_t ca_bytes) {
    n->trust = HL_TRUST_STORED;
    memcpy(n->ca, ca, ca_bytes);
    n->ca_bytes = ca_bytes;
}

static uint64_t monotonic_us(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t since(void *self) { return monotonic_us() - *(uint64_t *)self; }

hl_clock host_clock(uint64_t *started_us) {
    *started_us = monotonic_us();
    return (hl_clock){started_us, since};
}

static void fill(void *self, void *data, size_t n) {
    (void)self;
    for (size_t at = 0; at < n;) {
        ssize_t got = getrandom((uint8_t *)data + at, n - at, 0);
        if (got > 0) at += (size_t)got;
    }
}

hl_random host_random(void) { return (hl_random){NULL, fill}; }
