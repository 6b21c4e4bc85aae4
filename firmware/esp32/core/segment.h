/* The card's side of the spool: where things lie, and what marks them. Used by spool.c and recover.c alone.
 *
 * region:  block 0 and 8: the cursor's slots; from block 16: the segments
 * segment: block 0: header (HLSG, log, serial, where the segment before ends); then frames
 * frame:   record, zeros, and in the last 40 bytes of its last block the mark:
 *          log id 8, serial 8, the record's CRC 4, its bytes 4, note 12, CRC-32 of these 4 */
#ifndef HL_SEGMENT_H
#define HL_SEGMENT_H

#include "spool.h"

enum { HL_SLOT_STEP = 8, HL_DATA_AT = 16, HL_MARK_BYTES = 40 };

uint32_t hl_frame_blocks(uint32_t record_bytes);

/* Block `block` of the segment `serial`, on the card. */
uint32_t hl_segment_block(const hl_spool *s, uint64_t serial, uint32_t block);

hl_code hl_segment_read(hl_spool *s, uint64_t serial, uint32_t block, void *out, uint32_t count);
hl_code hl_segment_write(hl_spool *s, uint64_t serial, uint32_t block, const void *data, uint32_t count);
hl_code hl_segment_sync(hl_spool *s);

/* The header of whatever segment lies in the place of `serial`: HL_OK if it is one of this log, and which. */
hl_code hl_segment_header(hl_spool *s, uint64_t serial, uint64_t *found_serial, uint32_t *previous_end);
hl_code hl_segment_begin(hl_spool *s);

/* The frame that begins at a block, by its header and its mark; HL_END if there is none. */
hl_code hl_frame_at(hl_spool *s, uint64_t serial, uint32_t block, uint32_t end, hl_found *found);

void hl_mark_encode(const hl_spool *s, uint32_t record_crc, uint32_t record_bytes, const char *note,
                    uint8_t out[HL_MARK_BYTES]);

/* The cursor's slots (cursor.c). HL_END: neither is whole. */
hl_code hl_cursor_load(hl_spool *s);
hl_code hl_cursor_store(hl_spool *s);

#endif
