#include "base64.h"

static int value_of(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

void hl_base64_add(hl_base64 *b, char c) {
    int value = value_of(c);
    if (c == '\r' || c == '\n' || b->bad) return;
    if (c == '=') {
        b->padding++;
        b->bits <<= 6;
    } else if (value < 0 || b->padding) {
        b->bad = true;
        return;
    } else {
        b->bits = b->bits << 6 | (uint32_t)value;
    }
    if (++b->count % 4) return;
    if (b->padding > 2 || 3 - b->padding > b->size - b->used) {
        b->bad = true;
        return;
    }
    for (unsigned i = 0; i < 3 - b->padding; i++) b->out[b->used++] = (uint8_t)(b->bits >> (16 - 8 * i));
}

bool hl_base64_end(const hl_base64 *b) { return !b->bad && b->count && b->count % 4 == 0; }
