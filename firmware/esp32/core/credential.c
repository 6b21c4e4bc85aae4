#include "credential.h"

#include <string.h>

#include "crc32.h"
#include "le.h"

enum { VERSION = 1, HEAD = 16, STORED = HEAD + 33 + 64 + 64 + 48 + 4, CRC_AT = STORED - 4 };

static const char *const SLOTS[2] = {"cred0", "cred1"}, *const CAS[2] = {"ca0", "ca1"};

static uint8_t *put_text(uint8_t *p, const char *text, size_t size) {
    memcpy(p, text, size);
    return p + size;
}

static const uint8_t *get_text(const uint8_t *p, char *text, size_t size) {
    memcpy(text, p, size);
    text[size - 1] = 0;
    return p + size;
}

static bool load_slot(hl_credential *c, const hl_kv *kv, unsigned slot) {
    uint8_t b[STORED];
    if (kv->get(kv->self, SLOTS[slot], b, sizeof b) != (int)sizeof b || b[0] != VERSION ||
        hl_get32(b + CRC_AT) != hl_crc32(0, b, CRC_AT))
        return false;
    memset(c, 0, sizeof *c);
    c->generation = hl_get32(b + 4);
    c->port = hl_get16(b + 8);
    c->tls = b[1];
    c->ca_bytes = hl_get16(b + 10);
    const uint8_t *p = get_text(b + HEAD, c->device, sizeof c->device);
    p = get_text(p, c->password, sizeof c->password);
    p = get_text(p, c->host, sizeof c->host);
    (void)get_text(p, c->client_id, sizeof c->client_id);
    return c->generation && (c->generation & 1) == slot && c->ca_bytes <= HL_CA_BYTES;
}

bool hl_credential_load(hl_credential *c, const hl_kv *kv) {
    hl_credential other;
    bool first = load_slot(c, kv, 0), second = load_slot(&other, kv, 1);
    if (second && (!first || other.generation > c->generation)) *c = other;
    if (!first && !second) memset(c, 0, sizeof *c);
    return first || second;
}

size_t hl_credential_ca(const hl_credential *c, const hl_kv *kv, uint8_t *ca) {
    if (!c->ca_bytes) return 0;
    int n = kv->get(kv->self, CAS[c->generation & 1], ca, HL_CA_BYTES);
    return n == c->ca_bytes ? (size_t)n : 0;
}

bool hl_credential_save(hl_credential *c, const hl_kv *kv, const uint8_t *ca) {
    hl_credential now;
    uint8_t b[STORED] = {VERSION, c->tls};
    c->generation = (hl_credential_load(&now, kv) ? now.generation : 0) + 1;
    unsigned slot = c->generation & 1;
    hl_put32(b + 4, c->generation);
    hl_put16(b + 8, c->port);
    hl_put16(b + 10, c->ca_bytes);
    uint8_t *p = put_text(b + HEAD, c->device, sizeof c->device);
    p = put_text(p, c->password, sizeof c->password);
    p = put_text(p, c->host, sizeof c->host);
    (void)put_text(p, c->client_id, sizeof c->client_id);
    hl_put32(b + CRC_AT, hl_crc32(0, b, CRC_AT));
    if (kv->put(kv->self, SLOTS[slot], b, 0) < 0) return false; /* what was there would go with the new CA */
    if (c->ca_bytes && kv->put(kv->self, CAS[slot], ca, c->ca_bytes) < 0) return false;
    return kv->put(kv->self, SLOTS[slot], b, sizeof b) >= 0;
}

void hl_credential_forget(const hl_kv *kv) {
    uint8_t none = 0;
    for (unsigned i = 0; i < 2; i++) {
        (void)kv->put(kv->self, SLOTS[i], &none, 0);
        (void)kv->put(kv->self, CAS[i], &none, 0);
    }
}
