/* The spool on a card whose power is cut before every write, whose writes fail, and which is too small. */
#include "test.h"

#include "crc32.h"
#include "le.h"
#include "memory_card.h"
#include "spool.h"

enum { SEGMENT = 16, REGION = 16 + SEGMENT * 12, SEQUENCES = 1 << 16, MAX_BODY = 1800 };

typedef enum { UNKNOWN, COMMITTED, FREED } fate;

/* What must be so: by sequence, the fate of each record and its body's CRC. */
static struct {
    uint8_t fate;
    uint32_t crc;
} model[SEQUENCES];

static uint32_t writing_crc; /* of the record that is being written: it may be there or not */
static memory_card card, after;
static uint8_t io[HL_IO_BYTES], other_io[HL_IO_BYTES], body[MAX_BODY], read_back[4096];
static uint64_t now_us, seed, checks, timed; /* timed: gaps that say when */
static hl_clock clock_;
static hl_gap failures;
static hl_random random_;

static hl_spool_config config_of(memory_card *c, uint8_t *buffer) {
    clock_ = test_clock(&now_us);
    random_ = test_bytes(&seed);
    return (hl_spool_config){&c->card, &clock_, &random_, 0, REGION, SEGMENT, buffer, 0, NULL, NULL, &failures};
}

static void fresh(void) {
    memset(model, 0, sizeof model);
    memory_card_begin(&card);
    seed = 0x9e3779b97f4a7c15ull;
    checks = 0;
}

static uint32_t make_body(uint64_t n, uint32_t *size) {
    uint64_t state = n * 0x9e3779b97f4a7c15ull + 1;
    *size = (uint32_t)(test_random(&state) % MAX_BODY) + 1;
    for (uint32_t i = 0; i < *size; i++) body[i] = (uint8_t)(test_random(&state) >> 24);
    return hl_crc32(0, body, *size);
}

/* One record; what is dropped for it is read from the gaps later. */
static hl_code append(hl_spool *s, uint64_t n) {
    hl_header header = {.kind = HL_AUDIO, .mono_us = now_us += 1000};
    writing_crc = make_body(n, &header.body_bytes);
    hl_code code = hl_spool_append(s, &header, NULL, body);
    if (code == HL_OK) {
        CHECK(header.sequence < SEQUENCES && model[header.sequence].fate == UNKNOWN);
        model[header.sequence].fate = COMMITTED;
        model[header.sequence].crc = writing_crc;
    } else if (model[header.sequence].fate == UNKNOWN) { /* it may be there all the same, and then only so */
        model[header.sequence].crc = writing_crc;
    }
    return code;
}

/* Everything that was committed and not freed is there once with its bytes, or a gap names it. */
static void check_all(hl_spool *s) {
    static uint8_t seen[SEQUENCES];
    hl_found found;
    hl_gap gap;
    hl_code code;
    uint64_t highest = 0, least_kept = SEQUENCES;
    uint64_t at = s->spans[0].from;
    CHECK(s->next_sequence <= SEQUENCES);
    memset(seen, 0, (size_t)s->next_sequence);
    while ((code = hl_spool_next(s, at, &found)) == HL_OK) {
        uint64_t n = found.header.sequence;
        CHECK(n < SEQUENCES && n < s->next_sequence && n >= highest);
        CHECK(hl_spool_verify(s, &found) == HL_OK && found.bytes <= sizeof read_back);
        CHECK(hl_spool_read(s, &found, 0, read_back, found.bytes) == HL_OK);
        CHECK(hl_record_decode(read_back, found.bytes, &found.header) == HL_OK);
        const uint8_t *data = read_back + HL_HEADER_BYTES + found.header.meta_bytes;
        uint32_t crc = hl_crc32(0, data, found.header.body_bytes);
        if (found.header.kind == HL_GAP) {
            CHECK(hl_gap_decode(data, found.header.body_bytes, &gap));
            if (gap.timed) timed++;
            for (unsigned i = 0; i < gap.count; i++)
                for (uint64_t k = gap.ranges[i].first; k <= gap.ranges[i].last; k++) seen[k] |= 2;
        } else {
            CHECK(crc == model[n].crc || (model[n].fate == UNKNOWN && crc == writing_crc));
            CHECK(!(seen[n] & 1));
            seen[n] |= 1;
            if (n < least_kept) least_kept = n;
        }
        highest = n + 1;
        at = found.next;
    }
    CHECK(code == HL_END);
    for (uint64_t n = 0; n < SEQUENCES && n < s->next_sequence; n++)
        if (model[n].fate == COMMITTED) CHECK(seen[n]);
    checks++;
}

