/* The codecs, branch by branch: what each refuses, and what lies just within its bounds. Bytes are written as hex. */
#include "test.h"

#include "ack.h"
#include "cbor.h"
#include "flights.h"
#include "jpeg.h"
#include "json.h"
#include "motion.h"
#include "notes.h"
#include "settings.h"
#include "timesync.h"

enum { ROOM = 70000 };

static uint8_t bytes[ROOM];
static size_t length;

static int digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

/* Append hex to `bytes`; blanks are passed over. */
static void more(const char *hex) {
    for (; *hex; hex++)
        if (*hex != ' ') {
            bytes[length++] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
            hex++;
        }
}

static void from(const char *hex) {
    length = 0;
    more(hex);
}

static void zeros(size_t n) {
    memset(bytes + length, 0, n);
    length += n;
}

#define SOI "ff d8"
#define SOF "ff c0 00 0b 08 00 08 00 08 01 01 11 00"
#define SOS "ff da 00 08 01 01 00 00 3f 00"
#define EOI "ff d9"

static void a_jpeg_is_refused_by_the_first_thing_that_is_wrong(void) {
    static const struct {
        const char *hex;
        hl_code code;
    } CASES[] = {
        {"", HL_EMPTY},
        {"ff", HL_BAD_JPEG},
        {"ff 00", HL_BAD_JPEG},
        {"00 d8", HL_BAD_JPEG},
        {SOI, HL_TRUNCATED},
        {SOI "00", HL_BAD_JPEG},
        {SOI "ff ff ff", HL_TRUNCATED},
        {SOI "ff 01", HL_BAD_JPEG},
        {SOI "ff d0", HL_BAD_JPEG},
        {SOI "ff e0 00", HL_TRUNCATED},
        {SOI "ff e0 00 01", HL_BAD_JPEG},
        {SOI "ff e0 00 09 00", HL_TRUNCATED},
        {SOI EOI, HL_BAD_JPEG},
        {SOI SOF EOI, HL_BAD_JPEG},
        {SOI SOF SOF, HL_BAD_JPEG},
        {SOI "ff c3 00 0b 08 00 08 00 08 01 01 11 00", HL_UNSUPPORTED_IMAGE},
        {SOI "ff c0 00 04 08 00", HL_BAD_JPEG},
        {SOI "ff c0 00 0b 08 00 08 00 08 02 01 11 00", HL_BAD_JPEG},
        {SOI "ff c0 00 0b 0c 00 08 00 08 01 01 11 00", HL_UNSUPPORTED_IMAGE},
        {SOI "ff c0 00 0e 08 00 08 00 08 02 01 11 00 01 11 00", HL_UNSUPPORTED_IMAGE},
        {SOI SOS, HL_BAD_JPEG},
        {SOI SOF SOS EOI, HL_BAD_JPEG},
        {SOI SOF SOS "3f 3f", HL_TRUNCATED},
        {SOI SOF SOS "3f ff d8 00", HL_BAD_JPEG},
        {SOI SOF SOS "3f ff 00 ff d0 ff ff d9", HL_OK},
        {SOI SOF SOS "3f" EOI "00 00", HL_OK},
        {SOI SOF SOS "3f" EOI "00 01", HL_TRAILING_DATA},
        {SOI "ff c4 00 02 ff c8 00 02 ff cc 00 02 ff db 00 02" SOF SOS "3f" EOI, HL_OK},
        {SOI "ff c0 00 11 08 00 08 00 08 03 01 11 00 01 11 00 01 11 00" SOS "3f" EOI, HL_OK},
        {SOI "ff c1 00 14 08 00 08 00 08 04 01 11 00 01 11 00 01 11 00 01 11 00" SOS "3f" EOI, HL_OK},
        {SOI "ff c0 00 0b 08 00 00 00 08 01 01 11 00" SOS "3f" EOI, HL_BAD_DIMENSIONS},
        {SOI "ff c0 00 0b 08 00 08 00 00 01 01 11 00" SOS "3f" EOI, HL_BAD_DIMENSIONS},
        {SOI "ff c0 00 0b 08 20 00 20 00 01 01 11 00" SOS "3f" EOI, HL_TOO_MANY_PIXELS},
        {SOI "ff c2 00 0b 08 14 00 14 00 01 01 11 00" SOS "3f" EOI, HL_TOO_MANY_PIXELS},
        {SOI "ff c2 00 0b 08 10 00 10 00 01 01 11 00" SOS "3f" EOI, HL_OK},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        from(CASES[i].hex);
        hl_code code = hl_jpeg_check(bytes, length);
        if (code != CASES[i].code) printf("%s: %s\n", CASES[i].hex, hl_code_name(code));
        CHECK(code == CASES[i].code);
    }
    CHECK(hl_jpeg_check(NULL, 0) == HL_EMPTY && !strcmp(hl_code_name(HL_CODES), "unknown"));
}

