/* Finding the log again after a power cut, and walking along it. */
#include <string.h>

#include "crc32.h"
#include "le.h"
#include "segment.h"

/* The next block from `block` on that could begin a frame; `end` if none does. */
static hl_code look_on(hl_spool *s, uint64_t serial, uint32_t *block, uint32_t end) {
    while (*block < end) {
        uint32_t count = end - *block < HL_IO_BYTES / HL_BLOCK ? end - *block : HL_IO_BYTES / HL_BLOCK;
        hl_code code = hl_segment_read(s, serial, *block, s->config.io, count);
        if (code != HL_OK) return code;
        for (uint32_t i = 0; i < count; i++, ++*block)
            if (!memcmp(s->config.io + (size_t)i * HL_BLOCK, "HLR1", 4)) return HL_OK;
    }
    return HL_OK;
}

/* The first frame of a segment from `block` on; HL_END if there is none before `end`. */
static hl_code find_frame(hl_spool *s, uint64_t serial, uint32_t block, uint32_t end, hl_found *found) {
    hl_code code = block < end ? hl_frame_at(s, serial, block, end, found) : HL_END;
    while (code == HL_END && block < end) {
        block++;
        code = look_on(s, serial, &block, end);
        if (code == HL_OK) code = block < end ? hl_frame_at(s, serial, block, end, found) : HL_END;
    }
    return code;
}

hl_code hl_spool_verify(hl_spool *s, const hl_found *found) {
    uint32_t crc = 0, at = 0, size = found->bytes - 4;
    while (at < size) {
        uint32_t n = size - at < HL_IO_BYTES ? size - at : HL_IO_BYTES;
        hl_code code = hl_spool_read(s, found, at, s->config.io, n);
        if (code != HL_OK) return code;
        crc = hl_crc32(crc, s->config.io, n);
        at += n;
    }
    uint8_t mark[4];
    hl_code code = hl_spool_read(s, found, size, mark, 4);
    if (code != HL_OK) return code;
    /* The card's mark must be this record's: a torn block can join an older record to a newer mark. */
    return hl_get32(mark) == crc && found->crc == crc ? HL_OK : HL_BAD_CRC;
}

static hl_code segment_end(hl_spool *s, uint64_t serial, uint32_t *end) {
    *end = s->head_block;
    if (serial == s->head_serial) return HL_OK;
    *end = s->previous_end;
    if (serial + 1 == s->head_serial) return HL_OK;
    if (s->end_of_serial != serial + 1) { /* 0: none is remembered */
        uint64_t next = 0;
        uint32_t previous_end = 0;
        hl_code code = hl_segment_header(s, serial + 1, &next, &previous_end);
        if (code == HL_CARD_ERROR) return code;
        s->end_block = code == HL_OK && next == serial + 1 ? previous_end : s->config.segment_blocks;
        s->end_of_serial = serial + 1;
    }
    *end = s->end_block;
    return HL_OK;
}

hl_code hl_spool_next(hl_spool *s, uint64_t address, hl_found *found) {
    uint32_t size = s->config.segment_blocks;
    if (address < s->spans[0].from / size * size) address = s->spans[0].from / size * size;
    uint64_t serial = address / size;
    uint32_t block = (uint32_t)(address % size), end;
    for (; serial <= s->head_serial; serial++, block = 0) {
        hl_code code = segment_end(s, serial, &end);
        if (code == HL_OK) code = find_frame(s, serial, block ? block : 1, end, found);
        if (code != HL_END) return code;
    }
    return HL_END;
}

/* No slot is whole: whatever segments there are say which log this was. All of it is taken as waiting. */
static hl_code find_without_cursor(hl_spool *s) {
    uint64_t most = 0, least = UINT64_MAX, serial;
    uint32_t previous_end;
    bool any = false;
    for (uint32_t i = 0; i < s->segments; i++) {
        uint8_t b[HL_BLOCK];
        hl_code code = hl_segment_read(s, i, 0, b, 1);
        if (code != HL_OK) return code;
        if (!any) s->log_id = hl_get64(b + 4);
        code = hl_segment_header(s, i, &serial, &previous_end);
        if (code == HL_CARD_ERROR) return code;
        if (code != HL_OK) continue;
        any = true;
        if (serial < least) least = serial;
        if (serial >= most) {
            most = serial;
            s->previous_end = previous_end;
        }
    }
    if (!any) return HL_END;
    s->head_serial = most;
    s->span_count = 1;
    s->spans[0] = (hl_span){least * s->config.segment_blocks, HL_OPEN};
    return HL_OK;
}

