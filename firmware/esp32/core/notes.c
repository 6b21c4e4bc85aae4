#include "notes.h"

#include <string.h>

#include "cbor.h"

static const struct {
    const char *name;
    uint64_t least, most;
} KNOWN[] = {
    {"utc_us", 0, HL_LATEST_UTC_US},
    {"utc_err_us", 0, HL_LATEST_UTC_US},
    {"rate_hz", 8000, 48000},
    {"first_sample", 0, HL_MAX_SEQUENCE},
};

static bool good_key(const hl_cbor_item *key) {
    int characters = hl_utf8_length(key->data, (size_t)key->number);
    if (characters < 1 || characters > 32) return false;
    for (uint64_t i = 0; i < key->number; i++)
        if (key->data[i] < 0x20 || key->data[i] == 0x7f) return false;
    return true;
}

static bool good_value(const hl_cbor_item *key, const hl_cbor_item *value) {
    if (value->type == HL_CBOR_BYTES || value->type == HL_CBOR_ARRAY || value->type == HL_CBOR_MAP) return false;
    if (value->type == HL_CBOR_TEXT && hl_utf8_length(value->data, (size_t)value->number) > 64) return false;
    if (value->type <= HL_CBOR_NINT && value->number >> 63) return false;
    for (size_t i = 0; i < sizeof KNOWN / sizeof KNOWN[0]; i++)
        if (hl_cbor_is(key, KNOWN[i].name) &&
            (value->type != HL_CBOR_UINT || value->number < KNOWN[i].least || value->number > KNOWN[i].most))
            return false;
    return true;
}

/* The map that opens a note; its pairs follow, and the whole has been checked. */
static bool note_map(hl_cbor_reader *r, hl_cbor_item *map) {
    if (r->size > HL_NOTE_BYTES || !hl_cbor_check(r->data, r->size)) return false;
    (void)hl_cbor_next(r, map);
    return map->type == HL_CBOR_MAP;
}

/* The next pair of a checked map that nothing follows; its value's own content is still to be read. */
static bool next_pair(hl_cbor_reader *r, hl_cbor_item *key, hl_cbor_item *value) {
    if (!hl_cbor_next(r, key)) return false;
    (void)hl_cbor_next(r, value);
    return true;
}

bool hl_flat_map_check(const uint8_t *data, size_t n) {
    hl_cbor_reader r = {data, n, 0};
    hl_cbor_item map, key, value;
    if (!note_map(&r, &map) || map.number > 32) return false;
    while (next_pair(&r, &key, &value))
        if (!good_key(&key) || !good_value(&key, &value)) return false;
    return true;
}

size_t hl_anchor_encode(const hl_anchor *anchor, uint8_t *out, size_t size) {
    hl_cbor_writer w = {out, size, 0, false};
    hl_cbor_map(&w, 4);
    hl_cbor_text(&w, "boot");
    hl_cbor_bytes(&w, anchor->boot_id, HL_BOOT_BYTES);
    hl_cbor_text(&w, "err_us");
    hl_cbor_uint(&w, anchor->err_us);
    hl_cbor_text(&w, "utc_us");
    hl_cbor_uint(&w, anchor->utc_us);
    hl_cbor_text(&w, "mono_us");
    hl_cbor_uint(&w, anchor->mono_us);
    return w.full ? 0 : w.used;
}

static bool whole(const hl_cbor_item *value, uint64_t most, uint64_t *out) {
    *out = value->number;
    return value->type == HL_CBOR_UINT && value->number <= most;
}

bool hl_anchor_decode(const uint8_t *data, size_t n, hl_anchor *anchor) {
    hl_cbor_reader r = {data, n, 0};
    hl_cbor_item map, key, value;
    if (!note_map(&r, &map) || map.number != 4) return false; /* four known names, none twice: all are there */
    while (next_pair(&r, &key, &value)) {
        bool good = false;
        if (hl_cbor_is(&key, "boot") && value.type == HL_CBOR_BYTES && value.number == HL_BOOT_BYTES) {
            memcpy(anchor->boot_id, value.data, HL_BOOT_BYTES);
            good = true;
        }
        if (hl_cbor_is(&key, "mono_us")) good = whole(&value, HL_MAX_MONO_US, &anchor->mono_us);
        if (hl_cbor_is(&key, "utc_us")) good = whole(&value, HL_LATEST_UTC_US, &anchor->utc_us);
        if (hl_cbor_is(&key, "err_us")) good = whole(&value, HL_LATEST_UTC_US, &anchor->err_us);
        if (!good) return false;
    }
    return true;
}

/* Ranges `i` and `i + 1` become one. */
static void join(hl_gap *gap, unsigned i) {
    if (gap->ranges[i + 1].last > gap->ranges[i].last) gap->ranges[i].last = gap->ranges[i + 1].last;
    memmove(gap->ranges + i + 1, gap->ranges + i + 2, (gap->count - i - 2) * sizeof gap->ranges[0]);
    gap->count--;
}

