#include "hex.h"

#include <string.h>

static const char DIGITS[] = "0123456789abcdef";

bool hl_hex_read(const char *text, size_t digits, uint8_t *out, size_t n) {
    if (digits != 2 * n) return false;
    for (size_t i = 0; i < digits; i++) {
        const char *found = memchr(DIGITS, text[i], 16);
        if (!found) return false;
        out[i / 2] = (uint8_t)(out[i / 2] << 4 | (found - DIGITS));
    }
    return true;
}

void hl_hex_write(const uint8_t *data, size_t n, char *out) {
    for (size_t i = 0; i < n; i++) {
        *out++ = DIGITS[data[i] >> 4];
        *out++ = DIGITS[data[i] & 15];
    }
    *out = 0;
}