static void check_after_a_cut(memory_card *c, void *context) {
    hl_boot boot = {0, {9, 9, 9, 9, 9, 9, 9, 9}};
    hl_spool s;
    uint64_t *own_seed = context, keep = seed;
    memory_card_cut(c, &after, own_seed);
    hl_spool_config config = config_of(&after, other_io);
    CHECK(hl_spool_open(&s, &config, &boot) == HL_OK);
    check_all(&s);
    hl_header header = {.kind = HL_TELEMETRY, .body_bytes = 1};
    uint8_t empty_map[] = {0xa0};
    CHECK(hl_spool_append(&s, &header, NULL, empty_map) == HL_OK);
    CHECK(model[header.sequence].fate == UNKNOWN);
    seed = keep;
}

/* Free what the gateway would have acknowledged: the oldest few records. */
static void free_some(hl_spool *s, unsigned records) {
    hl_found found;
    uint64_t at = s->spans[0].from;
    while (records-- && hl_spool_next(s, at, &found) == HL_OK) {
        if (found.header.kind == HL_GAP && hl_spool_read(s, &found, 0, read_back, found.bytes) == HL_OK) {
            hl_gap gap; /* the gateway knows now what was dropped */
            CHECK(hl_gap_decode(read_back + HL_HEADER_BYTES, found.header.body_bytes, &gap));
            for (unsigned i = 0; i < gap.count; i++)
                for (uint64_t k = gap.ranges[i].first; k <= gap.ranges[i].last; k++) model[k].fate = FREED;
        }
        model[found.header.sequence].fate = FREED;
        at = found.next;
    }
    hl_spool_free(s, 0, at);
}

static void run_with_cuts(unsigned records, int cutting) {
    hl_boot boot = {0, {1, 2, 3, 4, 5, 6, 7, 8}};
    uint64_t cut_seed = 77, chance = 1234567;
    hl_spool s;
    fresh();
    hl_spool_config config = config_of(&card, io);
    CHECK(hl_spool_open(&s, &config, &boot) == HL_OK);
    if (cutting) card.before = check_after_a_cut;
    card.context = &cut_seed;
    for (unsigned n = 0; n < records; n++) {
        CHECK(append(&s, n) == HL_OK);
        uint64_t dice = test_random(&chance);
        if (dice % 3 == 0 && n % 400 < 250) free_some(&s, (unsigned)(dice >> 8) % 7); /* then it fills up, and drops */
        if (dice % 97 == 0) { /* cut here for good: go on from what is left */
            memory_card_cut(&card, &after, &cut_seed);
            void (*before)(memory_card *, void *) = card.before;
            memcpy(&card, &after, sizeof card);
            card.card.self = &card;
            card.before = before;
            config = config_of(&card, io);
            CHECK(hl_spool_open(&s, &config, &boot) == HL_OK);
        }
    }
    card.before = NULL;
    writing_crc = 0;
    check_all(&s);
}

static void a_power_cut_before_every_write_loses_nothing(void) {
    run_with_cuts(test_records, 1);
    printf("  %u records, %llu cuts\n", test_records, (unsigned long long)checks - 1);
}

static void records_come_back_in_order_over_many_reboots(void) { run_with_cuts(1000, 0); }

static void failing_writes_lose_no_committed_record(void) {
    hl_boot boot = {0, {1}};
    uint64_t cut_seed = 5;
    unsigned failed = 0;
    hl_spool s;
    for (unsigned every = 2; every < 40; every++) {
        fresh();
        hl_spool_config config = config_of(&card, io);
        CHECK(hl_spool_open(&s, &config, &boot) == HL_OK);
        card.fail_every = every;
        for (unsigned n = 0; n < 60; n++) failed += append(&s, n) != HL_OK;
        card.fail_every = 0;
        check_all(&s);
        CHECK(append(&s, 1000) == HL_OK && !failures.count); /* what failed is named in a gap now */
        memory_card_cut(&card, &after, &cut_seed);
        config = config_of(&after, io);
        CHECK(hl_spool_open(&s, &config, &boot) == HL_OK);
        check_all(&s);
    }
    CHECK(failed > 100);
}

