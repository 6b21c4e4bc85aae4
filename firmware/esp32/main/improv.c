#include "improv.h"

#include <string.h>

enum { CURRENT_STATE = 1, ERROR_STATE = 2, RPC = 3, RPC_RESULT = 4, HEAD = 9, SSID = 33, PASSWORD = 65 };

static const uint8_t MAGIC[7] = {'I', 'M', 'P', 'R', 'O', 'V', 1};

static uint8_t sum_of(const uint8_t *p, size_t n) {
    uint8_t sum = 0;
    for (size_t i = 0; i < n; i++) sum = (uint8_t)(sum + p[i]);
    return sum;
}

static void say(improv *i, uint8_t type, const uint8_t *data, size_t n) {
    uint8_t out[IMPROV_PACKET];
    memcpy(out, MAGIC, sizeof MAGIC);
    out[7] = type;
    out[8] = (uint8_t)n;
    memcpy(out + HEAD, data, n);
    out[HEAD + n] = sum_of(out, HEAD + n);
    out[HEAD + n + 1] = '\n';
    i->write(i->self, out, HEAD + n + 2);
}

void improv_tell(improv *i, uint8_t state) {
    i->state = state;
    say(i, CURRENT_STATE, &state, 1);
}

void improv_fail(improv *i, uint8_t error) { say(i, ERROR_STATE, &error, 1); }

/* The result of a call: texts, each behind its length. */
static void result(improv *i, uint8_t call, const char *const *texts, size_t count) {
    uint8_t data[255];
    size_t used = 2;
    for (size_t k = 0; k < count; k++) {
        size_t n = strlen(texts[k]);
        if (n > sizeof data - used - 1) break;
        data[used++] = (uint8_t)n;
        memcpy(data + used, texts[k], n);
        used += n;
    }
    data[0] = call;
    data[1] = (uint8_t)(used - 2);
    say(i, RPC_RESULT, data, used);
}

void improv_joined(improv *i, const char *url) {
    improv_tell(i, IMPROV_PROVISIONED);
    result(i, IMPROV_WIFI, &url, url[0] ? 1 : 0);
}

/* A text behind its length; false if it does not end within `n` or does not fit. */
static bool take_text(const uint8_t **p, size_t *n, char *out, size_t size) {
    if (!*n || **p > *n - 1 || **p >= size) return false;
    size_t length = **p;
    memcpy(out, *p + 1, length);
    out[length] = 0;
    *p += length + 1;
    *n -= length + 1;
    return true;
}

static void call(improv *i, const uint8_t *data, size_t n) {
    char name[SSID], password[PASSWORD];
    if (n < 2 || data[1] != n - 2) {
        improv_fail(i, IMPROV_INVALID);
        return;
    }
    const uint8_t *p = data + 2;
    size_t left = n - 2;
    switch (data[0]) {
    case IMPROV_WIFI:
        if (!take_text(&p, &left, name, sizeof name) || !take_text(&p, &left, password, sizeof password) || left ||
            !name[0]) {
            improv_fail(i, IMPROV_INVALID);
            return;
        }
        improv_fail(i, IMPROV_NO_ERROR);
        improv_tell(i, IMPROV_PROVISIONING);
        i->wifi(i->self, name, password);
        return;
    case IMPROV_STATE:
        improv_tell(i, i->state);
        return;
    case IMPROV_INFO:
        result(i, IMPROV_INFO, i->info, 4);
        return;
    default:
        improv_fail(i, IMPROV_UNKNOWN);
    }
}

static void take_line(improv *i, uint8_t byte) {
    if (byte != '\n' && byte != '\r') {
        if (i->line_used + 1 < sizeof i->line)
            i->line[i->line_used++] = (char)byte;
        else
            i->line_used = 0; /* nothing that is meant for this is so long */
        return;
    }
    i->line[i->line_used] = 0;
    i->line_used = 0;
    if (!strncmp(i->line, "hearthlog:", 10)) i->text(i->self, i->line);
}

void improv_take(improv *i, uint8_t byte) {
    if (i->have < sizeof MAGIC && byte != MAGIC[i->have]) {
        for (size_t k = 0; k < i->have; k++) take_line(i, MAGIC[k]); /* it was only a text that begins alike */
        i->have = 0;
        if (byte != MAGIC[0]) {
            take_line(i, byte);
            return;
        }
    }
    i->packet[i->have++] = byte;
    if (i->have < HEAD || i->have < HEAD + (size_t)i->packet[8] + 1) return;
    size_t n = i->packet[8];
    i->have = 0;
    if (sum_of(i->packet, HEAD + n) != i->packet[HEAD + n])
        improv_fail(i, IMPROV_INVALID);
    else if (i->packet[7] == RPC)
        call(i, i->packet + HEAD, n);
}
