#include "settings.h"

#include <string.h>

#include "crc32.h"
#include "json.h"
#include "le.h"

enum { VERSION = 1, CRC_AT = HL_SETTINGS_BYTES - 4, DAY_MIN = 1440, DAY_S = 86400 };

static const char *const SLOTS[2] = {"cfg0", "cfg1"};

void hl_settings_default(hl_settings *s) { *s = (hl_settings){.interval_ms = 10000, .still_s = 600, .quality = 12}; }

static bool in_range(const hl_settings *s) {
    return s->interval_ms >= 1000 && s->interval_ms <= DAY_S * 1000u && s->still_s <= DAY_S && s->quality >= 4 &&
           s->quality <= 63 && s->quiet_from_min < DAY_MIN && s->quiet_to_min < DAY_MIN;
}

static bool load_slot(hl_settings *s, const hl_kv *kv, const char *key) {
    uint8_t b[HL_SETTINGS_BYTES];
    if (kv->get(kv->self, key, b, sizeof b) != (int)sizeof b || hl_get32(b + CRC_AT) != hl_crc32(0, b, CRC_AT))
        return false;
    *s = (hl_settings){
        .generation = hl_get32(b + 4),
        .interval_ms = hl_get32(b + 8),
        .still_s = hl_get32(b + 12),
        .quality = b[16],
        .motion = b[17] & 1,
        .privacy = b[17] >> 1 & 1,
        .quiet_from_min = hl_get16(b + 18),
        .quiet_to_min = hl_get16(b + 20),
    };
    return b[0] == VERSION && in_range(s);
}

void hl_settings_load(hl_settings *s, const hl_kv *kv) {
    hl_settings other;
    hl_settings_default(s);
    if (!kv) return;
    bool first = load_slot(s, kv, SLOTS[0]), second = load_slot(&other, kv, SLOTS[1]);
    if (second && (!first || other.generation > s->generation))
        *s = other;
    else if (!first)
        hl_settings_default(s);
}

bool hl_settings_save(hl_settings *s, const hl_kv *kv) {
    uint8_t b[HL_SETTINGS_BYTES] = {VERSION};
    hl_put32(b + 4, s->generation + 1);
    hl_put32(b + 8, s->interval_ms);
    hl_put32(b + 12, s->still_s);
    b[16] = s->quality;
    b[17] = (uint8_t)((s->motion ? 1 : 0) | (s->privacy ? 2 : 0));
    hl_put16(b + 18, s->quiet_from_min);
    hl_put16(b + 20, s->quiet_to_min);
    hl_put32(b + CRC_AT, hl_crc32(0, b, CRC_AT));
    if (!kv || kv->put(kv->self, SLOTS[(s->generation + 1) & 1], b, sizeof b) < 0) return false;
    s->generation++;
    return true;
}

static bool read_number(hl_json *j, int64_t least, int64_t most, int64_t *value) {
    return hl_json_int(j, value) && *value >= least && *value <= most;
}

static bool read_quiet(hl_json *j, hl_settings *s) {
    int64_t from = 0, to = 0;
    unsigned n = 0;
    if (!hl_json_null(j)) {
        if (!hl_json_open(j, '[') || !hl_json_item(j, &n) || !read_number(j, 0, DAY_MIN - 1, &from)) return false;
        if (!hl_json_item(j, &n) || !read_number(j, 0, DAY_MIN - 1, &to) || hl_json_item(j, &n) || j->bad) return false;
    }
    s->quiet_from_min = (uint16_t)from;
    s->quiet_to_min = (uint16_t)to;
    return true;
}

bool hl_settings_read(hl_settings *s, const char *text, size_t length) {
    enum { EVERY = 1, STILL = 2, QUALITY = 4, MOTION = 8, PRIVACY = 16 };
    hl_json j = {text, text + length, false};
    hl_json_fields f = {0, 0};
    hl_settings wanted = *s;
    unsigned which;
    if (!hl_json_open(&j, '{')) return false;
    while ((which = hl_json_field(&j, &f, "every_s\0still_s\0quality\0motion\0privacy\0quiet\0"))) {
        int64_t value = 0;
        bool good = which == EVERY     ? read_number(&j, 1, DAY_S, &value)
                    : which == STILL   ? read_number(&j, 0, DAY_S, &value)
                    : which == QUALITY ? read_number(&j, 4, 63, &value)
                    : which == MOTION  ? hl_json_bool(&j, &wanted.motion)
                    : which == PRIVACY ? hl_json_bool(&j, &wanted.privacy)
                                       : read_quiet(&j, &wanted);
        if (!good) return false;
        if (which == EVERY) wanted.interval_ms = (uint32_t)value * 1000;
        if (which == STILL) wanted.still_s = (uint32_t)value;
        if (which == QUALITY) wanted.quality = (uint8_t)value;
    }
    if (!hl_json_end(&j) || !in_range(&wanted)) return false;
    *s = wanted;
    return true;
}

bool hl_settings_quiet(const hl_settings *s, uint64_t utc_us) {
    unsigned minute = (unsigned)(utc_us / 60000000 % DAY_MIN), from = s->quiet_from_min, to = s->quiet_to_min;
    if (from == to) return false;
    return from < to ? minute >= from && minute < to : minute >= from || minute < to;
}
