#include "pair.h"

#include <stdio.h>
#include <string.h>

#include "hex.h"
#include "json.h"

enum { MOST_FAILURES = 20, KEPT_BYTES = HL_NONCE_BYTES + HL_INVITATION_BYTES };

#define KEY "invite"
#define FIRST_PAUSE_US 2000000ull
#define LAST_PAUSE_US 30000000ull

/* One of Crockford's 32, as it is meant; 0: it is none. */
static char meant(char c) {
    if (c >= 'a' && c <= 'z') c = (char)(c - 32);
    if (c == 'O') return '0';
    if (c == 'I' || c == 'L') return '1';
    return c != 'U' && ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')) ? c : 0;
}

static bool read_code(const char *text, size_t n, char code[9]) {
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '-' || text[i] == ' ') continue;
        char c = meant(text[i]);
        if (!c || used == 8) return false;
        code[used++] = c;
    }
    code[used] = 0;
    return used == 8;
}

static bool read_fingerprint(const char *text, size_t n, hl_invitation *invitation) {
    invitation->pinned = hl_hex_read(text, n, invitation->fingerprint, HL_SHA256_BYTES);
    return invitation->pinned;
}

static bool read_host(const char *text, size_t n, hl_invitation *invitation) {
    if (!n || n >= sizeof invitation->host) return false;
    for (size_t i = 0; i < n; i++)
        if (text[i] <= ' ' || text[i] >= 0x7f || strchr("/@\\\"?#", text[i])) return false;
    memcpy(invitation->host, text, n);
    invitation->host[n] = 0;
    return true;
}

static bool is_loopback(const char *host) {
    return !strncmp(host, "127.", 4) || !strncmp(host, "localhost:", 10) || !strncmp(host, "[::1]", 5);
}

bool hl_invitation_read(const char *text, hl_invitation *invitation) {
    static const char BEGINS[] = "hearthlog:pair?";
    memset(invitation, 0, sizeof *invitation);
    if (strlen(text) >= HL_INVITATION_BYTES || strncmp(text, BEGINS, sizeof BEGINS - 1)) return false;
    for (text += sizeof BEGINS - 1; *text;) {
        size_t n = strcspn(text, "&");
        if (n < 3 || text[1] != '=') return false;
        bool good = text[0] == 'c'   ? read_code(text + 2, n - 2, invitation->code)
                    : text[0] == 'h' ? read_host(text + 2, n - 2, invitation)
                    : text[0] == 'f' ? read_fingerprint(text + 2, n - 2, invitation)
                                     : true;
        if (!good) return false;
        text += n + (text[n] == '&');
    }
    return invitation->code[0] && invitation->host[0] && (invitation->pinned || is_loopback(invitation->host));
}

static void fail(hl_pair *p, const char *code) {
    hl_http_stop(&p->http);
    memset(p->code, 0, sizeof p->code);
    strncpy(p->code, code, sizeof p->code - 1);
    p->state = HL_PAIR_FAILED;
    (void)p->config.kv->put(p->config.kv->self, KEY, p->nonce, 0);
}

static void start(hl_pair *p, const char *text) {
    p->asked = false;
    p->failures = 0;
    p->due_us = 0;
    if (!hl_invitation_read(text, &p->invitation) || (!p->invitation.pinned && !p->config.plain))
        fail(p, "bad-text");
    else
        p->state = p->invitation.pinned ? HL_PAIR_FETCHING : HL_PAIR_ASKING;
}

void hl_pair_wake(hl_pair *p, const hl_pair_config *config) {
    char kept[KEPT_BYTES + 1];
    memset(p, 0, sizeof *p);
    p->config = *config;
    int n = config->kv->get(config->kv->self, KEY, kept, KEPT_BYTES);
    if (n <= HL_NONCE_BYTES) return;
    kept[n] = 0;
    memcpy(p->nonce, kept, HL_NONCE_BYTES);
    start(p, kept + HL_NONCE_BYTES);
}