static void a_dead_card_is_an_error_and_nothing_else(void) {
    hl_boot boot = {0, {1}};
    hl_spool s;
    fresh();
    hl_spool_config config = config_of(&card, io);
    card.fail_until_cut = 1;
    CHECK(hl_spool_open(&s, &config, &boot) == HL_CARD_ERROR);
    card.fail_until_cut = 0;
    CHECK(hl_spool_open(&s, &config, &boot) == HL_OK);
    card.fail_until_cut = 1;
    for (unsigned n = 0; n < 20; n++) CHECK(append(&s, n) == HL_CARD_ERROR);
    CHECK(s.faults > 0);
}

static void both_slots_gone_the_log_is_found_by_its_segments(void) {
    hl_boot boot = {0, {1}};
    hl_spool s;
    fresh();
    hl_spool_config config = config_of(&card, io);
    CHECK(hl_spool_open(&s, &config, &boot) == HL_OK);
    for (unsigned n = 0; n < 40; n++) CHECK(append(&s, n) == HL_OK);
    uint64_t next = s.next_sequence;
    memset(card.durable[0], 0xff, HL_BLOCK);
    memset(card.durable[8], 0, HL_BLOCK);
    CHECK(hl_spool_open(&s, &config, &boot) == HL_OK);
    CHECK(s.next_sequence >= next);
    check_all(&s);
}

static void a_spoilt_frame_hides_no_other(void) {
    hl_boot boot = {0, {1}};
    hl_spool s;
    hl_found found;
    unsigned left = 0;
    fresh();
    hl_spool_config config = config_of(&card, io);
    CHECK(hl_spool_open(&s, &config, &boot) == HL_OK);
    for (unsigned n = 0; n < 30; n++) CHECK(append(&s, n) == HL_OK);
    memset(card.durable[16 + 1], 0, HL_BLOCK); /* the first record's header */
    for (uint64_t at = 0; hl_spool_next(&s, at, &found) == HL_OK; at = found.next) left++;
    CHECK(left == 29);
}

static void a_full_card_drops_the_oldest_and_says_which(void) {
    hl_boot boot = {0, {1}};
    hl_spool s;
    fresh();
    hl_spool_config config = config_of(&card, io);
    CHECK(hl_spool_open(&s, &config, &boot) == HL_OK);
    for (unsigned n = 0; n < 500; n++) CHECK(append(&s, n) == HL_OK);
    CHECK(s.drops > 5);
    writing_crc = 0;
    timed = 0;
    check_all(&s); /* all 500: there, or in a gap that is still there */
    CHECK(timed > 0);
    hl_header big = {.kind = HL_AUDIO, .body_bytes = SEGMENT * HL_BLOCK};
    CHECK(hl_spool_append(&s, &big, NULL, NULL) == HL_TOO_BIG);
}

static void a_gap_in_quarantine_is_written_into_the_main_log(void) {
    hl_boot boot = {0, {1}};
    hl_spool s, quarantine;
    hl_found found, copy;
    fresh();
    hl_spool_config config = config_of(&card, io);
    CHECK(hl_spool_open(&s, &config, &boot) == HL_OK);
    hl_spool_config second = config;
    second.base = REGION;
    second.blocks = 16 + 4 * SEGMENT;
    second.gaps_to = &s;
    second.why = "quarantine-full";
    CHECK(hl_spool_open(&quarantine, &second, &boot) == HL_OK);
    for (unsigned n = 0; n < 60; n++) {
        CHECK(append(&s, n) == HL_OK);
        uint64_t at = s.spans[0].from;
        while (hl_spool_next(&s, at, &found) == HL_OK && found.header.kind == HL_GAP) at = found.next;
        CHECK(hl_spool_copy(&quarantine, &s, &found, "bad-jpeg") == HL_OK);
        hl_spool_free(&s, 0, found.next);
        model[found.header.sequence].fate = UNKNOWN; /* no longer the main log's */
    }
    CHECK(quarantine.drops > 0);
    unsigned kept = 0;
    for (uint64_t at = 0; hl_spool_next(&quarantine, at, &copy) == HL_OK; at = copy.next, kept++) {
        CHECK(hl_spool_verify(&quarantine, &copy) == HL_OK);
        CHECK(!strcmp(copy.note, "bad-jpeg"));
    }
    CHECK(kept > 5 && kept < 60);
}

