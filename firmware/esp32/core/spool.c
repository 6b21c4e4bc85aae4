#include "spool.h"

#include <string.h>

#include "crc32.h"
#include "le.h"
#include "segment.h"

enum { STUCK = 3, SAVE_EVERY = 64, STAGED = HL_IO_BYTES / HL_BLOCK };

/* Blocks on their way to the card, gathered in the spool's buffer. */
typedef struct {
    hl_spool *s;
    uint32_t block; /* where the buffer's first block goes */
    size_t used;
    hl_code code;
} staging;

static void flush(staging *out) {
    uint32_t count = (uint32_t)(out->used / HL_BLOCK);
    if (count && out->code == HL_OK)
        out->code = hl_segment_write(out->s, out->s->head_serial, out->block, out->s->config.io, count);
    out->block += count;
    out->used = 0;
}

static void stage(staging *out, const uint8_t *data, size_t n) {
    while (n) {
        size_t room = HL_IO_BYTES - out->used, take = n < room ? n : room;
        memcpy(out->s->config.io + out->used, data, take);
        out->used += take;
        data += take;
        n -= take;
        if (out->used == HL_IO_BYTES) flush(out);
    }
}

/* Zeros up to the card's mark, which ends the last block. */
static void stage_mark(staging *out, uint32_t crc, uint32_t bytes, const char *note) {
    static const uint8_t ZEROS[64] = {0};
    uint8_t mark[HL_MARK_BYTES];
    size_t pad = (size_t)hl_frame_blocks(bytes) * HL_BLOCK - HL_MARK_BYTES - bytes;
    for (; pad; pad -= pad < sizeof ZEROS ? pad : sizeof ZEROS)
        stage(out, ZEROS, pad < sizeof ZEROS ? pad : sizeof ZEROS);
    hl_mark_encode(out->s, crc, bytes, note, mark);
    stage(out, mark, sizeof mark);
    flush(out);
}

/* Begin the head segment if it is not, and say where the next frame goes. */
static hl_code place(hl_spool *s, uint32_t *block) {
    *block = s->head_block ? s->head_block : 1;
    return s->head_block ? HL_OK : hl_segment_begin(s);
}

static hl_code commit(hl_spool *s, const hl_header *header, const uint8_t *meta, const uint8_t *body) {
    uint8_t head[HL_HEADER_BYTES], trailer[HL_TRAILER_BYTES];
    hl_record_stream stream;
    staging out = {s, 0, 0, HL_OK};
    out.code = place(s, &out.block);
    uint32_t end = out.block + hl_frame_blocks(hl_record_bytes(header));
    hl_header_encode(header, head);
    hl_record_begin(&stream);
    hl_record_mark(&stream, head, sizeof head);
    hl_record_mark(&stream, meta, header->meta_bytes);
    hl_record_body(&stream, body, header->body_bytes);
    hl_record_end(&stream, trailer);
    stage(&out, head, sizeof head);
    stage(&out, meta, header->meta_bytes);
    stage(&out, body, header->body_bytes);
    stage(&out, trailer, sizeof trailer);
    stage_mark(&out, hl_get32(trailer + HL_SHA256_BYTES), hl_record_bytes(header), "");
    if (out.code == HL_OK) out.code = hl_segment_sync(s);
    if (out.code == HL_OK) s->head_block = end;
    return out.code;
}

/* A number that was never used: a block of them is reserved on the card before its first is. */
static hl_code take_sequence(hl_spool *s, uint64_t *sequence) {
    if (s->next_sequence >= s->reserved) {
        uint64_t before = s->reserved;
        if (s->next_sequence > HL_MAX_SEQUENCE - HL_RESERVE) return HL_BAD_SEQUENCE;
        s->reserved = s->next_sequence + HL_RESERVE;
        hl_code code = hl_cursor_store(s);
        if (code != HL_OK) {
            s->reserved = before;
            return code;
        }
    }
    *sequence = s->next_sequence++;
    return HL_OK;
}

