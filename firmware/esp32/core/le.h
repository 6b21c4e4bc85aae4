/* Little-endian (and CBOR's big-endian) numbers in bytes. No struct is ever laid over memory. */
#ifndef HL_LE_H
#define HL_LE_H

#include <stdint.h>

static inline uint16_t hl_get16(const uint8_t *p) { return (uint16_t)(p[0] | (unsigned)p[1] << 8); }

static inline uint32_t hl_get32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t hl_get64(const uint8_t *p) { return hl_get32(p) | (uint64_t)hl_get32(p + 4) << 32; }

static inline void hl_put16(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void hl_put32(uint8_t *p, uint32_t v) {
    hl_put16(p, (uint16_t)v);
    hl_put16(p + 2, (uint16_t)(v >> 16));
}

static inline void hl_put64(uint8_t *p, uint64_t v) {
    hl_put32(p, (uint32_t)v);
    hl_put32(p + 4, (uint32_t)(v >> 32));
}

static inline void hl_put32_be(uint8_t *p, uint32_t v) {
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static inline void hl_put64_be(uint8_t *p, uint64_t v) {
    hl_put32_be(p, (uint32_t)(v >> 32));
    hl_put32_be(p + 4, (uint32_t)v);
}

#endif