void hl_pair_begin(hl_pair *p, const char *text) {
    uint8_t kept[KEPT_BYTES];
    hl_http_stop(&p->http);
    p->config.random->fill(p->config.random->self, p->nonce, sizeof p->nonce);
    start(p, text);
    if (p->state == HL_PAIR_FAILED) return;
    memcpy(kept, p->nonce, HL_NONCE_BYTES);
    memcpy(kept + HL_NONCE_BYTES, text, strlen(text));
    (void)p->config.kv->put(p->config.kv->self, KEY, kept, HL_NONCE_BYTES + strlen(text)); /* else it starts afresh */
}

/* PEM: what stands between the lines of dashes. */
static bool take_pem(void *self, const uint8_t *data, size_t n) {
    hl_pair *p = self;
    for (size_t i = 0; i < n; i++) {
        if (data[i] == '-') p->in_armour = true;
        if (!p->in_armour) hl_base64_add(&p->pem, (char)data[i]);
        if (data[i] == '\n') p->in_armour = false;
    }
    return !p->pem.bad;
}

static bool take_answer(void *self, const uint8_t *data, size_t n) {
    hl_pair *p = self;
    if (n > sizeof p->answer - p->answer_bytes) return false;
    memcpy(p->answer + p->answer_bytes, data, n);
    p->answer_bytes += n;
    return true;
}

static void ask_for_ca(hl_pair *p, uint64_t now_us) {
    static const char *const LINES[] = {"GET /ca.pem HTTP/1.1", NULL};
    hl_http_request request = {p->invitation.host, HL_TRUST_ANYONE, NULL, 0, LINES, NULL};
    p->pem = (hl_base64){.out = p->ca, .size = sizeof p->ca};
    p->in_armour = false;
    p->http.body = take_pem;
    p->http.self = p;
    p->asked = hl_http_ask(&p->http, p->config.web, &request, now_us);
}

static void ask_for_credential(hl_pair *p, uint64_t now_us) {
    static const char *const LINES[] = {"POST /api/v1/pair HTTP/1.1", NULL};
    char content[320], nonce[2 * HL_NONCE_BYTES + 1];
    hl_http_request request = {
        p->invitation.host, p->invitation.pinned ? HL_TRUST_GIVEN : HL_TRUST_PLAIN, p->ca, p->pem.used, LINES, content};
    hl_hex_write(p->nonce, HL_NONCE_BYTES, nonce);
    (void)snprintf(
        content, sizeof content,
        "{\"code\":\"%s\",\"nonce\":\"%s\",\"hardware\":\"%.64s\",\"board\":\"%.32s\",\"firmware\":\"%.40s\"}",
        p->invitation.code, nonce, p->config.hardware, p->config.board, p->config.firmware);
    p->answer_bytes = 0;
    p->http.body = take_answer;
    p->http.self = p;
    p->asked = hl_http_ask(&p->http, p->config.web, &request, now_us);
}

static void later(hl_pair *p, uint64_t now_us, const char *code) {
    uint64_t pause = FIRST_PAUSE_US << (p->failures < 4 ? p->failures : 4);
    if (++p->failures == MOST_FAILURES) {
        fail(p, code);
        return;
    }
    if (pause > LAST_PAUSE_US) pause = LAST_PAUSE_US;
    if (p->http.retry_after_s) pause = p->http.retry_after_s * 1000000ull;
    p->asked = false;
    p->due_us = now_us + pause;
}

static bool read_mqtt(hl_json *j, hl_credential *c) {
    hl_json_fields f = {0, 0};
    int64_t port = 0;
    unsigned which;
    if (!hl_json_open(j, '{')) return false;
    while ((which = hl_json_field(j, &f, "host\0port\0tls\0client_id\0"))) {
        bool good = which == 1   ? hl_json_text(j, c->host, sizeof c->host)
                    : which == 2 ? hl_json_int(j, &port)
                    : which == 4 ? hl_json_bool(j, &c->tls)
                                 : hl_json_text(j, c->client_id, sizeof c->client_id);
        if (!good) return false;
    }
    c->port = (uint16_t)port;
    return !j->bad && port > 0 && port < 65536 && c->host[0];
}

