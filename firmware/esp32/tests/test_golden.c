/* The golden packets of tests/fixtures/records: the same bytes, the same findings, the same codes as the gateway. */
#include "test.h"

#include "crc32.h"
#include "notes.h"
#include "record.h"

typedef struct {
    const char *name;
    const uint8_t *data;
    size_t n;
    const char *code;
    int kind;
    uint64_t boot_counter, sequence, mono_us;
    const char *boot, *body_sha256;
} golden_packet;

#include "golden.h"

static void hex(const uint8_t *p, size_t n, char *out) {
    for (size_t i = 0; i < n; i++) sprintf(out + 2 * i, "%02x", p[i]);
}

static hl_code read_packet(const golden_packet *p, hl_header *header) {
    hl_code code = hl_record_decode(p->data, p->n, header);
    return code == HL_OK ? hl_body_check(header, p->data + HL_HEADER_BYTES + header->meta_bytes) : code;
}

static void every_packet_gives_the_code_of_the_index(void) {
    for (size_t i = 0; i < sizeof PACKETS / sizeof PACKETS[0]; i++) {
        const golden_packet *p = &PACKETS[i];
        hl_header header;
        const char *code = hl_code_name(read_packet(p, &header));
        if (strcmp(code, p->code)) printf("%s: %s, not %s\n", p->name, code, p->code);
        CHECK(!strcmp(code, p->code));
        if (strcmp(p->code, "ok")) continue;
        char boot[17], digest[65];
        hex(header.boot_id, 8, boot);
        hex(p->data + p->n - HL_TRAILER_BYTES, 32, digest);
        CHECK((int)header.kind == p->kind && header.boot_counter == p->boot_counter);
        CHECK(header.sequence == p->sequence && header.mono_us == p->mono_us);
        CHECK(!strcmp(boot, p->boot) && !strcmp(digest, p->body_sha256));
    }
}

static void a_record_written_in_pieces_has_the_same_bytes(void) {
    for (size_t i = 0; i < sizeof PACKETS / sizeof PACKETS[0]; i++) {
        const golden_packet *p = &PACKETS[i];
        uint8_t head[HL_HEADER_BYTES], trailer[HL_TRAILER_BYTES];
        hl_record_stream stream;
        hl_header header;
        if (strcmp(p->code, "ok")) continue;
        CHECK(hl_record_decode(p->data, p->n, &header) == HL_OK);
        hl_header_encode(&header, head);
        CHECK(!memcmp(head, p->data, sizeof head));
        const uint8_t *body = p->data + HL_HEADER_BYTES + header.meta_bytes;
        hl_record_begin(&stream);
        hl_record_mark(&stream, head, sizeof head);
        hl_record_mark(&stream, p->data + HL_HEADER_BYTES, header.meta_bytes);
        for (size_t at = 0; at < header.body_bytes; at += 37)
            hl_record_body(&stream, body + at, header.body_bytes - at < 37 ? header.body_bytes - at : 37);
        hl_record_end(&stream, trailer);
        CHECK(!memcmp(trailer, body + header.body_bytes, sizeof trailer));
    }
}

static void any_flipped_byte_is_refused(void) {
    static uint8_t copy[8192];
    for (size_t i = 0; i < 10; i++) {
        const golden_packet *p = &PACKETS[i];
        hl_header header;
        if (p->n > 400) continue;
        for (size_t at = 0; at < p->n; at++) {
            memcpy(copy, p->data, p->n);
            copy[at] ^= 0x10;
            CHECK(hl_record_decode(copy, p->n, &header) != HL_OK);
            CHECK(hl_record_decode(p->data, at, &header) != HL_OK);
        }
    }
}

static void anchors_and_gaps_are_written_as_the_golden_ones(void) {
    for (size_t i = 0; i < sizeof PACKETS / sizeof PACKETS[0]; i++) {
        const golden_packet *p = &PACKETS[i];
        uint8_t out[HL_GAP_BYTES];
        hl_header header;
        hl_anchor anchor;
        hl_gap gap;
        if (strcmp(p->code, "ok") || p->kind < HL_ANCHOR) continue;
        CHECK(hl_record_decode(p->data, p->n, &header) == HL_OK);
        const uint8_t *body = p->data + HL_HEADER_BYTES + header.meta_bytes;
        size_t n = 0;
        if (p->kind == HL_ANCHOR) {
            CHECK(hl_anchor_decode(body, header.body_bytes, &anchor));
            n = hl_anchor_encode(&anchor, out, sizeof out);
        } else {
            CHECK(hl_gap_decode(body, header.body_bytes, &gap));
            n = hl_gap_encode(&gap, out, sizeof out);
        }
        CHECK(n == header.body_bytes && !memcmp(out, body, n));
    }
}

const test_case TESTS_GOLDEN[] = {
    {"golden: every packet gives the code of the index", every_packet_gives_the_code_of_the_index},
    {"golden: a record written in pieces has the same bytes", a_record_written_in_pieces_has_the_same_bytes},
    {"golden: any flipped byte is refused", any_flipped_byte_is_refused},
    {"golden: anchors and gaps are written as the golden ones", anchors_and_gaps_are_written_as_the_golden_ones},
    {NULL, NULL},
};
