#include "memory_card.h"

#include "test.h"

static int fails(memory_card *c) {
    c->operations++;
    if (++c->accesses == c->fail_at) return 1;
    return c->fail_until_cut || (c->fail_every && c->operations % c->fail_every == 0);
}

static int card_read(void *self, uint32_t block, uint32_t count, void *data) {
    memory_card *c = self;
    CHECK(block + count <= CARD_BLOCKS);
    if (++c->accesses == c->fail_at || c->fail_reads) return -1;
    if (c->bad_block >= block && c->bad_block < block + count && c->bad_block) return -1;
    memcpy(data, c->durable[block], (size_t)count * HL_BLOCK);
    for (unsigned i = 0; i < c->pending_count; i++)
        if (c->pending[i].block >= block && c->pending[i].block < block + count)
            memcpy((uint8_t *)data + (size_t)(c->pending[i].block - block) * HL_BLOCK, c->pending[i].data, HL_BLOCK);
    return 0;
}

static int card_write(void *self, uint32_t block, uint32_t count, const void *data) {
    memory_card *c = self;
    CHECK(block + count <= CARD_BLOCKS);
    for (uint32_t i = 0; i < count; i++) {
        if (c->before) c->before(c, c->context);
        if (fails(c)) return -1;                /* the blocks before it were written: a short write */
        if (c->pending_count == CARD_PENDING) { /* a card's own buffer has an end: what came first is out */
            memcpy(c->durable[c->pending[0].block], c->pending[0].data, HL_BLOCK);
            memmove(c->pending, c->pending + 1, --c->pending_count * sizeof c->pending[0]);
        }
        c->pending[c->pending_count].block = block + i;
        memcpy(c->pending[c->pending_count++].data, (const uint8_t *)data + (size_t)i * HL_BLOCK, HL_BLOCK);
    }
    return 0;
}

static int card_sync(void *self) {
    memory_card *c = self;
    if (c->before) c->before(c, c->context);
    if (fails(c)) { /* some of it may have arrived */
        if (c->pending_count) memcpy(c->durable[c->pending[0].block], c->pending[0].data, HL_BLOCK);
        return -1;
    }
    for (unsigned i = 0; i < c->pending_count; i++)
        memcpy(c->durable[c->pending[i].block], c->pending[i].data, HL_BLOCK);
    c->pending_count = 0;
    return 0;
}

void memory_card_begin(memory_card *c) {
    memset(c, 0, sizeof *c);
    c->card = (hl_card){c, CARD_BLOCKS, card_read, card_write, card_sync};
}

void memory_card_cut(const memory_card *from, memory_card *to, uint64_t *seed) {
    memcpy(to, from, sizeof *to);
    to->card.self = to;
    to->pending_count = to->fail_every = to->fail_until_cut = to->fail_reads = 0;
    to->fail_at = 0;
    to->before = NULL;
    for (unsigned i = 0; i < from->pending_count; i++) {
        uint64_t chance = test_random(seed);
        size_t torn = (size_t)(chance >> 8) % (HL_BLOCK + 1);
        uint8_t *block = to->durable[from->pending[i].block];
        const uint8_t *data = from->pending[i].data;
        switch (chance % 5) {
        case 0: /* lost */
            break;
        case 1:
        case 2: /* kept */
            memcpy(block, data, HL_BLOCK);
            break;
        case 3: /* torn */
            memcpy(block, data, torn);
            break;
        default: /* torn the other way, with noise where it broke */
            memcpy(block + torn, data + torn, HL_BLOCK - torn);
            if (torn) block[torn - 1] ^= (uint8_t)(chance >> 40);
        }
    }
}

static uint64_t read_clock(void *self) { return *(uint64_t *)self; }

hl_clock test_clock(uint64_t *now_us) { return (hl_clock){now_us, read_clock}; }

static void fill(void *self, void *data, size_t n) {
    for (size_t i = 0; i < n; i++) ((uint8_t *)data)[i] = (uint8_t)(test_random(self) >> 32);
}

hl_random test_bytes(uint64_t *seed) { return (hl_random){seed, fill}; }
