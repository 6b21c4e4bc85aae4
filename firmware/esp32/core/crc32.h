/* CRC-32 (IEEE 802.3, the one of zlib), by a table of 16 entries: 64 bytes of flash, a few cycles a nibble. */
#ifndef HL_CRC32_H
#define HL_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Go on from `crc` (0 to begin) over `n` bytes. hl_crc32(hl_crc32(0, a), b) is the CRC of a then b. */
uint32_t hl_crc32(uint32_t crc, const void *data, size_t n);

#endif
