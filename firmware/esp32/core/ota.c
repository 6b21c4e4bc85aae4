#include "ota.h"

#include <stdio.h>
#include <string.h>

#include "base64.h"
#include "hex.h"
#include "json.h"

enum { MOST_TRIES = 8, URL_BYTES = 176, VERSION_BYTES = 20 };

#define KEY_TRIAL "trial"
#define TRY_AGAIN_US 2000000u

bool hl_version_read(const char *text, hl_version *version) {
    for (int i = 0; i < 3; i++) {
        uint32_t value = 0;
        const char *start = text;
        for (; *text >= '0' && *text <= '9' && value < 65536; text++) value = value * 10 + (uint32_t)(*text - '0');
        if (text == start || value > 65535 || (*start == '0' && text > start + 1)) return false;
        if (*text++ != (i < 2 ? '.' : 0)) return false;
        version->part[i] = (uint16_t)value;
    }
    return true;
}

static bool is_newer(const hl_version *a, const hl_version *b) {
    for (int i = 0; i < 3; i++)
        if (a->part[i] != b->part[i]) return a->part[i] > b->part[i];
    return false;
}

static bool read_sha(hl_json *j, uint8_t out[HL_SHA256_BYTES]) {
    char text[2 * HL_SHA256_BYTES + 2];
    return hl_json_text(j, text, sizeof text) && hl_hex_read(text, strlen(text), out, HL_SHA256_BYTES);
}

static bool read_signature(hl_json *j, hl_manifest *m) {
    char text[100];
    hl_base64 b = {.out = m->signature, .size = sizeof m->signature};
    if (!hl_json_text(j, text, sizeof text) || strlen(text) > 96) return false;
    for (const char *c = text; *c; c++) hl_base64_add(&b, *c);
    m->signature_bytes = b.used;
    return hl_base64_end(&b);
}

/* Both parts of an address go into a request: nothing that could end a line, or stand between its words. */
static bool read_url(hl_json *j, hl_manifest *m) {
    char text[URL_BYTES];
    if (!hl_json_text(j, text, sizeof text) || strlen(text) == sizeof text - 1) return false;
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c >= 0x7f) return false;
    const char *host = !strncmp(text, "https://", 8) ? text + 8 : !strncmp(text, "http://", 7) ? text + 7 : NULL;
    const char *path = host ? strchr(host, '/') : NULL;
    if (!path || path == host || (size_t)(path - host) >= sizeof m->host || strlen(path) >= sizeof m->path)
        return false;
    memcpy(m->host, host, (size_t)(path - host));
    m->host[path - host] = 0;
    strcpy(m->path, path);
    return true;
}

bool hl_manifest_read(const char *args, size_t length, hl_manifest *m) {
    enum { URL = 1, BOARD = 2, VERSION = 4, SIZE = 8, SHA = 16, SIGNATURE = 32, DOWNGRADE = 64 };
    hl_json j = {args, args + length, false};
    hl_json_fields f = {0, 0};
    char version[VERSION_BYTES];
    int64_t size = 1;
    unsigned which;
    memset(m, 0, sizeof *m);
    if (!hl_json_open(&j, '{')) return false;
    while ((which = hl_json_field(&j, &f, "url\0board\0version\0size\0sha256\0signature\0allow_downgrade\0"))) {
        bool good = which == URL     ? read_url(&j, m)
                    : which == BOARD ? hl_json_text(&j, m->board, sizeof m->board)
                    : which == VERSION
                        ? hl_json_text(&j, version, sizeof version) && hl_version_read(version, &m->version)
                    : which == SIZE      ? hl_json_int(&j, &size)
                    : which == SHA       ? read_sha(&j, m->sha256)
                    : which == SIGNATURE ? read_signature(&j, m)
                                         : hl_json_bool(&j, &m->allow_downgrade);
        if (!good || size <= 0 || size > UINT32_MAX) return false;
    }
    m->size = (uint32_t)size;
    return hl_json_end(&j) && (f.seen | DOWNGRADE) == 2 * DOWNGRADE - 1;
}

/* The bytes that are signed, and their hash. */
static void digest_of(const hl_manifest *m, uint8_t digest[HL_SHA256_BYTES]) {
    char text[192], sha[2 * HL_SHA256_BYTES + 1];
    hl_sha256 hash;
    hl_hex_write(m->sha256, HL_SHA256_BYTES, sha);
    int n = snprintf(text, sizeof text, "hearthlog-firmware-1\n%s\n%u.%u.%u\n%lu\n%s\n", m->board, m->version.part[0],
                     m->version.part[1], m->version.part[2], (unsigned long)m->size, sha);
    hl_sha256_begin(&hash);
    hl_sha256_add(&hash, text, (size_t)n);
    hl_sha256_end(&hash, digest);
}

static void count_trial(hl_ota *o, uint8_t boots) {
    if (o->config.kv) (void)o->config.kv->put(o->config.kv->self, KEY_TRIAL, &boots, 1);
}

void hl_ota_wake(hl_ota *o, const hl_ota_config *config, uint64_t now_us) {
    uint8_t boots = 0;
    memset(o, 0, sizeof *o);
    o->config = *config;
    o->code = "";
    if (!config->firmware || !config->firmware->on_trial(config->firmware->self)) return;
    if (config->kv && config->kv->get(config->kv->self, KEY_TRIAL, &boots, 1) != 1) boots = 0;
    o->trial = true;
    o->trial_us = now_us;
    count_trial(o, (uint8_t)(boots + 1));
    if (boots >= HL_TRIAL_BOOTS) hl_ota_watch(o, false, now_us + HL_TRIAL_US + 1);
}

