/* One HTTP/1.1 exchange over an injected stream (RFC 9112, what is needed of it): a request of at most HL_HTTP_TEXT
 * bytes, an answer whose body is handed on as it comes. No chunks, no redirects, no reuse: `Connection: close`.
 * Nothing blocks: `hl_http_step` does what can be done now. */
#ifndef HL_HTTP_H
#define HL_HTTP_H

#include "hal.h"

#define HL_HTTP_TEXT 640

typedef enum {
    HL_HTTP_IDLE,
    HL_HTTP_OPENING,
    HL_HTTP_ASKING,
    HL_HTTP_HEAD,
    HL_HTTP_BODY,
    HL_HTTP_DONE,
    HL_HTTP_FAILED
} hl_http_state;

typedef struct {
    const hl_web *web;
    hl_http_state state;
    char text[HL_HTTP_TEXT]; /* the request, then the answer's lines */
    size_t used, sent;
    unsigned status;        /* of the answer, 0 before its first line */
    uint32_t retry_after_s; /* 0: not told */
    uint64_t length, at;    /* of the body: told (UINT64_MAX: until the stream ends), and come so far */
    uint64_t moved_us;
    /* Takes a piece of the body; false ends the exchange as failed. */
    bool (*body)(void *self, const uint8_t *data, size_t n);
    void *self;
} hl_http;

/* Where and what to ask: lines without their ends, the last one NULL; `content` follows them, or NULL. */
typedef struct {
    const char *host;
    hl_trust trust;
    const uint8_t *ca;
    size_t ca_bytes;
    const char *const *lines;
    const char *content;
} hl_http_request;

/* Begin; false: it does not fit, or the stream cannot be aimed there. */
bool hl_http_ask(hl_http *h, const hl_web *web, const hl_http_request *request, uint64_t now_us);

/* HL_HTTP_DONE and HL_HTTP_FAILED are ends; the stream is closed by then. */
hl_http_state hl_http_step(hl_http *h, uint64_t now_us);

void hl_http_stop(hl_http *h);

#endif
