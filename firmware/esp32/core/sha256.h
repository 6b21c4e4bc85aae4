/* SHA-256 (FIPS 180-4), for data that comes in pieces. */
#ifndef HL_SHA256_H
#define HL_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define HL_SHA256_BYTES 32

typedef struct {
    uint32_t state[8];
    uint64_t bytes;
    uint8_t block[64];
} hl_sha256;

void hl_sha256_begin(hl_sha256 *sha);
void hl_sha256_add(hl_sha256 *sha, const void *data, size_t n);
void hl_sha256_end(hl_sha256 *sha, uint8_t digest[HL_SHA256_BYTES]);

#endif
