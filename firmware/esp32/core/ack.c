#include "ack.h"

#include <string.h>

#include "hex.h"
#include "json.h"

enum { SEEN_BOOT = 1, SEEN_RANGES = 2, SEEN_NACK = 4, SEEN_CREDIT = 8, MAX_RETRY_MS = 86400000 };

static bool read_boot(hl_json *j, uint8_t boot[HL_BOOT_BYTES]) {
    char text[2 * HL_BOOT_BYTES + 2];
    return hl_json_text(j, text, sizeof text) && hl_hex_read(text, strlen(text), boot, HL_BOOT_BYTES);
}

static bool read_sequence(hl_json *j, uint64_t *value) {
    int64_t number = 0;
    if (!hl_json_int(j, &number) || number < 0 || (uint64_t)number > HL_MAX_SEQUENCE) return false;
    *value = (uint64_t)number;
    return true;
}

static bool read_ranges(hl_json *j, const hl_ack *ack, const hl_ack_visitor *visitor) {
    unsigned n = 0;
    if (!hl_json_open(j, '[')) return false;
    while (hl_json_item(j, &n)) {
        hl_range range;
        unsigned k = 0;
        if (n > HL_ACK_RANGES || !hl_json_open(j, '[')) return false;
        if (!hl_json_item(j, &k) || !read_sequence(j, &range.first)) return false;
        if (!hl_json_item(j, &k) || !read_sequence(j, &range.last)) return false;
        if (hl_json_item(j, &k) || j->bad || range.first > range.last) return false;
        if (visitor) visitor->range(visitor->self, ack, range);
    }
    return !j->bad;
}

static bool read_nack(hl_json *j, const hl_ack *ack, const hl_ack_visitor *visitor) {
    char key[12], code[HL_CODE_BYTES] = "";
    uint64_t sequence = 0;
    int64_t retry_ms = HL_FOR_EVER;
    unsigned n = 0, seen = 0;
    if (!hl_json_open(j, '{')) return false;
    while (hl_json_key(j, &n, key, sizeof key)) {
        if (!strcmp(key, "seq") && !(seen & 1)) {
            if (!read_sequence(j, &sequence)) return false;
            seen |= 1;
        } else if (!strcmp(key, "code") && !(seen & 2)) {
            if (!hl_json_text(j, code, sizeof code)) return false;
            seen |= 2;
        } else if (!strcmp(key, "retry_ms") && !(seen & 4)) {
            if (!hl_json_null(j) && (!hl_json_int(j, &retry_ms) || retry_ms < 0)) return false;
            if (retry_ms > MAX_RETRY_MS) retry_ms = MAX_RETRY_MS;
            seen |= 4;
        } else if (!hl_json_skip(j)) {
            return false;
        }
    }
    if (j->bad || seen != 7) return false;
    if (visitor) visitor->nack(visitor->self, ack, sequence, code, retry_ms);
    return true;
}

static bool read_nacks(hl_json *j, const hl_ack *ack, const hl_ack_visitor *visitor) {
    unsigned n = 0;
    if (!hl_json_open(j, '[')) return false;
    while (hl_json_item(j, &n))
        if (n > HL_ACK_RANGES || !read_nack(j, ack, visitor)) return false;
    return !j->bad;
}

/* One pass: without a visitor it checks and finds the boot and the credit, with one it tells. */
static bool pass(const char *text, size_t length, hl_ack *ack, const hl_ack_visitor *visitor) {
    hl_json j = {text, text + length, false};
    char key[12];
    unsigned n = 0, seen = 0;
    if (!hl_json_open(&j, '{')) return false;
    while (hl_json_key(&j, &n, key, sizeof key)) {
        unsigned which = !strcmp(key, "boot")     ? SEEN_BOOT
                         : !strcmp(key, "ranges") ? SEEN_RANGES
                         : !strcmp(key, "nack")   ? SEEN_NACK
                         : !strcmp(key, "credit") ? SEEN_CREDIT
                                                  : 0;
        int64_t credit = 0;
        bool good = !(seen & which);
        seen |= which;
        if (which == SEEN_BOOT)
            good = good && read_boot(&j, ack->boot_id);
        else if (which == SEEN_RANGES)
            good = good && read_ranges(&j, ack, visitor);
        else if (which == SEEN_NACK)
            good = good && read_nacks(&j, ack, visitor);
        else if (which == SEEN_CREDIT) {
            good = good && hl_json_int(&j, &credit) && credit >= 0;
            ack->credit = credit > 1000 ? 1000 : (unsigned)(credit < 0 ? 0 : credit);
        } else
            good = hl_json_skip(&j);
        if (!good) return false;
    }
    return seen == (SEEN_BOOT | SEEN_RANGES | SEEN_NACK | SEEN_CREDIT) && hl_json_end(&j);
}

bool hl_ack_read(const char *text, size_t n, hl_ack *ack, const hl_ack_visitor *visitor) {
    if (!pass(text, n, ack, NULL)) return false;
    (void)pass(text, n, ack, visitor); /* the same bytes: it is as good the second time */
    return true;
}

bool hl_status_read(const char *text, size_t length, bool *online) {
    hl_json j = {text, text + length, false};
    char key[12], state[12] = "";
    unsigned n = 0;
    if (!hl_json_open(&j, '{')) return false;
    while (hl_json_key(&j, &n, key, sizeof key))
        if (!(strcmp(key, "state") ? hl_json_skip(&j) : hl_json_text(&j, state, sizeof state))) return false;
    if (!hl_json_end(&j) || (strcmp(state, "online") && strcmp(state, "offline"))) return false;
    *online = !strcmp(state, "online");
    return true;
}

bool hl_time_read(const char *text, size_t length, hl_time_answer *answer) {
    hl_json j = {text, text + length, false};
    char key[12];
    int64_t t0_us = -1, utc_us = -1;
    unsigned n = 0;
    bool synced = false;
    if (!hl_json_open(&j, '{')) return false;
    while (hl_json_key(&j, &n, key, sizeof key)) {
        bool good;
        if (!strcmp(key, "t0_us"))
            good = hl_json_int(&j, &t0_us);
        else if (!strcmp(key, "utc_us"))
            good = hl_json_null(&j) || hl_json_int(&j, &utc_us);
        else if (!strcmp(key, "synced"))
            good = hl_json_bool(&j, &synced);
        else
            good = hl_json_skip(&j);
        if (!good) return false;
    }
    if (!hl_json_end(&j) || t0_us < 0 || utc_us > (int64_t)HL_LATEST_UTC_US) return false;
    *answer = (hl_time_answer){(uint64_t)t0_us, utc_us < 0 ? 0 : (uint64_t)utc_us, synced && utc_us > 0};
    return true;
}
