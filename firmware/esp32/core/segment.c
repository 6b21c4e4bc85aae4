#include "segment.h"

#include <string.h>

#include "crc32.h"
#include "le.h"

static const uint8_t MAGIC[4] = {'H', 'L', 'S', 'G'};

enum { HEADER_CRC_AT = 28 };

uint32_t hl_frame_blocks(uint32_t record_bytes) { return (record_bytes + HL_MARK_BYTES + HL_BLOCK - 1) / HL_BLOCK; }

uint32_t hl_segment_block(const hl_spool *s, uint64_t serial, uint32_t block) {
    uint32_t place = (uint32_t)(serial % s->segments);
    return s->config.base + HL_DATA_AT + place * s->config.segment_blocks + block;
}

static hl_code done(hl_spool *s, int result) {
    if (result >= 0) return HL_OK;
    s->faults++;
    return HL_CARD_ERROR;
}

hl_code hl_segment_read(hl_spool *s, uint64_t serial, uint32_t block, void *out, uint32_t count) {
    const hl_card *card = s->config.card;
    return done(s, card->read(card->self, hl_segment_block(s, serial, block), count, out));
}

hl_code hl_segment_write(hl_spool *s, uint64_t serial, uint32_t block, const void *data, uint32_t count) {
    const hl_card *card = s->config.card;
    return done(s, card->write(card->self, hl_segment_block(s, serial, block), count, data));
}

hl_code hl_segment_sync(hl_spool *s) { return done(s, s->config.card->sync(s->config.card->self)); }

hl_code hl_segment_header(hl_spool *s, uint64_t serial, uint64_t *found_serial, uint32_t *previous_end) {
    uint8_t b[HL_BLOCK];
    hl_code code = hl_segment_read(s, serial, 0, b, 1);
    if (code != HL_OK) return code;
    if (memcmp(b, MAGIC, 4) || hl_crc32(0, b, HEADER_CRC_AT) != hl_get32(b + HEADER_CRC_AT)) return HL_END;
    if (hl_get64(b + 4) != s->log_id || hl_get64(b + 12) % s->segments != serial % s->segments) return HL_END;
    *found_serial = hl_get64(b + 12);
    *previous_end = hl_get32(b + 20);
    if (*previous_end > s->config.segment_blocks) *previous_end = s->config.segment_blocks;
    return HL_OK;
}

hl_code hl_segment_begin(hl_spool *s) {
    uint8_t b[HL_BLOCK] = {0};
    memcpy(b, MAGIC, 4);
    hl_put64(b + 4, s->log_id);
    hl_put64(b + 12, s->head_serial);
    hl_put32(b + 20, s->previous_end);
    hl_put32(b + HEADER_CRC_AT, hl_crc32(0, b, HEADER_CRC_AT));
    return hl_segment_write(s, s->head_serial, 0, b, 1);
}

void hl_mark_encode(const hl_spool *s, uint32_t record_crc, uint32_t record_bytes, const char *note,
                    uint8_t out[HL_MARK_BYTES]) {
    memset(out, 0, HL_MARK_BYTES);
    hl_put64(out, s->log_id);
    hl_put64(out + 8, s->head_serial);
    hl_put32(out + 16, record_crc);
    hl_put32(out + 20, record_bytes);
    for (size_t i = 0; i < HL_NOTE && note[i]; i++) out[24 + i] = (uint8_t)note[i];
    hl_put32(out + 36, hl_crc32(0, out, 36));
}

hl_code hl_frame_at(hl_spool *s, uint64_t serial, uint32_t block, uint32_t end, hl_found *found) {
    uint8_t b[HL_BLOCK];
    const uint8_t *mark = b + HL_BLOCK - HL_MARK_BYTES;
    hl_code code = hl_segment_read(s, serial, block, b, 1);
    if (code != HL_OK) return code;
    if (hl_header_decode(b, sizeof b, 0, &found->header) != HL_OK) return HL_END;
    found->bytes = hl_record_bytes(&found->header);
    uint32_t blocks = hl_frame_blocks(found->bytes);
    if (blocks > end - block) return HL_END;
    if (blocks > 1 && (code = hl_segment_read(s, serial, block + blocks - 1, b, 1)) != HL_OK) return code;
    if (hl_crc32(0, mark, 36) != hl_get32(mark + 36)) return HL_END;
    if (hl_get64(mark) != s->log_id || hl_get64(mark + 8) != serial || hl_get32(mark + 20) != found->bytes)
        return HL_END;
    found->address = serial * s->config.segment_blocks + block;
    found->next = found->address + blocks;
    found->crc = hl_get32(mark + 16);
    memcpy(found->note, mark + 24, HL_NOTE);
    found->note[HL_NOTE] = 0;
    return HL_OK;
}
