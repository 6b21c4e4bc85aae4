/* Bytes as hexadecimal digits in lower case. */
#ifndef HL_HEX_H
#define HL_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exactly 2 × n digits make n bytes; false for anything else. */
bool hl_hex_read(const char *text, size_t digits, uint8_t *out, size_t n);

/* 2 × n digits and a zero. */
void hl_hex_write(const uint8_t *data, size_t n, char *out);

#endif
