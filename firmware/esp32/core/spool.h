/* The spool: a log of records on the card that no power cut makes forget.
 *
 * A region of the card holds two slots of a cursor and a ring of segments. A record is written from a block's
 * beginning, padded, and ends in the card's own mark (which log, which segment, the record's CRC); one sync later it is
 * committed. After a cut the head segment is walked again: whole frames count, the torn one at its end does not.
 * The cursor (which stretches of the log are not yet acknowledged, up to which sequence numbers are reserved) lies in
 * two slots, written in turn, each with a CRC. It may be old: then records are sent again, and nothing is lost.
 *
 * A place in the log is an address: serial number of the segment × blocks a segment + block. It only grows.
 * A segment is free again once nothing in it waits. When the ring is full the oldest segment is dropped, and a gap
 * record that names what was in it is committed before.
 *
 * hl_code: HL_OK, HL_END, HL_TOO_BIG, HL_CARD_ERROR, HL_BAD_LENGTH (a region too small). */
#ifndef HL_SPOOL_H
#define HL_SPOOL_H

#include "hal.h"
#include "notes.h"
#include "record.h"

#define HL_IO_BYTES 4096
#define HL_SPANS 8
#define HL_OPEN UINT64_MAX
#define HL_NOTE 12
#define HL_RESERVE 1024
#define HL_GAP_BLOCKS 4

/* Stretch of the log that waits: `from` inclusive, `to` exclusive. */
typedef struct {
    uint64_t from, to;
} hl_span;

typedef struct {
    uint32_t counter;
    uint8_t id[HL_BOOT_BYTES];
} hl_boot;

typedef struct hl_spool hl_spool;

typedef struct {
    const hl_card *card;
    const hl_clock *clock;
    const hl_random *random;
    uint32_t base, blocks;   /* the region */
    uint32_t segment_blocks; /* at least 8; a record needs (bytes + 40) / 512, rounded up */
    uint8_t *io;             /* HL_IO_BYTES, may be shared between spools */
    uint64_t least_sequence; /* what is known from elsewhere, else 0 */
    hl_spool *gaps_to;       /* who writes down what this one drops; NULL: itself */
    const char *why;         /* the word for it */
    hl_gap *failed;          /* names what could not be written until a gap does; NULL: only copies are put here */
} hl_spool_config;

struct hl_spool {
    hl_spool_config config;
    hl_boot boot;
    uint32_t segments;
    uint64_t log_id, generation;
    uint64_t head_serial;
    uint32_t head_block, previous_end; /* head_block 0: the head segment is not begun */
    uint64_t next_sequence, reserved;
    hl_span spans[HL_SPANS]; /* ascending, apart; the last one is open */
    unsigned span_count;
    uint64_t saved_tail;
    unsigned unsaved;
    uint64_t end_of_serial; /* the end of one closed segment, remembered */
    uint32_t end_block;
    unsigned stuck;     /* how often in a row the oldest segment could not be dropped for a card that does not read */
    uint32_t drops;     /* how often a segment was dropped: addresses before the tail are void */
    uint32_t faults;    /* errors of the card */
    uint32_t recovered; /* frames found in the head segment at the start */
    uint32_t torn;      /* 1 if the last one was not whole */
};

/* A committed record, where it is. */
typedef struct {
    uint64_t address, next;
    hl_header header;
    uint32_t bytes, crc; /* the CRC as the card's mark has it */
    char note[HL_NOTE + 1];
} hl_found;

/* Find the log again, or begin one on a card that has none. The boot counter is one more than the last one seen here;
 * pass a higher `boot->counter` if it is known from elsewhere. `boot` is kept. */
hl_code hl_spool_open(hl_spool *s, const hl_spool_config *config, const hl_boot *boot);

/* Commit one record; `header` gets its sequence and boot. When this returns HL_OK the record survives anything. */
hl_code hl_spool_append(hl_spool *s, hl_header *header, const uint8_t *meta, const uint8_t *body);

/* Commit a copy of a record of another spool, with a word about it (quarantine). */
hl_code hl_spool_copy(hl_spool *s, hl_spool *from, const hl_found *found, const char *note);

/* The first committed record at or after `address`; HL_END behind the last. */
hl_code hl_spool_next(hl_spool *s, uint64_t address, hl_found *found);

/* `n` of a record's bytes, from `offset`. HL_END if it has been dropped meanwhile. */
hl_code hl_spool_read(hl_spool *s, const hl_found *found, uint32_t offset, void *out, uint32_t n);

/* Whether a record's bytes are those that its commit mark was made of. */
hl_code hl_spool_verify(hl_spool *s, const hl_found *found);

/* What lies in [from, to) waits no longer: it is acknowledged, or in quarantine. Whole prefixes of spans only. */
void hl_spool_free(hl_spool *s, uint64_t from, uint64_t to);

/* All that waits now is backlog; what comes is live. The address from which it is live. */
uint64_t hl_spool_split(hl_spool *s);

/* Write the cursor down. */
hl_code hl_spool_save(hl_spool *s);

/* Behind the last record. */
uint64_t hl_spool_head(const hl_spool *s);

/* How full the ring is, in thousandths. */
unsigned hl_spool_fill(const hl_spool *s);

#endif