static void spans_run_out_and_nothing_is_forgotten(void) {
    hl_boot boot = {0, {1}};
    hl_spool s;
    hl_found found;
    fresh();
    hl_spool_config config = config_of(&card, io);
    CHECK(hl_spool_open(&s, &config, &boot) == HL_OK);
    for (unsigned n = 0; n < 14; n++) { /* each time the backlog stays, and one live record is acknowledged */
        CHECK(append(&s, 2 * n) == HL_OK);
        uint64_t live = hl_spool_split(&s);
        CHECK(append(&s, 2 * n + 1) == HL_OK);
        CHECK(hl_spool_next(&s, live, &found) == HL_OK);
        hl_spool_free(&s, live, found.next);
        model[found.header.sequence].fate = FREED;
        CHECK(s.span_count <= HL_SPANS && s.spans[s.span_count - 1].to == HL_OPEN);
    }
    CHECK(!s.drops);
    for (uint64_t n = 0; n < s.next_sequence; n++) { /* every committed one lies in a span */
        if (model[n].fate != COMMITTED) continue;
        int covered = 0;
        for (unsigned i = 0; i < s.span_count; i++)
            for (uint64_t at = s.spans[i].from; hl_spool_next(&s, at, &found) == HL_OK && found.address < s.spans[i].to;
                 at = found.next)
                covered |= found.header.sequence == n;
        CHECK(covered);
    }
    CHECK(hl_spool_open(&s, &config, &boot) == HL_OK);
    check_all(&s);
}

/* Free from the front, but only what the card says is there. */
static void free_whole(hl_spool *s, unsigned records) {
    hl_found found;
    uint64_t at = s->spans[0].from;
    for (; records; records--, at = found.next) {
        hl_gap gap;
        if (hl_spool_next(s, at, &found) != HL_OK) break;
        if (found.header.kind == HL_GAP) {
            if (hl_spool_read(s, &found, 0, read_back, found.bytes) != HL_OK) break;
            CHECK(hl_gap_decode(read_back + HL_HEADER_BYTES, found.header.body_bytes, &gap));
            for (unsigned i = 0; i < gap.count; i++)
                for (uint64_t k = gap.ranges[i].first; k <= gap.ranges[i].last; k++) model[k].fate = FREED;
        }
        model[found.header.sequence].fate = FREED;
    }
    hl_spool_free(s, 0, at);
}

static void open_again(hl_spool *s, const hl_spool_config *config) {
    hl_boot boot = {0, {1}};
    if (hl_spool_open(s, config, &boot) != HL_OK) CHECK(hl_spool_open(s, config, &boot) == HL_OK);
}

/* A life of a card whose access number `fail_at` fails; how many there were. */
static unsigned long life(unsigned long fail_at) {
    hl_spool s, quarantine;
    hl_found found;
    fresh();
    hl_spool_config config = config_of(&card, io), second = config;
    second.base = REGION;
    second.blocks = 16 + 4 * SEGMENT;
    second.gaps_to = &s;
    second.why = "quarantine-full";
    second.failed = NULL;
    card.fail_at = fail_at;
    open_again(&s, &config);
    open_again(&quarantine, &second);
    for (unsigned n = 0; n < 130; n++) {
        (void)append(&s, n);
        if (n % 10 == 0) free_whole(&s, 2);
        if (n % 30 == 0) (void)hl_spool_split(&s);
        if (n % 7 == 0 && hl_spool_next(&s, s.spans[0].from, &found) == HL_OK)
            (void)hl_spool_copy(&quarantine, &s, &found, "a-very-long-word-for-it");
        if (n == 50 || n == 100) open_again(&s, &config);
    }
    if (hl_spool_next(&s, s.spans[0].from, &found) == HL_OK && hl_spool_verify(&s, &found) == HL_CARD_ERROR)
        CHECK(hl_spool_verify(&s, &found) == HL_OK);
    if (fail_at % 2) { /* and the cursor is lost as well: all that is still there waits again */
        CHECK(hl_spool_save(&s) == HL_OK || hl_spool_save(&s) == HL_OK);
        memset(card.durable[0], 0, HL_BLOCK);
        memset(card.durable[8], 0, HL_BLOCK);
        memset(model, 0, sizeof model);
        card.pending_count = 0;
        open_again(&s, &config);
    }
    unsigned long accesses = card.accesses;
    card.fail_at = 0;
    CHECK(append(&s, 1000) == HL_OK && append(&s, 1001) == HL_OK && !failures.count);
    if (fail_at % 2 == 0) check_all(&s);
    return accesses;
}