static void a_jpeg_of_too_many_parts_is_refused(void) {
    from(SOI);
    for (unsigned i = 0; i < 1100; i++) more("ff");
    CHECK(hl_jpeg_check(bytes, length) == HL_BAD_JPEG);
    from(SOI);
    for (unsigned i = 0; i < 16385; i++) more("ff e0 00 02");
    CHECK(hl_jpeg_check(bytes, length) == HL_BAD_JPEG);
    from(SOI SOF);
    for (unsigned i = 0; i < 101; i++) more(SOS "3f");
    CHECK(hl_jpeg_check(bytes, length) == HL_TOO_MANY_SCANS);
}

static void cbor_is_read_within_its_bounds_alone(void) {
    static const struct {
        const char *hex;
        bool good;
    } CASES[] = {
        {"fa 7f 80 00 00", false},
        {"fb 7f f0 00 00 00 00 00 00", false},
        {"fa 3f 80 00 00", true},
        {"fb 3f f0 00 00 00 00 00 00", true},
        {"1b 00 00", false},
        {"1c", false},
        {"f8 20", false},
        {"f3", false},
        {"f4", true},
        {"f6", true},
        {"18", false},
        {"a1", false},
        {"a1 01 02", false},
        {"a1 61 61", false},
        {"81 81 81 81 a0", true},
        {"81 81 81 81 a1 61 61 00", false},
        {"62 61", false},
        {"a2 61 00", false},
        {"81", false},
        {"61 80", false},
        {"62 c3 a9", true},
        {"62 c0 80", false},
        {"63 e0 a0 80", true},
        {"63 e0 80 80", false},
        {"63 ed 9f bf", true},
        {"63 ef bf bf", true},
        {"64 f0 90 80 80", true},
        {"64 f0 80 80 80", false},
        {"64 f4 8f bf bf", true},
        {"64 f4 90 80 80", false},
        {"61 f5", false},
        {"62 e2 82", false},
        {"63 e2 82 41", false},
        {"62 c3 ff", false},
        {"62 c3 41", false},
        {"a2 61 61 a1 61 63 80 61 62 01", true},
        {"a2 61 61 01 61 61 02", false},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        from(CASES[i].hex);
        CHECK(hl_cbor_check(bytes, length) == CASES[i].good);
    }
    from("99 04 01");
    zeros(1025);
    CHECK(!hl_cbor_check(bytes, length));
    for (unsigned wrapped = 0; wrapped < 2; wrapped++) { /* the last key, or the last value, is one too many */
        from(wrapped ? "81 b9 02 00" : "b9 02 00");
        for (unsigned i = 0; i < 512; i++) {
            bytes[length++] = 0x62;
            bytes[length++] = (uint8_t)('A' + i / 32);
            bytes[length++] = (uint8_t)('A' + i % 32);
            bytes[length++] = 0;
        }
        CHECK(!hl_cbor_check(bytes, length));
    }
}

static void cbor_is_written_as_it_is_read(void) {
    uint8_t out[64];
    hl_cbor_writer w = {out, sizeof out, 0, false};
    hl_cbor_int(&w, -25);
    hl_cbor_int(&w, 25);
    hl_cbor_text(&w, "");
    hl_cbor_uint(&w, 70000);
    CHECK(!w.full && w.used == 2 + 2 + 1 + 5 && out[0] == 0x38 && out[1] == 24);
    hl_gap gap = {.count = 1, .ranges = {{1, 2}}, .why = "card-full"};
    CHECK(hl_gap_encode(&gap, out, 4) == 0);
}