static void join_nearest(hl_gap *gap) {
    unsigned best = 0;
    for (unsigned i = 1; i + 1 < gap->count; i++)
        if (gap->ranges[i + 1].first - gap->ranges[i].last < gap->ranges[best + 1].first - gap->ranges[best].last)
            best = i;
    join(gap, best);
}

void hl_gap_add(hl_gap *gap, hl_range range) {
    if (gap->count && gap->ranges[gap->count - 1].last + 1 == range.first) { /* the usual case */
        gap->ranges[gap->count - 1].last = range.last;
        return;
    }
    if (gap->count == HL_GAP_RANGES) join_nearest(gap);
    unsigned i = gap->count;
    for (; i && gap->ranges[i - 1].first > range.first; i--) gap->ranges[i] = gap->ranges[i - 1];
    gap->ranges[i] = range;
    gap->count++;
    if (i) i--;
    while (i + 1 < gap->count)
        if (gap->ranges[i].last + 1 >= gap->ranges[i + 1].first)
            join(gap, i);
        else
            i++;
}

void hl_gap_stretch(hl_gap *gap, uint64_t from_us, uint64_t to_us) {
    bool first = !gap->from_us && !gap->to_us;
    if (first || from_us < gap->from_us) gap->from_us = from_us;
    if (first || to_us > gap->to_us) gap->to_us = to_us;
}

size_t hl_gap_encode(const hl_gap *gap, uint8_t *out, size_t size) {
    hl_cbor_writer w = {out, size, 0, false};
    hl_cbor_map(&w, gap->timed ? 4 : 2);
    hl_cbor_text(&w, "why");
    hl_cbor_text(&w, gap->why);
    if (gap->timed) {
        hl_cbor_text(&w, "to_us");
        hl_cbor_uint(&w, gap->to_us);
    }
    hl_cbor_text(&w, "ranges");
    hl_cbor_array(&w, gap->count);
    for (unsigned i = 0; i < gap->count; i++) {
        hl_cbor_array(&w, 2);
        hl_cbor_uint(&w, gap->ranges[i].first);
        hl_cbor_uint(&w, gap->ranges[i].last);
    }
    if (gap->timed) {
        hl_cbor_text(&w, "from_us");
        hl_cbor_uint(&w, gap->from_us);
    }
    return w.full ? 0 : w.used;
}

static bool read_why(const hl_cbor_item *value, char why[33]) {
    if (value->type != HL_CBOR_TEXT || value->number < 1 || value->number > 32) return false;
    for (uint64_t i = 0; i < value->number; i++) {
        uint8_t c = value->data[i];
        bool letter = c >= 'a' && c <= 'z', other = (c >= '0' && c <= '9') || c == '-';
        if (!letter && (i == 0 || !other)) return false;
    }
    memcpy(why, value->data, (size_t)value->number);
    why[value->number] = 0;
    return true;
}

static bool read_ranges(hl_cbor_reader *r, const hl_cbor_item *list, hl_gap *gap) {
    hl_cbor_item pair, item;
    if (list->type != HL_CBOR_ARRAY || list->number < 1 || list->number > HL_GAP_RANGES) return false;
    gap->count = (unsigned)list->number;
    for (unsigned i = 0; i < gap->count; i++) {
        hl_range *range = &gap->ranges[i];
        (void)hl_cbor_next(r, &pair);
        if (pair.type != HL_CBOR_ARRAY || pair.number != 2) return false;
        (void)hl_cbor_next(r, &item);
        if (!whole(&item, HL_MAX_SEQUENCE, &range->first)) return false;
        (void)hl_cbor_next(r, &item);
        if (!whole(&item, HL_MAX_SEQUENCE, &range->last)) return false;
        if (range->first > range->last || (i && range->first <= gap->ranges[i - 1].last + 1)) return false;
    }
    return true;
}

bool hl_gap_decode(const uint8_t *data, size_t n, hl_gap *gap) {
    hl_cbor_reader r = {data, n, 0};
    hl_cbor_item map, key, value;
    bool from = false, to = false;
    memset(gap, 0, sizeof *gap);
    if (!note_map(&r, &map)) return false;
    while (next_pair(&r, &key, &value)) {
        bool good = false;
        if (hl_cbor_is(&key, "why")) good = read_why(&value, gap->why);
        if (hl_cbor_is(&key, "ranges")) good = read_ranges(&r, &value, gap);
        if (hl_cbor_is(&key, "from_us")) good = from = whole(&value, HL_MAX_MONO_US, &gap->from_us);
        if (hl_cbor_is(&key, "to_us")) good = to = whole(&value, HL_MAX_MONO_US, &gap->to_us);
        if (!good) return false;
    }
    gap->timed = from;
    return gap->count && gap->why[0] && from == to && gap->from_us <= gap->to_us;
}
