/* TLS that never blocks. Nothing here speaks in the clear: a board is paired by a fingerprint or not at all. */
#include <esp_tls.h>
#include <stdlib.h>
#include <string.h>

#include "hal_esp.h"

static void stream_close(void *self) {
    hal_esp_stream *s = self;
    if (s->tls) (void)esp_tls_conn_destroy(s->tls);
    s->tls = NULL;
}

static int stream_open(void *self) {
    hal_esp_stream *s = self;
    stream_close(s);
    s->standing = false;
    s->tls = s->trust == HL_TRUST_PLAIN ? NULL : esp_tls_init();
    return s->tls ? 0 : -1;
}

static int stream_ready(void *self) {
    hal_esp_stream *s = self;
    esp_tls_cfg_t config = {.non_block = true, .timeout_ms = 10000, .skip_common_name = true};
    if (s->standing) return 1;
    if (s->trust != HL_TRUST_ANYONE) {
        if (!s->ca_bytes) return -1;
        config.cacert_buf = s->ca;
        config.cacert_bytes = (unsigned int)s->ca_bytes;
    }
    int result = esp_tls_conn_new_async(s->host, (int)strlen(s->host), s->port, &config, s->tls);
    s->standing = result == 1;
    return result;
}

static int moved(ssize_t result) {
    if (result == ESP_TLS_ERR_SSL_WANT_READ || result == ESP_TLS_ERR_SSL_WANT_WRITE) return 0;
    return result > 0 ? (int)result : -1;
}

static int stream_send(void *self, const void *data, size_t n) {
    return n ? moved(esp_tls_conn_write(((hal_esp_stream *)self)->tls, data, n)) : 0;
}

static int stream_receive(void *self, void *data, size_t n) {
    return moved(esp_tls_conn_read(((hal_esp_stream *)self)->tls, data, n));
}

static int stream_aim(void *self, const char *host, hl_trust trust, const uint8_t *ca, size_t ca_bytes) {
    hal_esp_stream *s = self;
    const char *colon = strrchr(host, ':');
    size_t n = colon ? (size_t)(colon - host) : strlen(host);
    if (n > 2 && host[0] == '[' && host[n - 1] == ']') { /* an IPv6 address */
        host++;
        n -= 2;
    }
    if (trust == HL_TRUST_PLAIN || !n || n >= sizeof s->host) return -1;
    memcpy(s->host, host, n);
    s->host[n] = 0;
    s->port = colon ? atoi(colon + 1) : 8480;
    s->trust = trust;
    if (trust == HL_TRUST_GIVEN) {
        s->ca = ca;
        s->ca_bytes = ca_bytes;
    }
    return s->port > 0 && s->port < 65536 ? 0 : -1;
}

void hal_esp_stream_begin(hal_esp_stream *s, const char *host, int port, const uint8_t *ca, size_t ca_bytes) {
    memset(s, 0, sizeof *s);
    s->web = (hl_web){{s, stream_open, stream_ready, stream_send, stream_receive, stream_close}, stream_aim};
    s->trust = HL_TRUST_STORED;
    s->port = port;
    s->ca = ca;
    s->ca_bytes = ca_bytes;
    strncpy(s->host, host, sizeof s->host - 1);
}