static void a_flat_map_keeps_its_limits(void) {
    static const struct {
        const char *hex;
        bool good;
    } CASES[] = {
        {"a0", true},
        {"80", false},
        {"a1 60 00", false},
        {"a1 61 1f 00", false},
        {"a1 61 7f 00", false},
        {"a1 61 61 80", false},
        {"a1 61 61 40", false},
        {"a1 61 61 a0", false},
        {"a1 61 61 3b ff ff ff ff ff ff ff ff", false},
        {"a1 61 61 1b 80 00 00 00 00 00 00 00", false},
        {"a1 61 61 f4", true},
        {"a1 67 72 61 74 65 5f 68 7a 18 64", false},
        {"a1 67 72 61 74 65 5f 68 7a 19 ff ff", false},
        {"a1 67 72 61 74 65 5f 68 7a 19 3e 80", true},
        {"a1 67 72 61 74 65 5f 68 7a f6", false},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        from(CASES[i].hex);
        CHECK(hl_flat_map_check(bytes, length) == CASES[i].good);
    }
    from("a1 78 21"); /* a key of 33 characters */
    for (unsigned i = 0; i < 33; i++) more("61");
    more("00");
    CHECK(!hl_flat_map_check(bytes, length));
    from("a1 61 61 78 41"); /* a text of 65 */
    for (unsigned i = 0; i < 65; i++) more("61");
    CHECK(!hl_flat_map_check(bytes, length));
    from("b8 21"); /* 33 pairs */
    for (unsigned i = 0; i < 33; i++) {
        bytes[length++] = 0x61;
        bytes[length++] = (uint8_t)('A' + i);
        bytes[length++] = 0;
    }
    CHECK(!hl_flat_map_check(bytes, length));
    from("59 10 00");
    zeros(4096);
    CHECK(!hl_flat_map_check(bytes, length));
}

#define BOOT "64 62 6f 6f 74 48 01 02 03 04 05 06 07 08"
#define MONO "67 6d 6f 6e 6f 5f 75 73"
#define UTC "66 75 74 63 5f 75 73"
#define ERR "66 65 72 72 5f 75 73"
#define WHY "63 77 68 79"
#define RANGES "66 72 61 6e 67 65 73"

static void anchors_and_gaps_are_whole_or_nothing(void) {
    static const struct {
        const char *hex;
        bool anchor, gap;
    } CASES[] = {
        {"a4" BOOT MONO "01" UTC "02" ERR "03", true, false},
        {"a4" BOOT MONO "01" UTC "02" ERR "20", false, false},
        {"a4" BOOT MONO "01" UTC "1b ff ff ff ff ff ff ff ff" ERR "03", false, false},
        {"a4" BOOT MONO "01" UTC "02"
         "61 61 03",
         false, false},
        {"a4 64 62 6f 6f 74 41 01" MONO "01" UTC "02" ERR "03", false, false},
        {"a4 64 62 6f 6f 74 01" MONO "01" UTC "02" ERR "03", false, false},
        {"a3" BOOT MONO "01" UTC "02", false, false},
        {"80", false, false},
        {"ff", false, false},
        {"a2" WHY "61 61" RANGES "81 82 01 02", false, true},
        {"a2" WHY "63 61 2d 39" RANGES "82 82 01 02 82 04 04", false, true},
        {"a2" WHY "61 39" RANGES "81 82 01 02", false, false},
        {"a2" WHY "62 61 7b" RANGES "81 82 01 02", false, false},
        {"a2" WHY "62 61 5f" RANGES "81 82 01 02", false, false},
        {"a2" WHY "62 61 21" RANGES "81 82 01 02", false, false},
        {"a2" WHY "62 61 3a" RANGES "81 82 01 02", false, false},
        {"a2" WHY "60" RANGES "81 82 01 02", false, false},
        {"a2" WHY "01" RANGES "81 82 01 02", false, false},
        {"a2" WHY "61 61" RANGES "01", false, false},
        {"a2" WHY "61 61" RANGES "80", false, false},
        {"a2" WHY "61 61" RANGES "81 01", false, false},
        {"a2" WHY "61 61" RANGES "81 81 01", false, false},
        {"a2" WHY "61 61" RANGES "81 82 20 01", false, false},
        {"a2" WHY "61 61" RANGES "81 82 01 20", false, false},
        {"a2" WHY "61 61" RANGES "81 82 02 01", false, false},
        {"a2" WHY "61 61" RANGES "82 82 01 02 82 03 04", false, false},
        {"a1" WHY "61 61", false, false},
        {"a1" RANGES "81 82 01 02", false, false},
        {"a3" WHY "61 61" RANGES "81 82 01 02 67 66 72 6f 6d 5f 75 73 01", false, false},
        {"a4" WHY "61 61" RANGES "81 82 01 02 67 66 72 6f 6d 5f 75 73 05 65 74 6f 5f 75 73 04", false, false},
        {"a4" WHY "61 61" RANGES "81 82 01 02 67 66 72 6f 6d 5f 75 73 05 65 74 6f 5f 75 73 06", false, true},
        {"a3" WHY "61 61" RANGES "81 82 01 02 67 66 72 6f 6d 5f 75 73 20", false, false},
    };
    hl_anchor anchor;
    hl_gap gap;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        from(CASES[i].hex);
        CHECK(hl_anchor_decode(bytes, length, &anchor) == CASES[i].anchor);
        CHECK(hl_gap_decode(bytes, length, &gap) == CASES[i].gap);
    }
    from("a2" WHY "78 21"); /* a word of 33 letters */
    for (unsigned i = 0; i < 33; i++) more("61");
    more(RANGES "81 82 01 02");
    CHECK(!hl_gap_decode(bytes, length, &gap));
    from("a2" WHY "61 61" RANGES "98 41"); /* 65 ranges */
    for (unsigned i = 0; i < 65; i++) {
        uint8_t pair[4] = {0x82, 0x19, 0, 0};
        memcpy(bytes + length, pair, 3);
        bytes[length + 3] = (uint8_t)(2 * i);
        memcpy(bytes + length + 4, pair + 1, 2);
        bytes[length + 6] = (uint8_t)(2 * i);
        length += 7;
    }
    CHECK(!hl_gap_decode(bytes, length, &gap));
    hl_gap one = {.count = 2, .ranges = {{1, 9}, {20, 21}}, .why = "x"};
    hl_gap_add(&one, (hl_range){3, 4}); /* within another */
    hl_gap_stretch(&one, 0, 5);
    hl_gap_stretch(&one, 3, 4);
    CHECK(one.count == 2 && one.ranges[0].last == 9 && one.from_us == 0 && one.to_us == 5);
}

