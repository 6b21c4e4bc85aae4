/* A card in memory whose power can be cut: what was not synced is lost, kept or torn, block by block, by chance. */
#ifndef HL_MEMORY_CARD_H
#define HL_MEMORY_CARD_H

#include "hal.h"

enum { CARD_BLOCKS = 1024, CARD_PENDING = 64 };

typedef struct memory_card {
    hl_card card;
    uint8_t durable[CARD_BLOCKS][HL_BLOCK];
    struct {
        uint32_t block;
        uint8_t data[HL_BLOCK];
    } pending[CARD_PENDING];
    unsigned pending_count;
    unsigned long operations;
    /* Called before each write or sync is carried out (a write of several blocks: before each of them). */
    void (*before)(struct memory_card *card, void *context);
    void *context;
    unsigned fail_every;             /* every so many operations fail, 0 never */
    unsigned fail_until_cut;         /* everything fails from now on */
    unsigned long accesses, fail_at; /* reads too: the one of this number fails, once */
    unsigned fail_reads;             /* all of them */
    uint32_t bad_block;              /* one that never reads; 0: none */
} memory_card;

void memory_card_begin(memory_card *c);

/* What could lie on `from` after a power cut now. */
void memory_card_cut(const memory_card *from, memory_card *to, uint64_t *seed);

/* A clock that stands at *self, and bytes from a seed. */
hl_clock test_clock(uint64_t *now_us);
hl_random test_bytes(uint64_t *seed);

#endif
