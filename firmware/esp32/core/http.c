#include "http.h"

#include <stdio.h>
#include <string.h>

#define STALL_US 20000000u

static hl_http_state end(hl_http *h, hl_http_state state) {
    h->web->net.close(h->web->net.self);
    return h->state = state;
}

static bool put(hl_http *h, const char *text) {
    size_t n = strlen(text);
    if (n > sizeof h->text - h->used) return false;
    memcpy(h->text + h->used, text, n);
    h->used += n;
    return true;
}

bool hl_http_ask(hl_http *h, const hl_web *web, const hl_http_request *request, uint64_t now_us) {
    char length[48];
    bool fits = true;
    h->web = web;
    h->state = HL_HTTP_FAILED;
    h->used = h->sent = 0;
    h->status = h->retry_after_s = 0;
    h->length = UINT64_MAX;
    h->at = 0;
    h->moved_us = now_us;
    for (const char *const *line = request->lines; *line; line++) fits = fits && put(h, *line) && put(h, "\r\n");
    (void)snprintf(length, sizeof length, "Content-Length: %lu\r\n",
                   request->content ? (unsigned long)strlen(request->content) : 0ul);
    fits = fits && put(h, "Host: ") && put(h, request->host) && put(h, "\r\nConnection: close\r\n");
    if (request->content) fits = fits && put(h, "Content-Type: application/json\r\n") && put(h, length);
    fits = fits && put(h, "\r\n") && (!request->content || put(h, request->content));
    if (!fits || web->aim(web->net.self, request->host, request->trust, request->ca, request->ca_bytes) < 0)
        return false;
    h->state = HL_HTTP_OPENING;
    if (web->net.open(web->net.self) < 0) (void)end(h, HL_HTTP_FAILED);
    return h->state == HL_HTTP_OPENING;
}

static bool begins(const char *text, const char *word) {
    for (; *word; text++, word++)
        if ((*text >= 'A' && *text <= 'Z' ? *text + 32 : *text) != *word) return false;
    return true;
}

/* A number that fills the rest of a line. */
static bool number(const char *text, uint64_t *value) {
    *value = 0;
    while (*text == ' ') text++;
    if (!*text) return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || *value > UINT32_MAX) return false;
        *value = *value * 10 + (uint64_t)(*text - '0');
    }
    return true;
}

/* One line of the head; false: it cannot be dealt with. */
static bool take_line(hl_http *h, const char *line) {
    uint64_t value = 0;
    if (!h->status) {
        if (!begins(line, "http/1.") || strlen(line) < 12 || line[8] != ' ') return false;
        for (int i = 9; i < 12; i++) {
            if (line[i] < '0' || line[i] > '9') return false;
            h->status = h->status * 10 + (unsigned)(line[i] - '0');
        }
        return h->status >= 200; /* nothing was asked that could be gone on with */
    }
    if (begins(line, "transfer-encoding:")) return false;
    if (begins(line, "content-length:")) return number(line + 15, &h->length);
    if (begins(line, "retry-after:") && number(line + 12, &value) && value <= 3600) h->retry_after_s = (uint32_t)value;
    return true;
}

/* Bytes of the head taken from `data`; h->state says how it went. */
static size_t take_head(hl_http *h, const uint8_t *data, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (data[i] != '\n') {
            if (h->used + 1 == sizeof h->text || !data[i]) {
                (void)end(h, HL_HTTP_FAILED);
                return n;
            }
            h->text[h->used++] = (char)data[i];
            continue;
        }
        if (h->used && h->text[h->used - 1] == '\r') h->used--;
        h->text[h->used] = 0;
        bool last = !h->used;
        h->used = 0;
        if (last ? !h->status : !take_line(h, h->text)) {
            (void)end(h, HL_HTTP_FAILED);
            return n;
        }
        if (last) {
            h->state = HL_HTTP_BODY;
            return i + 1;
        }
    }
    return n;
}

static void take_body(hl_http *h, const uint8_t *data, size_t n) {
    if (n > h->length - h->at) n = (size_t)(h->length - h->at);
    h->at += n;
    if (n && !h->body(h->self, data, n))
        (void)end(h, HL_HTTP_FAILED);
    else if (h->at == h->length)
        (void)end(h, HL_HTTP_DONE);
}

static void receive(hl_http *h, uint64_t now_us, bool *more) {
    uint8_t b[1024];
    int n = h->web->net.receive(h->web->net.self, b, sizeof b);
    *more = n > 0;
    if (n > 0) {
        h->moved_us = now_us;
        size_t at = h->state == HL_HTTP_HEAD ? take_head(h, b, (size_t)n) : 0;
        if (h->state == HL_HTTP_BODY) take_body(h, b + at, (size_t)n - at);
    } else if (n < 0) { /* the end of the stream is the end of a body whose length was not told */
        (void)end(h, h->state == HL_HTTP_BODY && h->length == UINT64_MAX ? HL_HTTP_DONE : HL_HTTP_FAILED);
    }
}

hl_http_state hl_http_step(hl_http *h, uint64_t now_us) {
    if (h->state == HL_HTTP_IDLE || h->state >= HL_HTTP_DONE) return h->state;
    const hl_net *net = &h->web->net;
    if (now_us - h->moved_us > STALL_US) return end(h, HL_HTTP_FAILED);
    if (h->state == HL_HTTP_OPENING) {
        int ready = net->ready(net->self);
        if (ready < 0) return end(h, HL_HTTP_FAILED);
        if (ready) h->state = HL_HTTP_ASKING;
    }
    if (h->state == HL_HTTP_ASKING) {
        int n = net->send(net->self, h->text + h->sent, h->used - h->sent);
        if (n < 0) return end(h, HL_HTTP_FAILED);
        if (n) h->moved_us = now_us;
        h->sent += (size_t)n;
        if (h->sent < h->used) return h->state;
        h->used = 0;
        h->state = HL_HTTP_HEAD;
    }
    bool more = true;
    for (int i = 0; more && i < 16 && (h->state == HL_HTTP_HEAD || h->state == HL_HTTP_BODY); i++)
        receive(h, now_us, &more);
    return h->state;
}

void hl_http_stop(hl_http *h) {
    if (h->state > HL_HTTP_IDLE && h->state < HL_HTTP_DONE) (void)end(h, HL_HTTP_FAILED);
    h->state = HL_HTTP_IDLE;
}