static void a_header_says_what_is_too_big(void) {
    hl_header header = {.kind = HL_JPEG, .meta_bytes = HL_MAX_META_BYTES + 1};
    uint8_t none = 0;
    CHECK(hl_record_fits(&header) == HL_TOO_BIG);
    header = (hl_header){.kind = HL_JPEG, .body_bytes = HL_MAX_RECORD_BYTES + 1};
    CHECK(hl_record_fits(&header) == HL_TOO_BIG);
    header.body_bytes = HL_MAX_RECORD_BYTES;
    CHECK(hl_record_fits(&header) == HL_TOO_BIG);
    header.body_bytes = 5;
    hl_header_encode(&header, bytes);
    CHECK(hl_header_decode(bytes, HL_HEADER_BYTES, HL_MAX_RECORD_BYTES + 1, &header) == HL_TOO_BIG);
    header = (hl_header){.kind = HL_AUDIO};
    CHECK(hl_body_check(&header, &none) == HL_BAD_PCM);
    header.kind = (hl_kind)9;
    CHECK(hl_body_check(&header, &none) == HL_BAD_KIND);
}

static bool whole(const char *text) {
    hl_json j = {text, text + strlen(text), false};
    return hl_json_skip(&j) && hl_json_end(&j);
}

static void json_is_passed_over_only_if_it_is_json(void) {
    static const char *const GOOD[] = {"1", "-1.5e3", "\"\\u0041\\n\\u00e9\\u0000\"", "[1, [], {}]", "{\"a\": null}"};
    static const char *const BAD[] = {"",
                                      "x",
                                      "[1 2]",
                                      "[1,]",
                                      "{\"a\" 1}",
                                      "{\"a\": 1 \"b\": 2}",
                                      "nul",
                                      "truth",
                                      "\"\\x\"",
                                      "\"\\u12",
                                      "\"a",
                                      "\"\\",
                                      "\"\\u12x4\"",
                                      "\"\n\"",
                                      "[nul]",
                                      "{\"a\":}",
                                      "{\"a\": 1",
                                      "[",
                                      "{1: 2}",
                                      "\"\\uFFF",
                                      "fals"};
    for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++) CHECK(whole(GOOD[i]));
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) CHECK(!whole(BAD[i]));
    CHECK(whole("\"\\uABcd\\u00fF\""));
    hl_json j = {"[", (const char *)"[" + 1, true};
    int64_t value;
    CHECK(!hl_json_int(&j, &value) && !hl_json_skip(&j) && !hl_json_end(&j));
    const char *numbers[] = {"01", "-", "1e5", "1E5", "1.0", "99999999999999999999"};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        j = (hl_json){numbers[i], numbers[i] + strlen(numbers[i]), false};
        CHECK(!hl_json_int(&j, &value));
    }
    j = (hl_json){"0/", (const char *)"0/" + 1, false};
    CHECK(hl_json_int(&j, &value) && value == 0);
}

