/* The record: the same bytes on the card and on the wire (docs/wire.md, version 1). Little-endian: a header of 48
 * bytes with its own CRC-32, a CBOR map `meta`, the body, SHA-256 of the body, CRC-32 of everything before: the commit
 * mark. Checks come in one fixed order, so that every reader gives the same code for the same bytes. */
#ifndef HL_RECORD_H
#define HL_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "code.h"
#include "sha256.h"

#define HL_HEADER_BYTES 48
#define HL_TRAILER_BYTES 36
#define HL_MAX_RECORD_BYTES (1u << 20)
#define HL_MAX_META_BYTES 2048
#define HL_MAX_SEQUENCE ((1ull << 53) - 1)
#define HL_MAX_MONO_US ((1ull << 63) - 1)
#define HL_LATEST_UTC_US 32503680000000000ull
#define HL_BOOT_BYTES 8

typedef enum { HL_JPEG = 1, HL_AUDIO = 2, HL_TELEMETRY = 3, HL_ANCHOR = 4, HL_GAP = 5 } hl_kind;

typedef struct {
    hl_kind kind;
    uint32_t boot_counter;
    uint8_t boot_id[HL_BOOT_BYTES];
    uint64_t sequence;
    uint64_t mono_us;
    uint32_t meta_bytes;
    uint32_t body_bytes;
} hl_header;

/* Bytes of the whole record. */
uint32_t hl_record_bytes(const hl_header *header);

/* The 48 bytes of a header. Sizes are the caller's to keep (hl_record_fits). */
void hl_header_encode(const hl_header *header, uint8_t out[HL_HEADER_BYTES]);

/* HL_OK, or HL_TOO_BIG for what the wire does not carry. */
hl_code hl_record_fits(const hl_header *header);

/* Check a header alone, with the size of the whole record where it is known (else pass 0: the lengths are then
 * checked against the limit only). `header` is filled as soon as the header could be trusted. */
hl_code hl_header_decode(const uint8_t *data, size_t n, size_t whole_bytes, hl_header *header);

/* Check a whole record in memory down to its meta; the body is the business of hl_body_check. */
hl_code hl_record_decode(const uint8_t *data, size_t n, hl_header *header);

/* Check the body by its kind (notes.h, jpeg.h). */
hl_code hl_body_check(const hl_header *header, const uint8_t *body);

/* A record's bytes as they stream by: feed header and meta with `mark`, the body with `body`, then take the trailer. */
typedef struct {
    uint32_t crc;
    hl_sha256 sha;
} hl_record_stream;

void hl_record_begin(hl_record_stream *s);
void hl_record_mark(hl_record_stream *s, const void *data, size_t n);
void hl_record_body(hl_record_stream *s, const void *data, size_t n);
void hl_record_end(hl_record_stream *s, uint8_t trailer[HL_TRAILER_BYTES]);

#endif