static hl_code commit_gap(hl_spool *s, hl_gap *gap) {
    uint8_t body[HL_GAP_BYTES];
    hl_header header = {
        .kind = HL_GAP, .boot_counter = s->boot.counter, .mono_us = s->config.clock->mono_us(s->config.clock->self)};
    memcpy(header.boot_id, s->boot.id, HL_BOOT_BYTES);
    header.body_bytes = (uint32_t)hl_gap_encode(gap, body, sizeof body);
    hl_code code = take_sequence(s, &header.sequence);
    return code == HL_OK ? commit(s, &header, NULL, body) : code;
}

static void clamp(hl_spool *s, uint64_t tail_serial) {
    uint64_t least = tail_serial * s->config.segment_blocks;
    unsigned kept = 0;
    for (unsigned i = 0; i < s->span_count; i++) {
        hl_span span = s->spans[i];
        if (span.from < least) span.from = least;
        if (span.from < span.to) s->spans[kept++] = span;
    }
    s->span_count = kept;
}

/* What an older gap says, which would be lost with it. */
static hl_code carry_over(hl_spool *s, const hl_found *found, hl_gap *gap, bool own_boot) {
    hl_gap older;
    hl_code code =
        hl_spool_read(s, found, HL_HEADER_BYTES + found->header.meta_bytes, s->config.io, found->header.body_bytes);
    if (code != HL_OK) return code;
    if (!hl_gap_decode(s->config.io, found->header.body_bytes, &older)) return HL_OK;
    for (unsigned k = 0; k < older.count; k++) hl_gap_add(gap, older.ranges[k]);
    if (older.timed && own_boot) hl_gap_stretch(gap, older.from_us, older.to_us);
    if (!older.timed) gap->timed = false;
    return HL_OK;
}

/* Add what waits in one segment to a gap, and what older gaps in it say. Its times stand if all is of this boot. */
static hl_code name_segment(hl_spool *s, uint64_t serial, hl_gap *gap) {
    uint64_t begin = serial * s->config.segment_blocks, end = begin + s->config.segment_blocks;
    for (unsigned i = 0; i < s->span_count; i++) {
        uint64_t at = s->spans[i].from > begin ? s->spans[i].from : begin;
        uint64_t to = s->spans[i].to < end ? s->spans[i].to : end;
        uint64_t unread = 0; /* blocks that do not read, since the last record that did */
        hl_found found;
        while (at < to || unread) {
            hl_code code = at < hl_spool_head(s) ? hl_spool_next(s, at, &found) : HL_END;
            if (code == HL_CARD_ERROR && s->stuck >= STUCK) {
                at++;
                unread++;
                continue;
            }
            if (code != HL_CARD_ERROR && unread) { /* in so many blocks there were so many records at the most */
                uint64_t last = code == HL_OK ? found.header.sequence : s->next_sequence;
                hl_gap_add(gap, (hl_range){last > unread ? last - unread : 0, last ? last - 1 : 0});
                gap->timed = false;
                unread = 0;
            }
            if (code == HL_END || (code == HL_OK && found.address >= to)) break;
            if (code != HL_OK) return code;
            hl_gap_add(gap, (hl_range){found.header.sequence, found.header.sequence});
            at = found.next;
            bool own_boot = !memcmp(found.header.boot_id, s->boot.id, HL_BOOT_BYTES);
            if (!own_boot) gap->timed = false;
            bool older_gap = found.header.kind == HL_GAP && found.header.body_bytes <= HL_IO_BYTES;
            if (!older_gap) hl_gap_stretch(gap, found.header.mono_us, found.header.mono_us);
            if (older_gap && (code = carry_over(s, &found, gap, own_boot)) != HL_OK && s->stuck < STUCK) return code;
        }
    }
    return HL_OK;
}