#define NAMED "\"boot\":\"00ff10203040a5c3\""

static unsigned heard;
static int64_t heard_retry;

static void on_range(void *self, const hl_ack *ack, hl_range range) {
    (void)self;
    (void)ack;
    (void)range;
    heard++;
}

static void on_nack(void *self, const hl_ack *ack, uint64_t sequence, const char *code, int64_t retry_ms) {
    (void)self;
    (void)ack;
    (void)sequence;
    (void)code;
    heard++;
    heard_retry = retry_ms;
}

static void acknowledgements_keep_their_limits(void) {
    static const hl_ack_visitor VISITOR = {NULL, on_range, on_nack};
    static const char *const BAD[] = {
        "{" NAMED ",\"ranges\":[],\"ranges\":[],\"nack\":[],\"credit\":1}",
        "{" NAMED ",\"ranges\":[],\"nack\":[],\"nack\":[],\"credit\":1}",
        "{" NAMED ",\"ranges\":[],\"nack\":[],\"credit\":1,\"credit\":1}",
        "{" NAMED ",\"ranges\":[],\"nack\":[7],\"credit\":1}",
        "{" NAMED ",\"ranges\":[],\"nack\":[{\"seq\":-1,\"code\":\"a\",\"retry_ms\":null}],\"credit\":1}",
        "{" NAMED ",\"ranges\":[],\"nack\":[{\"seq\":1,\"code\":\"a\",\"retry_ms\":\"x\"}],\"credit\":1}",
        "{" NAMED ",\"ranges\":[],\"nack\":[{\"seq\":1,\"code\":\"a\",\"retry_ms\":1,\"x\":}],\"credit\":1}",
        "{" NAMED ",\"ranges\":[],\"nack\":[{\"seq\":1,\"code\":\"a\",\"retry_ms\":1 }",
        "{" NAMED ",\"ranges\":[],\"nack\":[{\"seq\":1,\"seq\":2,\"code\":\"a\",\"retry_ms\":1}],\"credit\":1}",
        "{" NAMED ",\"ranges\":[],\"nack\":[{\"seq\":1,\"code\":\"a\",\"retry_ms\":-1}],\"credit\":1}",
        "{" NAMED ",\"ranges\":[],\"nack\":[],\"credit\":-1}",
        "{" NAMED ",\"ranges\":[7],\"nack\":[],\"credit\":1}",
        "{" NAMED ",\"ranges\":[[\"a\"]],\"nack\":[],\"credit\":1}",
        "{" NAMED ",\"ranges\":[[]],\"nack\":[],\"credit\":1}",
        "{" NAMED ",\"ranges\":[[1,\"a\"]],\"nack\":[],\"credit\":1}",
        "{" NAMED ",\"ranges\":[[1,2}],\"nack\":[],\"credit\":1}",
        "{" NAMED ",\"ranges\":7,\"nack\":[],\"credit\":1}",
        "{" NAMED ",\"ranges\":[],\"nack\":7,\"credit\":1}",
        "{\"boot\":\"0g"
        "ff10203040a5c3\",\"ranges\":[],\"nack\":[],\"credit\":1}",
        "{\"boot\":\"g0"
        "ff10203040a5c3\",\"ranges\":[],\"nack\":[],\"credit\":1}",
        "{\"boot\":\"00ff10203040a5/3\",\"ranges\":[],\"nack\":[],\"credit\":1}",
    };
    hl_ack ack;
    heard = 0;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        CHECK(!hl_ack_read(BAD[i], strlen(BAD[i]), &ack, &VISITOR) && !heard);
    const char *text = "{" NAMED ",\"ranges\":[],\"nack\":[{\"seq\":1,\"code\":\"a\",\"x\":1,\"x\":2,"
                       "\"retry_ms\":9999999999}],\"credit\":5000}";
    CHECK(hl_ack_read(text, strlen(text), &ack, &VISITOR) && ack.credit == 1000 && heard_retry == 86400000);
    char many[8192] = "{" NAMED ",\"credit\":1,\"ranges\":[],\"nack\":[";
    for (unsigned i = 0; i < 65; i++)
        sprintf(many + strlen(many), "%s{\"seq\":%u,\"code\":\"a\",\"retry_ms\":null}", i ? "," : "", i);
    strcat(many, "]}");
    CHECK(!hl_ack_read(many, strlen(many), &ack, &VISITOR) && heard == 1);
    static const char *const TIMES[] = {"[]",
                                        "{\"t0_us\": 5, \"utc_us\": \"x\", \"synced\": true}",
                                        "{\"utc_us\": 5, \"synced\": true}",
                                        "{\"t0_us\": 5, \"synced\": 1}",
                                        "{\"t0_us\": 5, \"x\": }",
                                        "{\"t0_us\": \"x\"}"};
    hl_time_answer answer;
    bool online;
    for (size_t i = 0; i < sizeof TIMES / sizeof TIMES[0]; i++)
        CHECK(!hl_time_read(TIMES[i], strlen(TIMES[i]), &answer) &&
              !hl_status_read(TIMES[i], strlen(TIMES[i]), &online));
    text = "{\"t0_us\": 5, \"utc_us\": 0, \"synced\": true, \"x\": 1}";
    CHECK(hl_time_read(text, strlen(text), &answer) && !answer.known);
    text = "{\"state\": 7}";
    CHECK(!hl_status_read(text, strlen(text), &online));
    text = "{\"x\": [1], \"state\": \"offline\"}";
    CHECK(hl_status_read(text, strlen(text), &online) && !online);
}