static void an_error_at_any_access_of_the_card_loses_nothing(void) {
    unsigned long all[2] = {life(0), life(1)};
    unsigned long most = all[0] > all[1] ? all[0] : all[1], step = 1 + most / (test_records > 200 ? 20000 : 150);
    CHECK(most > 1000);
    for (unsigned long at = 1; at <= most + 1; at += step) (void)life(at);
    for (unsigned long at = 1; at < 60; at++) (void)life(at);             /* opening, in full */
    for (unsigned long at = most - 160; at <= most; at++) (void)life(at); /* and finding it again without its cursor */
}

static void reseal(uint32_t block, size_t at) {
    hl_put32(card.durable[block] + at, hl_crc32(0, card.durable[block], at));
}

static void a_cursor_that_cannot_be_is_no_cursor(void) {
    static const struct {
        size_t at;
        uint32_t value;
    } WRONG[] = {{4, 2}, {4, 1}, {4, 0x901}, {24, 4}, {24, 1 << 21}, {28, 3}, {28, 1000}};
    hl_boot boot = {0, {1}};
    hl_spool s;
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        fresh();
        hl_spool_config config = config_of(&card, io);
        CHECK(hl_spool_open(&s, &config, &boot) == HL_OK);
        for (unsigned n = 0; n < 30; n++) CHECK(append(&s, n) == HL_OK);
        for (uint32_t block = 0; block <= 8; block += 8) {
            hl_put32(card.durable[block] + WRONG[i].at, WRONG[i].value);
            reseal(block, HL_BLOCK - 4);
        }
        CHECK(hl_spool_open(&s, &config, &boot) == HL_OK);
        check_all(&s);
    }
    hl_spool_config small = config_of(&card, io);
    small.segment_blocks = 7;
    CHECK(hl_spool_open(&s, &small, &boot) == HL_BAD_LENGTH);
    small.segment_blocks = 100;
    CHECK(hl_spool_open(&s, &small, &boot) == HL_BAD_LENGTH);
}

static void spans_that_cannot_be_are_mended(void) {
    static const uint64_t SPANS[][2] = {{0, 40}, {0, 1 << 20}, {1 << 20, HL_OPEN}, {50, 40}};
    hl_boot boot = {0, {1}};
    hl_spool s;
    for (size_t i = 0; i < sizeof SPANS / sizeof SPANS[0]; i++) {
        fresh();
        hl_spool_config config = config_of(&card, io);
        CHECK(hl_spool_open(&s, &config, &boot) == HL_OK);
        for (unsigned n = 0; n < 200; n++) CHECK(append(&s, n) == HL_OK);
        CHECK(hl_spool_save(&s) == HL_OK);
        for (uint32_t block = 0; block <= 8; block += 8) {
            uint8_t *b = card.durable[block];
            b[5] = SPANS[i][1] == HL_OPEN ? 1 : 2;
            hl_put64(b + 64, SPANS[i][0]);
            hl_put64(b + 72, SPANS[i][1]);
            hl_put64(b + 80, SPANS[i][1] == HL_OPEN ? 0 : 1 << 20);
            reseal(block, HL_BLOCK - 4);
        }
        CHECK(hl_spool_open(&s, &config, &boot) == HL_OK);
        CHECK(s.span_count >= 1 && s.spans[s.span_count - 1].to == HL_OPEN && s.spans[0].from <= hl_spool_head(&s));
        CHECK(append(&s, 999) == HL_OK);
    }
}

static void an_old_cursor_finds_every_segment_that_was_begun_since(void) {
    uint8_t kept[2][HL_BLOCK];
    hl_boot boot = {0, {1}};
    hl_spool s;
    fresh();
    hl_spool_config config = config_of(&card, io);
    CHECK(hl_spool_open(&s, &config, &boot) == HL_OK);
    for (unsigned n = 0; n < 8; n++) CHECK(append(&s, n) == HL_OK);
    memcpy(kept[0], card.durable[0], HL_BLOCK);
    memcpy(kept[1], card.durable[8], HL_BLOCK);
    for (unsigned n = 8; n < 40; n++) CHECK(append(&s, n) == HL_OK);
    memcpy(card.durable[0], kept[0], HL_BLOCK);
    memcpy(card.durable[8], kept[1], HL_BLOCK);
    CHECK(hl_spool_open(&s, &config, &boot) == HL_OK && s.head_serial >= 3);
    check_all(&s);
    fresh(); /* and one that was lost when its log had just begun */
    CHECK(hl_spool_open(&s, &config, &boot) == HL_OK && append(&s, 1) == HL_OK);
    memset(card.durable[0], 0, HL_BLOCK);
    memset(card.durable[8], 0, HL_BLOCK);
    CHECK(hl_spool_open(&s, &config, &boot) == HL_OK && s.next_sequence > 0);
    check_all(&s);
}

