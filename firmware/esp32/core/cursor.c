/* The cursor's two slots: written in turn, so that the last good one survives whatever happens to the other. */
#include <string.h>

#include "crc32.h"
#include "le.h"
#include "segment.h"

static const uint8_t MAGIC[4] = {'H', 'L', 'C', 'U'};

enum { CRC_AT = HL_BLOCK - 4, SPANS_AT = 64, MAX_SEGMENT_BLOCKS = 1 << 20 };

static bool is_cursor(const hl_spool *s, const uint8_t *b) {
    if (memcmp(b, MAGIC, 4) || hl_crc32(0, b, CRC_AT) != hl_get32(b + CRC_AT)) return false;
    uint32_t segment_blocks = hl_get32(b + 24), segments = hl_get32(b + 28);
    unsigned count = b[5];
    if (b[4] != 1 || count < 1 || count > HL_SPANS || segment_blocks < 8 || segment_blocks > MAX_SEGMENT_BLOCKS)
        return false;
    return segments >= 4 && (uint64_t)segments * segment_blocks + HL_DATA_AT <= s->config.blocks;
}

static void take(hl_spool *s, const uint8_t *b) {
    unsigned count = b[5];
    s->generation = hl_get64(b + 8);
    s->log_id = hl_get64(b + 16);
    s->config.segment_blocks = hl_get32(b + 24);
    s->segments = hl_get32(b + 28);
    s->head_serial = hl_get64(b + 32);
    s->reserved = hl_get64(b + 40);
    s->boot.counter = hl_get32(b + 48);
    s->previous_end = hl_get32(b + 52);
    s->span_count = count;
    for (unsigned i = 0; i < count; i++)
        s->spans[i] = (hl_span){hl_get64(b + SPANS_AT + 16 * i), hl_get64(b + SPANS_AT + 16 * i + 8)};
    s->spans[count - 1].to = HL_OPEN;
}

hl_code hl_cursor_load(hl_spool *s) {
    const hl_card *card = s->config.card;
    uint8_t b[HL_BLOCK];
    bool any = false;
    for (int i = 0; i < 2; i++) {
        if (card->read(card->self, s->config.base + (uint32_t)i * HL_SLOT_STEP, 1, b) < 0) return HL_CARD_ERROR;
        if (!is_cursor(s, b) || (any && hl_get64(b + 8) <= s->generation)) continue;
        take(s, b);
        any = true;
    }
    return any ? HL_OK : HL_END;
}

hl_code hl_cursor_store(hl_spool *s) {
    const hl_card *card = s->config.card;
    uint64_t generation = s->generation + 1;
    uint8_t b[HL_BLOCK] = {0};
    memcpy(b, MAGIC, 4);
    b[4] = 1;
    b[5] = (uint8_t)s->span_count;
    hl_put64(b + 8, generation);
    hl_put64(b + 16, s->log_id);
    hl_put32(b + 24, s->config.segment_blocks);
    hl_put32(b + 28, s->segments);
    hl_put64(b + 32, s->head_serial);
    hl_put64(b + 40, s->reserved);
    hl_put32(b + 48, s->boot.counter);
    hl_put32(b + 52, s->previous_end);
    for (unsigned i = 0; i < s->span_count; i++) {
        hl_put64(b + SPANS_AT + 16 * i, s->spans[i].from);
        hl_put64(b + SPANS_AT + 16 * i + 8, s->spans[i].to);
    }
    hl_put32(b + CRC_AT, hl_crc32(0, b, CRC_AT));
    uint32_t slot = s->config.base + (uint32_t)(generation & 1) * HL_SLOT_STEP;
    if (card->write(card->self, slot, 1, b) < 0 || card->sync(card->self) < 0) {
        s->faults++; /* the generation stays: the next try overwrites the same slot, never the good one */
        return HL_CARD_ERROR;
    }
    s->generation = generation;
    s->saved_tail = s->spans[0].from / s->config.segment_blocks;
    s->unsaved = 0;
    return HL_OK;
}