static void the_time_is_known_with_its_error_or_not_at_all(void) {
    hl_timesync t;
    hl_anchor anchor;
    uint8_t boot[HL_BOOT_BYTES] = {1};
    uint64_t utc_us, err_us;
    memset(&t, 0, sizeof t);
    hl_time_answer answer = {1000, 5000000, true};
    CHECK(!hl_timesync_answer(&t, &answer, 2000)); /* nobody asked */
    CHECK(!hl_timesync_anchor(&t, boot, 1, &anchor));
    hl_timesync_ask(&t, 1000);
    CHECK(!hl_timesync_answer(&t, &(hl_time_answer){999, 5000000, true}, 2000));
    CHECK(!hl_timesync_answer(&t, &answer, 999));
    CHECK(!hl_timesync_answer(&t, &answer, 100000000)); /* too late to be worth anything */
    hl_timesync_ask(&t, 1000);
    CHECK(!hl_timesync_answer(&t, &(hl_time_answer){1000, 0, false}, 2000));
    hl_timesync_ask(&t, 10000000);
    answer.t0_us = 10000000;
    CHECK(hl_timesync_answer(&t, &answer, 10002000));
    CHECK(hl_timesync_utc(&t, 9000000, &utc_us, &err_us) && utc_us < 5000000 && err_us > 1000);
    CHECK(!hl_timesync_utc(&t, 1, &utc_us, &err_us)); /* before 1970 */
    CHECK(!hl_timesync_utc(&t, HL_LATEST_UTC_US * 2, &utc_us, &err_us));
    CHECK(hl_timesync_utc(&t, 20000000000ull, &utc_us, &err_us));
    CHECK(hl_timesync_anchor(&t, boot, 10002000, &anchor) && !hl_timesync_anchor(&t, boot, 10003000, &anchor));
    t.err_us = 400;
    CHECK(hl_timesync_anchor(&t, boot, 10004000, &anchor)); /* it is known twice as well */
    CHECK(hl_timesync_anchor(&t, boot, 10004000 + 3600000000ull, &anchor));
    t.asked = true;
    t.t0_us = 1000;
    answer = (hl_time_answer){1000, 6000000, true};
    CHECK(!hl_timesync_answer(&t, &answer, 900000)); /* worse than what is known */
    t.err_us = HL_LATEST_UTC_US;
    CHECK(!hl_timesync_utc(&t, 10003000 + 2000000000000ull, &utc_us, &err_us));
}