static void a_segment_that_is_not_of_this_log_is_none(void) {
    hl_boot boot = {0, {1}};
    hl_spool s;
    hl_found found;
    static const struct {
        uint32_t place;
        size_t at;
        uint64_t value;
    } WRONG[] = {{2, 4, 1}, {2, 12, 5}, {3, 20, 1 << 20}, {2, 0, 0}};
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        unsigned left = 0;
        fresh();
        hl_spool_config config = config_of(&card, io);
        CHECK(hl_spool_open(&s, &config, &boot) == HL_OK);
        for (unsigned n = 0; n < 30; n++) CHECK(append(&s, n) == HL_OK);
        uint32_t block = 16 + WRONG[i].place * SEGMENT;
        hl_put64(card.durable[block] + WRONG[i].at, WRONG[i].value);
        reseal(block, 28);
        CHECK(hl_spool_open(&s, &config, &boot) == HL_OK);
        for (uint64_t at = 0; hl_spool_next(&s, at, &found) == HL_OK; at = found.next) left++;
        CHECK(left == 30); /* frames are found without it */
        for (unsigned n = 100; n < 200; n++) CHECK(append(&s, n) == HL_OK);
    }
}

static void odd_gaps_are_dropped_like_others(void) {
    hl_boot boot = {0, {1}};
    hl_spool s;
    hl_found first;
    uint8_t gap_body[HL_GAP_BYTES];
    static uint8_t big[5000];
    hl_gap gap = {.count = 1, .ranges = {{60000, 60001}}, .why = "card-full"};
    fresh();
    hl_spool_config config = config_of(&card, io);
    CHECK(hl_spool_open(&s, &config, &boot) == HL_OK);
    hl_header header = {.kind = HL_GAP, .body_bytes = (uint32_t)hl_gap_encode(&gap, gap_body, sizeof gap_body)};
    CHECK(hl_spool_append(&s, &header, NULL, gap_body) == HL_OK); /* one that does not know when */
    header = (hl_header){.kind = HL_GAP, .body_bytes = 3};
    CHECK(hl_spool_append(&s, &header, NULL, big) == HL_OK); /* one that is none */
    header = (hl_header){.kind = HL_GAP, .body_bytes = sizeof big};
    CHECK(hl_spool_append(&s, &header, NULL, big) == HL_OK); /* one that is too long to be one */
    CHECK(hl_spool_next(&s, 0, &first) == HL_OK);
    for (unsigned n = 0; n < 100; n++) CHECK(append(&s, n) == HL_OK);
    CHECK(s.drops > 0 && hl_spool_read(&s, &first, 0, big, 10) == HL_END);
    bool named = false;
    hl_found found;
    for (uint64_t at = 0; hl_spool_next(&s, at, &found) == HL_OK; at = found.next) {
        if (found.header.kind != HL_GAP) continue;
        CHECK(hl_spool_read(&s, &found, HL_HEADER_BYTES, big, found.header.body_bytes) == HL_OK);
        CHECK(hl_gap_decode(big, found.header.body_bytes, &gap));
        for (unsigned i = 0; i < gap.count; i++) named |= gap.ranges[i].first <= 60000 && gap.ranges[i].last >= 60001;
    }
    CHECK(named);
}

