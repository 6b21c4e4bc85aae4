/* CRC, SHA-256, numbers, CBOR, gaps: against values published elsewhere. */
#include "test.h"

#include "cbor.h"
#include "crc32.h"
#include "le.h"
#include "notes.h"
#include "sha256.h"

static void crc_and_sha_give_the_published_values(void) {
    static const char *const CASES[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    CHECK(hl_crc32(0, "123456789", 9) == 0xcbf43926);
    CHECK(hl_crc32(hl_crc32(0, "1234", 4), "56789", 5) == 0xcbf43926);
    for (size_t i = 0; i < 3; i++)
        for (size_t cut = 0; cut <= strlen(CASES[i][0]); cut++) {
            hl_sha256 sha;
            uint8_t digest[32];
            char text[65];
            hl_sha256_begin(&sha);
            hl_sha256_add(&sha, CASES[i][0], cut);
            hl_sha256_add(&sha, CASES[i][0] + cut, strlen(CASES[i][0]) - cut);
            hl_sha256_end(&sha, digest);
            for (size_t k = 0; k < 32; k++) sprintf(text + 2 * k, "%02x", digest[k]);
            CHECK(!strcmp(text, CASES[i][1]));
        }
}

static void numbers_are_little_endian_on_every_machine(void) {
    uint8_t b[8];
    hl_put64(b, 0x0102030405060708ull);
    CHECK(b[0] == 8 && b[7] == 1 && hl_get64(b) == 0x0102030405060708ull);
    CHECK(hl_get32(b) == 0x05060708 && hl_get16(b) == 0x0708);
}

static void cbor_outside_the_subset_is_refused(void) {
    static const struct {
        const char *data;
        size_t n;
        int good;
    } CASES[] = {
        {"\xa0", 1, 1},
        {"\x80", 1, 1},
        {"\x1b\xff\xff\xff\xff\xff\xff\xff\xff", 9, 1},
        {"\xf9\x3c\x00", 3, 1},
        {"\xf9\x7c\x00", 3, 0},     /* infinity */
        {"\xc1\x00", 2, 0},         /* tag */
        {"\xf7", 1, 0},             /* undefined */
        {"\x5f\xff", 2, 0},         /* indefinite */
        {"\x00\x00", 2, 0},         /* more after the value */
        {"\x61\xff", 2, 0},         /* not UTF-8 */
        {"\x63\xed\xa0\x80", 4, 0}, /* a surrogate */
        {"\x81\x81\x81\x81\x00", 5, 1},
        {"\x81\x81\x81\x81\x81\x00", 6, 0}, /* five levels */
        {"\xbb\xff\xff\xff\xff\xff\xff\xff\xff", 9, 0},
        {"\xa2\x61"
         "a\x00\x78\x01"
         "a\x01",
         8, 0}, /* a key twice, written in two ways */
        {"", 0, 0},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        CHECK(hl_cbor_check((const uint8_t *)CASES[i].data, CASES[i].n) == (CASES[i].good != 0));
}

static void a_full_buffer_is_told_not_overrun(void) {
    uint8_t out[8];
    hl_anchor anchor = {{0}, 1, 2, 3};
    CHECK(hl_anchor_encode(&anchor, out, sizeof out) == 0);
}

static void a_gap_names_everything_even_when_its_ranges_run_out(void) {
    hl_gap gap = {.count = 0, .why = "card-full"}, back;
    uint8_t out[HL_GAP_BYTES];
    for (uint64_t i = 0; i < 500; i++)
        hl_gap_add(&gap, (hl_range){HL_MAX_SEQUENCE - 10000 + 3 * i, HL_MAX_SEQUENCE - 10000 + 3 * i + i % 2});
    size_t n = hl_gap_encode(&gap, out, sizeof out);
    CHECK(n && hl_gap_decode(out, n, &back) && back.count <= HL_GAP_RANGES);
    for (uint64_t i = 0; i < 500; i++) {
        int named = 0;
        for (unsigned k = 0; k < back.count; k++)
            named |= back.ranges[k].first <= HL_MAX_SEQUENCE - 10000 + 3 * i &&
                     back.ranges[k].last >= HL_MAX_SEQUENCE - 10000 + 3 * i + i % 2;
        CHECK(named);
    }
    hl_gap mixed = {.count = 0, .why = "card-full"};
    hl_gap_add(&mixed, (hl_range){10, 12});
    hl_gap_add(&mixed, (hl_range){1, 3});
    hl_gap_add(&mixed, (hl_range){2, 9});
    CHECK(mixed.count == 1 && mixed.ranges[0].first == 1 && mixed.ranges[0].last == 12);
}

const test_case TESTS_PLAIN[] = {
    {"plain: CRC and SHA-256 give the published values", crc_and_sha_give_the_published_values},
    {"plain: numbers are little-endian on every machine", numbers_are_little_endian_on_every_machine},
    {"plain: CBOR outside the subset is refused", cbor_outside_the_subset_is_refused},
    {"plain: a full buffer is told, not overrun", a_full_buffer_is_told_not_overrun},
    {"plain: a gap names everything even when its ranges run out", a_gap_names_everything_even_when_its_ranges_run_out},
    {NULL, NULL},
};
