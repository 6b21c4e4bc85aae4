#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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
    if (n->fd >= 0) close(n->fd);
    n->fd = -1;
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
    return 0;
}

static int net_ready(void *self) {
    host_net *n = self;
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    int error = 0;
    socklen_t error_size = sizeof error;
    if (getsockopt(n->fd, SOL_SOCKET, SO_ERROR, &error, &error_size) || error) return -1;
    return getpeername(n->fd, (struct sockaddr *)&peer, &size) == 0;
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
        (void)send(n->fd, data, size / 2, MSG_NOSIGNAL);
        return -1;
    }
    ssize_t sent = send(n->fd, data, size, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
    return (int)sent;
}

static int net_receive(void *self, void *data, size_t size) {
    host_net *n = self;
    if (faults_take(n->faults, FAULT_DROP, now_of(n), NULL)) return -1;
    if (faults_during(n->faults, FAULT_STALL, now_of(n))) return 0;
    ssize_t got = recv(n->fd, data, size, 0);
    if (got < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
    return got == 0 ? -1 : (int)got;
}

bool host_net_begin(host_net *n, const char *broker, faults *f, const hl_clock *clock) {
    const char *colon = strrchr(broker, ':');
    memset(n, 0, sizeof *n);
    size_t length = colon ? (size_t)(colon - broker) : strlen(broker);
    if (!length || length >= sizeof n->host || (colon && strlen(colon + 1) >= sizeof n->port)) return false;
    memcpy(n->host, broker, length);
    strcpy(n->port, colon ? colon + 1 : "1883");
    n->fd = -1;
    n->faults = f;
    n->clock = clock;
    n->net = (hl_net){n, net_open, net_ready, net_send, net_receive, net_close};
    return true;
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