/* Make the oldest segment free: by a gap record first, committed where room was kept for it. */
static hl_code drop_oldest(hl_spool *s) {
    uint64_t tail = s->spans[0].from / s->config.segment_blocks;
    hl_gap gap;
    memset(&gap, 0, sizeof gap);
    gap.timed = true;
    strncpy(gap.why, s->config.why ? s->config.why : "card-full", sizeof gap.why - 1);
    hl_code code = name_segment(s, tail, &gap);
    s->stuck = code == HL_CARD_ERROR ? s->stuck + 1 : 0;
    if (code == HL_OK && gap.count) {
        if (s->config.gaps_to) {
            uint8_t body[HL_GAP_BYTES];
            hl_header header = {.kind = HL_GAP, .mono_us = s->config.clock->mono_us(s->config.clock->self)};
            header.body_bytes = (uint32_t)hl_gap_encode(&gap, body, sizeof body);
            code = hl_spool_append(s->config.gaps_to, &header, NULL, body);
        } else {
            code = commit_gap(s, &gap);
        }
        if (code == HL_OK) s->drops++;
    }
    if (code == HL_OK) clamp(s, tail + 1);
    return code;
}

/* Go on to the next segment of the ring. The cursor says so before anything in it is overwritten. */
static hl_code next_segment(hl_spool *s) {
    hl_code code = HL_OK;
    while (code == HL_OK && s->head_serial + 1 - s->spans[0].from / s->config.segment_blocks >= s->segments)
        code = drop_oldest(s);
    if (code != HL_OK) return code;
    uint32_t end = s->head_block, previous_end = s->previous_end;
    s->previous_end = end;
    s->head_serial++;
    s->head_block = 0;
    code = hl_cursor_store(s);
    if (code == HL_OK) return HL_OK;
    s->head_serial--;
    s->head_block = end;
    s->previous_end = previous_end;
    return code;
}

static hl_code make_room(hl_spool *s, uint32_t record_bytes) {
    uint32_t need = hl_frame_blocks(record_bytes), size = s->config.segment_blocks;
    if (need > size - 1 - HL_GAP_BLOCKS) return HL_TOO_BIG;
    uint32_t at = s->head_block ? s->head_block : 1;
    return at + need > size - HL_GAP_BLOCKS ? next_segment(s) : HL_OK;
}

hl_code hl_spool_append(hl_spool *s, hl_header *header, const uint8_t *meta, const uint8_t *body) {
    hl_code code = hl_record_fits(header);
    if (code == HL_OK) code = make_room(s, hl_record_bytes(header));
    if (code == HL_OK) code = take_sequence(s, &header->sequence);
    if (code != HL_OK) return code;
    header->boot_counter = s->boot.counter;
    memcpy(header->boot_id, s->boot.id, HL_BOOT_BYTES);
    hl_gap *failed = s->config.failed;
    code = commit(s, header, meta, body);
    if (code != HL_OK) {
        hl_gap_add(failed, (hl_range){header->sequence, header->sequence});
        hl_gap_stretch(failed, header->mono_us, header->mono_us);
        failed->timed = true;
        return code;
    }
    if (failed->count && make_room(s, HL_GAP_BYTES + HL_HEADER_BYTES + HL_TRAILER_BYTES) == HL_OK &&
        commit_gap(s, failed) == HL_OK)
        memset(failed, 0, offsetof(hl_gap, why)); /* its word stays */
    return HL_OK;
}

