/* Base64 (RFC 4648, the plain alphabet) that comes in pieces: a signature in JSON, a certificate in PEM. */
#ifndef HL_BASE64_H
#define HL_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t *out;
    size_t size, used;
    uint32_t bits;
    unsigned count, padding;
    bool bad;
} hl_base64;

/* Take one character; line ends are passed over. Once something is wrong or does not fit, `bad` stays set. */
void hl_base64_add(hl_base64 *b, char c);

/* Whether all that came makes whole bytes. */
bool hl_base64_end(const hl_base64 *b);

#endif