void hl_ota_watch(hl_ota *o, bool acknowledged, uint64_t now_us) {
    const hl_firmware *firmware = o->config.firmware;
    if (!o->trial) return;
    if (acknowledged) {
        if (firmware->confirm(firmware->self) < 0) return;
    } else if (now_us - o->trial_us <= HL_TRIAL_US) {
        return;
    }
    o->trial = false;
    count_trial(o, 0);
    if (!acknowledged) firmware->roll_back(firmware->self);
}

const char *hl_ota_begin(hl_ota *o, const char *args, size_t n) {
    const hl_firmware *firmware = o->config.firmware;
    uint8_t digest[HL_SHA256_BYTES];
    hl_version own = {{0, 0, 0}};
    hl_manifest *m = &o->manifest;
    if (!firmware || !o->config.web) return "unknown-command";
    if (o->state == HL_OTA_FETCHING || o->state == HL_OTA_READY) return "busy";
    if (!hl_manifest_read(args, n, m)) return "bad-args";
    digest_of(m, digest);
    if (!firmware->verify(firmware->self, digest, m->signature, m->signature_bytes)) return "bad-signature";
    if (strcmp(m->board, o->config.board)) return "wrong-board";
    (void)hl_version_read(o->config.version, &own); /* one that has no such version takes any */
    if (!m->allow_downgrade && !is_newer(&m->version, &own)) return "not-newer";
    if (m->size > firmware->room || firmware->begin(firmware->self, m->size) < 0) return "no-room";
    hl_sha256_begin(&o->sha);
    o->at = o->tries = 0;
    o->due_us = 0;
    o->asked = false;
    o->state = HL_OTA_FETCHING;
    return "";
}

static hl_ota_state fail(hl_ota *o, const char *code) {
    hl_http_stop(&o->http);
    o->code = code;
    return o->state = HL_OTA_FAILED;
}

/* A piece of the body, at the place that was asked for or from the beginning. */
static bool take(void *self, const uint8_t *data, size_t n) {
    hl_ota *o = self;
    const hl_firmware *firmware = o->config.firmware;
    if (o->http.status != 200 && o->http.status != 206) return true; /* what it says about that is not read */
    if (o->http.status == 206 && o->http.at == n)
        o->skip = 0; /* its first piece, and it goes on where it was asked to */
    size_t again = o->skip < n ? o->skip : n;
    o->skip -= (uint32_t)again;
    data += again;
    n -= again;
    if (n > o->manifest.size - o->at) {
        (void)fail(o, "bad-size");
        return false;
    }
    if (n && firmware->write(firmware->self, o->at, data, n) < 0) {
        (void)fail(o, "write-failed");
        return false;
    }
    hl_sha256_add(&o->sha, data, n);
    o->at += (uint32_t)n;
    if (n) o->tries = 0;
    return true;
}

static void ask(hl_ota *o, uint64_t now_us) {
    char get[112], range[40], password[96];
    const char *lines[] = {get, password, o->at ? range : NULL, NULL};
    hl_http_request request = {
        o->manifest.host, o->config.plain ? HL_TRUST_PLAIN : HL_TRUST_STORED, NULL, 0, lines, NULL};
    (void)snprintf(get, sizeof get, "GET %s HTTP/1.1", o->manifest.path);
    (void)snprintf(password, sizeof password, "X-Hearthlog-Device-Password: %.60s", o->config.password);
    (void)snprintf(range, sizeof range, "Range: bytes=%lu-", (unsigned long)o->at);
    o->http.body = take;
    o->http.self = o;
    o->skip = o->at; /* until it is known that the answer goes on where it was asked to */
    o->asked = hl_http_ask(&o->http, o->config.web, &request, now_us);
}

/* Whether one exchange's head fits what was asked for. */
static const char *judge(const hl_ota *o) {
    const hl_http *h = &o->http;
    if (h->status == 200 && h->length != UINT64_MAX && h->length != o->manifest.size) return "bad-size";
    if (h->status >= 400 && h->status < 500 && h->status != 429 && h->status != 408) return "fetch-failed";
    return "";
}

static hl_ota_state finish(hl_ota *o) {
    const hl_firmware *firmware = o->config.firmware;
    uint8_t digest[HL_SHA256_BYTES];
    hl_sha256_end(&o->sha, digest);
    if (memcmp(digest, o->manifest.sha256, sizeof digest)) return fail(o, "bad-hash");
    if (firmware->activate(firmware->self) < 0) return fail(o, "write-failed");
    hl_http_stop(&o->http);
    return o->state = HL_OTA_READY;
}

hl_ota_state hl_ota_step(hl_ota *o, uint64_t now_us) {
    if (o->state != HL_OTA_FETCHING || now_us < o->due_us) return o->state;
    if (!o->asked) ask(o, now_us);
    hl_http_state state = o->asked ? hl_http_step(&o->http, now_us) : HL_HTTP_FAILED;
    if (o->state != HL_OTA_FETCHING) return o->state; /* `take` has found that it cannot go on */
    const char *code = o->asked ? judge(o) : "";
    if (*code) return fail(o, code);
    if (o->at == o->manifest.size) return finish(o);
    if (state < HL_HTTP_DONE) return o->state;
    o->asked = false;
    if (++o->tries == MOST_TRIES) return fail(o, "fetch-failed");
    o->due_us = now_us + (uint64_t)TRY_AGAIN_US * o->tries;
    return o->state;
}
