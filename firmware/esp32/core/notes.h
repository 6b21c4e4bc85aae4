/* The small CBOR maps of the wire: meta and telemetry (flat), time anchor, gap (docs/wire.md). */
#ifndef HL_NOTES_H
#define HL_NOTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record.h"

#define HL_NOTE_BYTES 4096
#define HL_GAP_RANGES 64
/* The longest body of a gap with HL_GAP_RANGES ranges. */
#define HL_GAP_BYTES 1408

/* A map of at most 4,096 bytes and 32 scalars by keys of at most 32 characters, texts of at most 64; the known keys within their
 * ranges. Keys of control characters are refused here; the gateway refuses all that are not printable. */
bool hl_flat_map_check(const uint8_t *data, size_t n);

/* At `mono_us` since the boot it was `utc_us`, give or take `err_us`. */
typedef struct {
    uint8_t boot_id[HL_BOOT_BYTES];
    uint64_t mono_us, utc_us, err_us;
} hl_anchor;

/* Bytes written, 0 if they do not fit. */
size_t hl_anchor_encode(const hl_anchor *anchor, uint8_t *out, size_t size);
bool hl_anchor_decode(const uint8_t *data, size_t n, hl_anchor *anchor);

typedef struct {
    uint64_t first, last;
} hl_range;

/* Sequences that were dropped: ascending, apart, inclusive. */
typedef struct {
    hl_range ranges[HL_GAP_RANGES];
    unsigned count;
    bool timed;
    uint64_t from_us, to_us; /* since the gap record's own boot; only if `timed` */
    char why[33];
} hl_gap;

/* Name one more sequence. When there are too many ranges, the two that are nearest become one. */
void hl_gap_add(hl_gap *gap, hl_range range);

/* What it names happened in [from_us, to_us] as well. The times count once `timed` is set, which is the caller's to
 * decide: all of it must be of the boot of the gap's record. */
void hl_gap_stretch(hl_gap *gap, uint64_t from_us, uint64_t to_us);
size_t hl_gap_encode(const hl_gap *gap, uint8_t *out, size_t size);
bool hl_gap_decode(const uint8_t *data, size_t n, hl_gap *gap);

#endif