static void what_has_no_room_is_told(void) {
    hl_boot boot = {0, {1}};
    hl_spool s, narrow;
    hl_found found;
    fresh();
    hl_spool_config config = config_of(&card, io), second = config;
    CHECK(hl_spool_open(&s, &config, &boot) == HL_OK);
    hl_header header = {.kind = HL_AUDIO, .body_bytes = 3000};
    CHECK(hl_spool_append(&s, &header, NULL, card.durable[0]) == HL_OK && hl_spool_next(&s, 0, &found) == HL_OK);
    second.base = REGION;
    second.blocks = 16 + 4 * 8;
    second.segment_blocks = 8;
    second.failed = NULL;
    CHECK(hl_spool_open(&narrow, &second, &boot) == HL_OK && hl_spool_copy(&narrow, &s, &found, "x") == HL_TOO_BIG);
    second.least_sequence = HL_MAX_SEQUENCE - 10; /* no numbers are left */
    second.failed = &failures;
    memset(card.durable[REGION], 0, HL_BLOCK);
    memset(card.durable[REGION + 8], 0, HL_BLOCK);
    CHECK(hl_spool_open(&narrow, &second, &boot) == HL_OK);
    header.body_bytes = 2;
    CHECK(hl_spool_append(&narrow, &header, NULL, card.durable[0]) == HL_BAD_SEQUENCE);
    header.meta_bytes = HL_MAX_META_BYTES + 1;
    CHECK(hl_spool_append(&narrow, &header, NULL, card.durable[0]) == HL_TOO_BIG);
}

/* Each block of the first segments in turn never reads: the ring goes round, and what lay there is named. */
static void a_block_that_never_reads_does_not_stop_the_ring(void) {
    hl_boot boot = {0, {1}};
    hl_spool s;
    for (uint32_t block = 16; block < 16 + 2 * SEGMENT; block++) {
        unsigned failed = 0;
        fresh();
        hl_spool_config config = config_of(&card, io);
        CHECK(hl_spool_open(&s, &config, &boot) == HL_OK);
        for (unsigned n = 0; n < 30; n++) CHECK(append(&s, n) == HL_OK);
        card.bad_block = block;
        unsigned drops =
            1 + (block - 16) / SEGMENT; /* before anything new is put on that block, which would not read */
        for (unsigned n = 30; n < 110 && s.drops < drops; n++) failed += append(&s, n) != HL_OK;
        CHECK(failed <= 6 && s.drops == drops);
        card.bad_block = 0;
        check_all(&s); /* there, or named */
    }
}

static void a_record_joined_to_a_newer_mark_is_told(void) {
    hl_boot boot = {0, {1}};
    hl_spool s;
    hl_found found;
    fresh();
    hl_spool_config config = config_of(&card, io);
    CHECK(hl_spool_open(&s, &config, &boot) == HL_OK && append(&s, 1) == HL_OK);
    CHECK(hl_spool_next(&s, 0, &found) == HL_OK && hl_spool_verify(&s, &found) == HL_OK);
    found.crc ^= 1;
    CHECK(hl_spool_verify(&s, &found) == HL_BAD_CRC);
}

const test_case TESTS_SPOOL[] = {
    {"spool: an error at any access of the card loses nothing", an_error_at_any_access_of_the_card_loses_nothing},
    {"spool: a cursor that cannot be is no cursor", a_cursor_that_cannot_be_is_no_cursor},
    {"spool: spans that cannot be are mended", spans_that_cannot_be_are_mended},
    {"spool: an old cursor finds every segment that was begun since",
     an_old_cursor_finds_every_segment_that_was_begun_since},
    {"spool: a segment that is not of this log is none", a_segment_that_is_not_of_this_log_is_none},
    {"spool: odd gaps are dropped like others", odd_gaps_are_dropped_like_others},
    {"spool: what has no room is told", what_has_no_room_is_told},
    {"spool: a block that never reads does not stop the ring", a_block_that_never_reads_does_not_stop_the_ring},
    {"spool: a record joined to a newer mark is told", a_record_joined_to_a_newer_mark_is_told},
    {"spool: records come back in order over many reboots", records_come_back_in_order_over_many_reboots},
    {"spool: a power cut before every write loses nothing", a_power_cut_before_every_write_loses_nothing},
    {"spool: failing writes lose no committed record", failing_writes_lose_no_committed_record},
    {"spool: a dead card is an error and nothing else", a_dead_card_is_an_error_and_nothing_else},
    {"spool: both slots gone, the log is found by its segments", both_slots_gone_the_log_is_found_by_its_segments},
    {"spool: a spoilt frame hides no other", a_spoilt_frame_hides_no_other},
    {"spool: a full card drops the oldest and says which", a_full_card_drops_the_oldest_and_says_which},
    {"spool: a gap in quarantine is written into the main log", a_gap_in_quarantine_is_written_into_the_main_log},
    {"spool: spans run out and nothing is forgotten", spans_run_out_and_nothing_is_forgotten},
    {NULL, NULL},
};
