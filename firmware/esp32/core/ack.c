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
    hl_json_fields f = {0, 0};
    char code[HL_CODE_BYTES] = "";
    uint64_t sequence = 0;
    int64_t retry_ms = HL_FOR_EVER;
    unsigned which;
    if (!hl_json_open(j, '{')) return false;
    while ((which = hl_json_field(j, &f, "seq\0code\0retry_ms\0"))) {
        bool good = which == 1   ? read_sequence(j, &sequence)
                    : which == 2 ? hl_json_text(j, code, sizeof code)
                                 : hl_json_null(j) || (hl_json_int(j, &retry_ms) && retry_ms >= 0);
        if (!good) return false;
    }
    if (retry_ms > MAX_RETRY_MS) retry_ms = MAX_RETRY_MS;
    if (j->bad || f.seen != 7) return false;
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
    hl_json_fields f = {0, 0};
    int64_t credit = 0;
    unsigned which;
    if (!hl_json_open(&j, '{')) return false;
    while ((which = hl_json_field(&j, &f, "boot\0ranges\0nack\0credit\0"))) {
        bool good = which == SEEN_BOOT     ? read_boot(&j, ack->boot_id)
                    : which == SEEN_RANGES ? read_ranges(&j, ack, visitor)
                    : which == SEEN_NACK   ? read_nacks(&j, ack, visitor)
                                           : hl_json_int(&j, &credit);
        if (!good || credit < 0) return false;
    }
    ack->credit = credit > 1000 ? 1000 : (unsigned)credit;
    return f.seen == 2 * SEEN_CREDIT - 1 && hl_json_end(&j);
}

bool hl_ack_read(const char *text, size_t n, hl_ack *ack, const hl_ack_visitor *visitor) {
    if (!pass(text, n, ack, NULL)) return false;
    (void)pass(text, n, ack, visitor); /* the same bytes: it is as good the second time */
    return true;
}

bool hl_status_read(const char *text, size_t length, bool *online) {
    hl_json j = {text, text + length, false};
    hl_json_fields f = {0, 0};
    char state[12] = "";
    if (!hl_json_open(&j, '{')) return false;
    while (hl_json_field(&j, &f, "state\0"))
        if (!hl_json_text(&j, state, sizeof state)) return false;
    if (!hl_json_end(&j) || (strcmp(state, "online") && strcmp(state, "offline"))) return false;
    *online = !strcmp(state, "online");
    return true;
}

bool hl_time_read(const char *text, size_t length, hl_time_answer *answer) {
    hl_json j = {text, text + length, false};
    hl_json_fields f = {0, 0};
    int64_t t0_us = -1, utc_us = -1;
    unsigned which;
    bool synced = false;
    if (!hl_json_open(&j, '{')) return false;
    while ((which = hl_json_field(&j, &f, "t0_us\0utc_us\0synced\0"))) {
        bool good = which == 1   ? hl_json_int(&j, &t0_us)
                    : which == 2 ? hl_json_null(&j) || hl_json_int(&j, &utc_us)
                                 : hl_json_bool(&j, &synced);
        if (!good) return false;
    }
    if (!hl_json_end(&j) || t0_us < 0 || utc_us > (int64_t)HL_LATEST_UTC_US) return false;
    *answer = (hl_time_answer){(uint64_t)t0_us, utc_us < 0 ? 0 : (uint64_t)utc_us, synced && utc_us > 0};
    return true;
}