static uint8_t slot[HL_SETTINGS_BYTES];

static int get(void *self, const char *key, void *data, size_t size) {
    (void)self;
    if (key[3] == '1') return -1;
    memcpy(data, slot, size);
    return (int)size;
}

static int put(void *self, const char *key, const void *data, size_t n) {
    (void)self;
    (void)key;
    memcpy(slot, data, n);
    return 0;
}

static void settings_out_of_range_are_the_defaults(void) {
    static const struct {
        uint32_t interval_ms, still_s;
        uint8_t quality;
        uint16_t from, to;
    } BAD[] = {{999, 0, 12, 0, 0},  {86400001, 0, 12, 0, 0}, {1000, 86401, 12, 0, 0}, {1000, 0, 3, 0, 0},
               {1000, 0, 64, 0, 0}, {1000, 0, 12, 1440, 0},  {1000, 0, 12, 0, 1440}};
    const hl_kv kv = {NULL, get, put};
    hl_settings s;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        hl_settings_default(&s);
        s.generation = 1;
        s.interval_ms = BAD[i].interval_ms;
        s.still_s = BAD[i].still_s;
        s.quality = BAD[i].quality;
        s.quiet_from_min = BAD[i].from;
        s.quiet_to_min = BAD[i].to;
        CHECK(hl_settings_save(&s, &kv));
        hl_settings_load(&s, &kv);
        CHECK(s.interval_ms == 10000 && s.quality == 12);
    }
    hl_settings_load(&s, NULL);
    CHECK(!hl_settings_save(&s, NULL));
    static const char *const WORDS[] = {"{\"quiet\": 7}",          "{\"quiet\": []}",     "{\"quiet\": [\"a\", 1]}",
                                        "{\"quiet\": [1, \"a\"]}", "{\"quiet\": [1, 2}",  "{\"later\": }",
                                        "{\"every_s\": \"a\"}",    "{\"every_s\": 86401}"};
    for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++)
        CHECK(!hl_settings_read(&s, WORDS[i], strlen(WORDS[i])));
    s.quiet_from_min = 60;
    s.quiet_to_min = 120;
    CHECK(!hl_settings_quiet(&s, 59 * 60000000ull) && hl_settings_quiet(&s, 60 * 60000000ull));
    CHECK(!hl_settings_quiet(&s, 120 * 60000000ull));
}

static void fixed(void *self, void *data, size_t n) { memset(data, *(int *)self, n); }

static void pauses_double_between_5_s_and_300_s(void) {
    int low = 0, high = 255;
    hl_random least = {&low, fixed}, most = {&high, fixed};
    for (unsigned tries = 0; tries < 12; tries++) {
        uint64_t a = hl_pause_us(&least, tries), b = hl_pause_us(&most, tries);
        CHECK(a >= 5000000 && a <= b && b <= 300000000);
    }
    CHECK(hl_pause_us(&most, 2) == 12000000 && hl_pause_us(&most, 9) == 300000000);
}

const test_case TESTS_CODECS[] = {
    {"codecs: a JPEG is refused by the first thing that is wrong", a_jpeg_is_refused_by_the_first_thing_that_is_wrong},
    {"codecs: a JPEG of too many parts is refused", a_jpeg_of_too_many_parts_is_refused},
    {"codecs: CBOR is read within its bounds alone", cbor_is_read_within_its_bounds_alone},
    {"codecs: CBOR is written as it is read", cbor_is_written_as_it_is_read},
    {"codecs: a flat map keeps its limits", a_flat_map_keeps_its_limits},
    {"codecs: anchors and gaps are whole or nothing", anchors_and_gaps_are_whole_or_nothing},
    {"codecs: a header says what is too big", a_header_says_what_is_too_big},
    {"codecs: JSON is passed over only if it is JSON", json_is_passed_over_only_if_it_is_json},
    {"codecs: acknowledgements keep their limits", acknowledgements_keep_their_limits},
    {"codecs: the time is known with its error or not at all", the_time_is_known_with_its_error_or_not_at_all},
    {"codecs: settings out of range are the defaults", settings_out_of_range_are_the_defaults},
    {"codecs: pauses double between 5 s and 300 s", pauses_double_between_5_s_and_300_s},
    {NULL, NULL},
};