static bool read_credential(const hl_pair *p, hl_credential *c) {
    hl_json j = {p->answer, p->answer + p->answer_bytes, false};
    hl_json_fields f = {0, 0};
    char root[16] = "";
    unsigned which;
    memset(c, 0, sizeof *c);
    if (!hl_json_open(&j, '{')) return false;
    while ((which = hl_json_field(&j, &f, "device\0password\0root\0mqtt\0"))) {
        bool good = which == 1   ? hl_json_text(&j, c->device, sizeof c->device)
                    : which == 2 ? hl_json_text(&j, c->password, sizeof c->password)
                    : which == 4 ? hl_json_text(&j, root, sizeof root)
                                 : read_mqtt(&j, c);
        if (!good) return false;
    }
    bool secret = c->tls || !p->invitation.pinned; /* a house with a CA does not ask for the password in the clear */
    return hl_json_end(&j) && c->device[0] && c->password[0] && c->port && !strcmp(root, "hearthlog/v1") && secret;
}

static void read_problem(const hl_pair *p, char *code, size_t size) {
    hl_json j = {p->answer, p->answer + p->answer_bytes, false};
    hl_json_fields f = {0, 0};
    (void)snprintf(code, size, "status-%u", p->http.status);
    if (!hl_json_open(&j, '{')) return;
    while (hl_json_field(&j, &f, "code\0")) (void)hl_json_text(&j, code, size);
}

static void check_ca(hl_pair *p) {
    uint8_t digest[HL_SHA256_BYTES];
    hl_sha256 sha;
    hl_sha256_begin(&sha);
    hl_sha256_add(&sha, p->ca, p->pem.used);
    hl_sha256_end(&sha, digest);
    if (p->http.status != 200 || !hl_base64_end(&p->pem) || memcmp(digest, p->invitation.fingerprint, sizeof digest)) {
        fail(p, "bad-ca"); /* somebody else answers there */
        return;
    }
    p->asked = false;
    p->failures = 0;
    p->state = HL_PAIR_ASKING;
}

static void take_credential(hl_pair *p, uint64_t now_us) {
    char code[sizeof p->code];
    if (p->http.status == 429 || p->http.status >= 500) {
        later(p, now_us, "no-answer");
    } else if (p->http.status != 200) {
        read_problem(p, code, sizeof code);
        fail(p, code);
    } else if (!read_credential(p, &p->credential)) {
        fail(p, "bad-answer");
    } else {
        p->credential.ca_bytes = (uint16_t)(p->invitation.pinned ? p->pem.used : 0);
        if (!hl_credential_save(&p->credential, p->config.kv, p->ca)) {
            later(p, now_us, "not-kept");
            return;
        }
        p->state = HL_PAIR_DONE;
        (void)p->config.kv->put(p->config.kv->self, KEY, p->nonce, 0);
    }
}

hl_pair_state hl_pair_step(hl_pair *p, uint64_t now_us) {
    if ((p->state != HL_PAIR_FETCHING && p->state != HL_PAIR_ASKING) || now_us < p->due_us) return p->state;
    if (!p->asked && p->state == HL_PAIR_FETCHING) ask_for_ca(p, now_us);
    if (!p->asked && p->state == HL_PAIR_ASKING) ask_for_credential(p, now_us);
    hl_http_state state = p->asked ? hl_http_step(&p->http, now_us) : HL_HTTP_FAILED;
    if (state == HL_HTTP_FAILED)
        later(p, now_us, "no-answer");
    else if (state == HL_HTTP_DONE && p->state == HL_PAIR_FETCHING)
        check_ca(p);
    else if (state == HL_HTTP_DONE)
        take_credential(p, now_us);
    return p->state;
}
