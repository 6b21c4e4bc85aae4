#include "cbor.h"

#include <string.h>

static void put(hl_cbor_writer *w, const void *data, size_t n) {
    if (w->full || n > w->size - w->used) {
        w->full = true;
        return;
    }
    if (n) memcpy(w->data + w->used, data, n);
    w->used += n;
}

static void head(hl_cbor_writer *w, unsigned major, uint64_t number) {
    uint8_t bytes[9];
    unsigned more = number < 24 ? 0 : number < 0x100 ? 1 : number < 0x10000 ? 2 : number <= 0xffffffff ? 4 : 8;
    unsigned low = more == 0 ? (unsigned)number : more == 1 ? 24 : more == 2 ? 25 : more == 4 ? 26 : 27;
    bytes[0] = (uint8_t)(major << 5 | low);
    for (unsigned i = 0; i < more; i++) bytes[1 + i] = (uint8_t)(number >> (8 * (more - 1 - i)));
    put(w, bytes, 1 + more);
}

void hl_cbor_map(hl_cbor_writer *w, size_t pairs) { head(w, 5, pairs); }
void hl_cbor_array(hl_cbor_writer *w, size_t items) { head(w, 4, items); }
void hl_cbor_uint(hl_cbor_writer *w, uint64_t value) { head(w, 0, value); }

void hl_cbor_int(hl_cbor_writer *w, int64_t value) {
    if (value < 0)
        head(w, 1, (uint64_t)(-1 - value));
    else
        head(w, 0, (uint64_t)value);
}

void hl_cbor_text(hl_cbor_writer *w, const char *text) {
    size_t n = strlen(text);
    head(w, 3, n);
    put(w, text, n);
}

void hl_cbor_bytes(hl_cbor_writer *w, const void *data, size_t n) {
    head(w, 2, n);
    put(w, data, n);
}

static bool is_finite(const uint8_t *p, unsigned bytes) {
    /* An exponent of all ones is an infinity or not a number. */
    unsigned top = (unsigned)p[0] << 8 | p[1];
    unsigned mask = bytes == 2 ? 0x7c00 : bytes == 4 ? 0x7f80 : 0x7ff0;
    return (top & mask) != mask;
}

bool hl_cbor_next(hl_cbor_reader *r, hl_cbor_item *item) {
    if (r->at >= r->size) return false;
    unsigned first = r->data[r->at++], major = first >> 5, low = first & 31;
    size_t left = r->size - r->at;
    unsigned more = low < 24 ? 0 : 1u << (low - 24);
    if (low > 27 || major == 6 || more > left) return false;
    item->data = r->data + r->at;
    item->number = low < 24 ? low : 0;
    for (unsigned i = 0; i < more; i++) item->number = item->number << 8 | item->data[i];
    if (major == 7) {
        if (more ? more == 1 || !is_finite(item->data, more) : low < 20 || low > 22) return false;
        item->type = more ? HL_CBOR_FLOAT : HL_CBOR_SIMPLE;
        r->at += more;
        return true;
    }
    r->at += more;
    left -= more;
    item->data += more;
    item->type = (hl_cbor_type)major;
    if (major < 2) return true;
    /* Each item is at least one byte, so a longer claim is refused before anything follows from it. */
    if (item->number > left || (major == 5 && item->number > left / 2)) return false;
    if (major < 4) {
        r->at += (size_t)item->number;
        if (major == 3 && hl_utf8_length(item->data, (size_t)item->number) < 0) return false;
    }
    return true;
}

/* Pass over one whole value that has been checked. */
static void skip(hl_cbor_reader *r) {
    hl_cbor_item item;
    for (uint64_t open = 1; open && hl_cbor_next(r, &item);) {
        open--;
        if (item.type == HL_CBOR_ARRAY) open += item.number;
        if (item.type == HL_CBOR_MAP) open += 2 * item.number;
    }
}

/* Whether `key`, at pair `n` of the map whose content begins at `start`, was there before; what lies between has been
 * checked. */
static bool repeated(hl_cbor_reader r, size_t start, uint64_t n, const hl_cbor_item *key) {
    hl_cbor_item other;
    r.at = start;
    for (uint64_t i = 0; i < n; i++) {
        (void)hl_cbor_next(&r, &other);
        if (other.number == key->number && !memcmp(other.data, key->data, (size_t)key->number)) return true;
        skip(&r);
    }
    return false;
}

static bool check_value(hl_cbor_reader *r, unsigned depth, unsigned *items) {
    hl_cbor_item item, key;
    if (++*items > HL_CBOR_ITEMS || depth > HL_CBOR_DEPTH || !hl_cbor_next(r, &item)) return false;
    size_t start = r->at;
    if (item.type == HL_CBOR_ARRAY) {
        for (uint64_t i = 0; i < item.number; i++)
            if (!check_value(r, depth + 1, items)) return false;
    } else if (item.type == HL_CBOR_MAP) {
        for (uint64_t i = 0; i < item.number; i++) {
            if (++*items > HL_CBOR_ITEMS || depth == HL_CBOR_DEPTH || !hl_cbor_next(r, &key)) return false;
            if (key.type != HL_CBOR_TEXT || repeated(*r, start, i, &key)) return false;
            if (!check_value(r, depth + 1, items)) return false;
        }
    }
    return true;
}

bool hl_cbor_check(const uint8_t *data, size_t size) {
    hl_cbor_reader r = {data, size, 0};
    unsigned items = 0;
    return check_value(&r, 0, &items) && r.at == size;
}

bool hl_cbor_is(const hl_cbor_item *item, const char *word) {
    size_t n = strlen(word);
    return item->type == HL_CBOR_TEXT && item->number == n && !memcmp(item->data, word, n);
}

int hl_utf8_length(const uint8_t *p, size_t n) {
    int characters = 0;
    for (size_t i = 0; i < n; characters++) {
        uint8_t c = p[i++];
        if (c < 0x80) continue;
        unsigned more = c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xf0 && c < 0xf5 ? 3 : 0;
        if (!more || more > n - i) return -1;
        uint8_t least = 0x80, most = 0xbf; /* of the second byte: no long forms, no surrogates, nothing over 10FFFF */
        if (c == 0xe0) least = 0xa0;
        if (c == 0xed) most = 0x9f;
        if (c == 0xf0) least = 0x90;
        if (c == 0xf4) most = 0x8f;
        if (p[i] < least || p[i] > most) return -1;
        for (unsigned k = 1; k < more; k++)
            if ((p[i + k] & 0xc0) != 0x80) return -1;
        i += more;
    }
    return characters;
}
