#include "record.h"

#include <string.h>

#include "crc32.h"
#include "jpeg.h"
#include "le.h"
#include "notes.h"

static const uint8_t MAGIC[4] = {'H', 'L', 'R', '1'};

enum { VERSION = 1, CRC_AT = 44 };

uint32_t hl_record_bytes(const hl_header *header) {
    return HL_HEADER_BYTES + header->meta_bytes + header->body_bytes + HL_TRAILER_BYTES;
}

hl_code hl_record_fits(const hl_header *header) {
    if (header->meta_bytes > HL_MAX_META_BYTES || header->body_bytes > HL_MAX_RECORD_BYTES) return HL_TOO_BIG;
    return hl_record_bytes(header) > HL_MAX_RECORD_BYTES ? HL_TOO_BIG : HL_OK;
}

void hl_header_encode(const hl_header *header, uint8_t out[HL_HEADER_BYTES]) {
    memcpy(out, MAGIC, 4);
    out[4] = VERSION;
    out[5] = (uint8_t)header->kind;
    hl_put16(out + 6, 0);
    hl_put16(out + 8, (uint16_t)header->meta_bytes);
    hl_put16(out + 10, 0);
    hl_put32(out + 12, header->body_bytes);
    hl_put32(out + 16, header->boot_counter);
    memcpy(out + 20, header->boot_id, HL_BOOT_BYTES);
    hl_put64(out + 28, header->sequence);
    hl_put64(out + 36, header->mono_us);
    hl_put32(out + CRC_AT, hl_crc32(0, out, CRC_AT));
}

hl_code hl_header_decode(const uint8_t *data, size_t n, size_t whole_bytes, hl_header *header) {
    if (n < HL_HEADER_BYTES) return HL_BAD_LENGTH;
    if (memcmp(data, MAGIC, 4)) return HL_BAD_MAGIC;
    if (hl_crc32(0, data, CRC_AT) != hl_get32(data + CRC_AT)) return HL_BAD_HEADER_CRC;
    header->kind = (hl_kind)data[5];
    header->meta_bytes = hl_get16(data + 8);
    header->body_bytes = hl_get32(data + 12);
    header->boot_counter = hl_get32(data + 16);
    memcpy(header->boot_id, data + 20, HL_BOOT_BYTES);
    header->sequence = hl_get64(data + 28);
    header->mono_us = hl_get64(data + 36);
    if (header->sequence > HL_MAX_SEQUENCE) return HL_BAD_SEQUENCE;
    if (header->mono_us > HL_MAX_MONO_US) return HL_BAD_TIME;
    if (whole_bytes > HL_MAX_RECORD_BYTES) return HL_TOO_BIG;
    if (data[4] != VERSION) return HL_BAD_VERSION;
    if (data[5] < HL_JPEG || data[5] > HL_GAP) return HL_BAD_KIND;
    if (hl_get16(data + 6) || hl_get16(data + 10)) return HL_BAD_FLAGS;
    if (header->meta_bytes > HL_MAX_META_BYTES || header->body_bytes > HL_MAX_RECORD_BYTES) return HL_TOO_BIG;
    if (!whole_bytes) return hl_record_fits(header);
    return whole_bytes == hl_record_bytes(header) ? HL_OK : HL_BAD_LENGTH;
}

hl_code hl_record_decode(const uint8_t *data, size_t n, hl_header *header) {
    uint8_t digest[HL_SHA256_BYTES];
    hl_sha256 sha;
    hl_code code = n ? hl_header_decode(data, n, n, header) : HL_BAD_LENGTH;
    if (code != HL_OK) return code;
    const uint8_t *body = data + HL_HEADER_BYTES + header->meta_bytes;
    if (hl_crc32(0, data, n - 4) != hl_get32(data + n - 4)) return HL_BAD_CRC;
    hl_sha256_begin(&sha);
    hl_sha256_add(&sha, body, header->body_bytes);
    hl_sha256_end(&sha, digest);
    if (memcmp(digest, body + header->body_bytes, sizeof digest)) return HL_BAD_HASH;
    if (header->meta_bytes && !hl_flat_map_check(data + HL_HEADER_BYTES, header->meta_bytes)) return HL_BAD_META;
    return HL_OK;
}

hl_code hl_body_check(const hl_header *header, const uint8_t *body) {
    switch (header->kind) {
    case HL_JPEG:
        return hl_jpeg_check(body, header->body_bytes);
    case HL_AUDIO:
        return header->body_bytes && header->body_bytes % 2 == 0 ? HL_OK : HL_BAD_PCM;
    case HL_TELEMETRY:
        return hl_flat_map_check(body, header->body_bytes) ? HL_OK : HL_BAD_TELEMETRY;
    case HL_ANCHOR: {
        hl_anchor anchor;
        return hl_anchor_decode(body, header->body_bytes, &anchor) ? HL_OK : HL_BAD_ANCHOR;
    }
    case HL_GAP: {
        hl_gap gap;
        return hl_gap_decode(body, header->body_bytes, &gap) ? HL_OK : HL_BAD_GAP;
    }
    }
    return HL_BAD_KIND;
}

void hl_record_begin(hl_record_stream *s) {
    s->crc = 0;
    hl_sha256_begin(&s->sha);
}

void hl_record_mark(hl_record_stream *s, const void *data, size_t n) { s->crc = hl_crc32(s->crc, data, n); }

void hl_record_body(hl_record_stream *s, const void *data, size_t n) {
    hl_record_mark(s, data, n);
    hl_sha256_add(&s->sha, data, n);
}

void hl_record_end(hl_record_stream *s, uint8_t trailer[HL_TRAILER_BYTES]) {
    hl_sha256_end(&s->sha, trailer);
    hl_record_mark(s, trailer, HL_SHA256_BYTES);
    hl_put32(trailer + HL_SHA256_BYTES, s->crc);
}