hl_code hl_spool_copy(hl_spool *s, hl_spool *from, const hl_found *found, const char *note) {
    uint8_t b[HL_BLOCK];
    uint32_t at = 0;
    staging out = {s, 0, 0, HL_OK};
    hl_code code = make_room(s, found->bytes);
    if (code != HL_OK) return code;
    out.code = place(s, &out.block);
    uint32_t crc = 0, end = out.block + hl_frame_blocks(found->bytes);
    while (at < found->bytes) {
        uint32_t n = found->bytes - at < HL_BLOCK ? found->bytes - at : HL_BLOCK;
        if ((code = hl_spool_read(from, found, at, b, n)) != HL_OK) return code;
        stage(&out, b, n);
        at += n;
        if (at == found->bytes) { /* its own CRC: the last four bytes, which may lie in two blocks */
            if ((code = hl_spool_read(from, found, at - 4, b, 4)) != HL_OK) return code;
            crc = hl_get32(b);
        }
    }
    stage_mark(&out, crc, found->bytes, note);
    if (out.code == HL_OK) out.code = hl_segment_sync(s);
    if (out.code == HL_OK) s->head_block = end;
    return out.code;
}

hl_code hl_spool_read(hl_spool *s, const hl_found *found, uint32_t offset, void *out, uint32_t n) {
    uint64_t serial = found->address / s->config.segment_blocks;
    uint32_t block = (uint32_t)(found->address % s->config.segment_blocks) + offset / HL_BLOCK;
    uint8_t b[HL_BLOCK], *to = out;
    if (serial + s->segments <= s->head_serial) return HL_END;
    for (uint32_t at = offset % HL_BLOCK; n; at = 0, block++) {
        uint32_t take = n < HL_BLOCK - at ? n : HL_BLOCK - at;
        uint32_t whole = at ? 0 : n / HL_BLOCK;
        hl_code code = whole ? hl_segment_read(s, serial, block, to, whole) : hl_segment_read(s, serial, block, b, 1);
        if (code != HL_OK) return code;
        if (whole) {
            take = whole * HL_BLOCK;
            block += whole - 1;
        } else {
            memcpy(to, b + at, take);
        }
        to += take;
        n -= take;
    }
    return HL_OK;
}

void hl_spool_free(hl_spool *s, uint64_t from, uint64_t to) {
    unsigned kept = 0;
    for (unsigned i = 0; i < s->span_count; i++) {
        hl_span span = s->spans[i];
        if (span.from >= from && span.from < to) {
            span.from = to < span.to ? to : span.to;
            s->unsaved++;
        }
        if (span.from < span.to) s->spans[kept++] = span;
    }
    s->span_count = kept;
    if (s->unsaved >= SAVE_EVERY || (s->unsaved && s->saved_tail != s->spans[0].from / s->config.segment_blocks))
        (void)hl_cursor_store(s); /* an old cursor costs a second sending, no more */
}

/* The two spans with the least between them become one: what lies between is sent again. */
static void join_nearest(hl_spool *s) {
    unsigned best = 0;
    for (unsigned i = 1; i + 1 < s->span_count; i++)
        if (s->spans[i + 1].from - s->spans[i].to < s->spans[best + 1].from - s->spans[best].to) best = i;
    s->spans[best].to = s->spans[best + 1].to;
    memmove(s->spans + best + 1, s->spans + best + 2, (s->span_count - best - 2) * sizeof s->spans[0]);
    s->span_count--;
}

uint64_t hl_spool_split(hl_spool *s) {
    uint64_t head = hl_spool_head(s);
    hl_span *last = &s->spans[s->span_count - 1];
    if (last->from >= head) {
        last->from = head;
        return head;
    }
    last->to = head;
    if (s->span_count > 1 && last[-1].to == last->from) {
        last[-1].to = head;
        s->span_count--;
    }
    if (s->span_count == HL_SPANS) join_nearest(s);
    s->spans[s->span_count++] = (hl_span){head, HL_OPEN};
    return head;
}

hl_code hl_spool_save(hl_spool *s) { return hl_cursor_store(s); }

uint64_t hl_spool_head(const hl_spool *s) { return s->head_serial * s->config.segment_blocks + s->head_block; }

unsigned hl_spool_fill(const hl_spool *s) {
    uint64_t waits = hl_spool_head(s) - s->spans[0].from;
    return (unsigned)(waits * 1000 / ((uint64_t)s->segments * s->config.segment_blocks));
}