/* The last segment that was begun, and the end of what was committed in it. */
static hl_code find_head(hl_spool *s, uint64_t *highest) {
    uint64_t serial = 0;
    uint32_t previous_end = 0, size = s->config.segment_blocks, block = 1, good_end = 0;
    hl_found found, last = {.bytes = 0};
    hl_code code = hl_segment_header(s, s->head_serial, &serial, &previous_end);
    if (code == HL_CARD_ERROR) return code;
    if (code == HL_OK && serial >= s->head_serial) {
        s->head_serial = serial;
        s->previous_end = previous_end;
        good_end = 1;
    } else {
        s->previous_end = size; /* not begun: more may lie in the one before than the cursor knew */
    }
    while ((code = hl_segment_header(s, s->head_serial + 1, &serial, &previous_end)) == HL_OK &&
           serial == s->head_serial + 1) {
        s->head_serial++;
        s->previous_end = previous_end;
        good_end = 1;
    }
    if (code == HL_CARD_ERROR) return code;
    while ((code = find_frame(s, s->head_serial, block, size, &found)) == HL_OK) {
        if (last.bytes) good_end = block;
        block = (uint32_t)(found.next % size ? found.next % size : size);
        last = found;
        s->recovered++;
        if (found.header.sequence >= *highest) *highest = found.header.sequence + 1;
    }
    if (code == HL_CARD_ERROR) return code;
    if (last.bytes) { /* each was synced before the next was begun: only the last can be torn */
        s->head_block = size;
        code = hl_spool_verify(s, &last);
        if (code == HL_OK) good_end = block;
        if (code != HL_OK && code != HL_BAD_CRC) return code;
        s->torn = code == HL_BAD_CRC;
        s->recovered -= s->torn;
    }
    s->head_block = good_end;
    return HL_OK;
}

/* Sequences of the segment before the head: they count when the cursor, which had reserved them, is lost. */
static hl_code look_back(hl_spool *s, uint64_t *highest) {
    hl_found found;
    hl_code code = HL_OK;
    if (!s->head_serial) return HL_OK;
    for (uint64_t at = (s->head_serial - 1) * s->config.segment_blocks; (code = hl_spool_next(s, at, &found)) == HL_OK;
         at = found.next)
        if (found.header.sequence >= *highest) *highest = found.header.sequence + 1;
    return code == HL_END ? HL_OK : code;
}

static void begin_log(hl_spool *s) {
    uint8_t id[8];
    s->config.random->fill(s->config.random->self, id, sizeof id);
    s->log_id = hl_get64(id);
    s->head_serial = 0;
    s->span_count = 1;
    s->spans[0] = (hl_span){0, HL_OPEN};
}

/* What the cursor says may be older than the ring: the least address that is still there, and never beyond the head. */
static void mend_spans(hl_spool *s) {
    uint64_t size = s->config.segment_blocks, head = hl_spool_head(s);
    uint64_t least = s->head_serial >= s->segments ? (s->head_serial - s->segments + 1) * size : 0;
    unsigned kept = 0;
    for (unsigned i = 0; i < s->span_count; i++) {
        hl_span span = s->spans[i];
        if (span.from < least) span.from = least;
        if (span.to != HL_OPEN && span.to > head) span.to = head;
        if (span.to == HL_OPEN && span.from > head) span.from = head;
        if (span.from < span.to) s->spans[kept++] = span;
    }
    s->span_count = kept;
}

hl_code hl_spool_open(hl_spool *s, const hl_spool_config *config, const hl_boot *boot) {
    uint64_t highest = 0;
    bool lost = false;
    memset(s, 0, sizeof *s);
    s->config = *config;
    if (config->segment_blocks < 8 || config->blocks < HL_DATA_AT + 4 * config->segment_blocks) return HL_BAD_LENGTH;
    s->segments = (config->blocks - HL_DATA_AT) / config->segment_blocks;
    if (config->failed) *config->failed = (hl_gap){.why = "card-error"};
    hl_code code = hl_cursor_load(s);
    if (code == HL_END) {
        memset(s->spans, 0, sizeof s->spans);
        s->generation = 0;
        code = find_without_cursor(s);
        lost = code == HL_OK;
    }
    if (code == HL_CARD_ERROR) return code;
    if (code == HL_END) begin_log(s);
    if (code == HL_OK) code = find_head(s, &highest);
    if (code == HL_OK && lost) code = look_back(s, &highest);
    if (code == HL_CARD_ERROR) return code;
    mend_spans(s);
    if (s->reserved > highest) highest = s->reserved;
    s->next_sequence = s->reserved = highest > config->least_sequence ? highest : config->least_sequence;
    uint32_t counter = s->boot.counter + 1;
    s->boot = *boot;
    if (s->boot.counter < counter) s->boot.counter = counter;
    (void)hl_spool_split(s);
    return hl_cursor_store(s);
}
