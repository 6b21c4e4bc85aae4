/* The gateway's words: what is right is read, what is not changes nothing. */
#include "test.h"

#include "ack.h"
#include "json.h"

static unsigned ranges, nacks;
static hl_range last_range;
static char last_code[HL_CODE_BYTES];
static int64_t last_retry;

static void on_range(void *self, const hl_ack *ack, hl_range range) {
    (void)self;
    (void)ack;
    ranges++;
    last_range = range;
}

static void on_nack(void *self, const hl_ack *ack, uint64_t sequence, const char *code, int64_t retry_ms) {
    (void)self;
    (void)ack;
    (void)sequence;
    nacks++;
    strcpy(last_code, code);
    last_retry = retry_ms;
}

static const hl_ack_visitor VISITOR = {NULL, on_range, on_nack};

static bool read_ack(const char *text, hl_ack *ack) {
    ranges = nacks = 0;
    return hl_ack_read(text, strlen(text), ack, &VISITOR);
}

#define BOOT "\"boot\":\"00ff10203040a5c3\""

static void an_acknowledgement_is_read_in_any_order_of_its_keys(void) {
    hl_ack ack;
    CHECK(read_ack("{" BOOT
                   ",\"ranges\":[[38,41],[44,47]],\"nack\":[{\"seq\":43,\"code\":\"bad-jpeg\",\"retry_ms\":null}],"
                   "\"credit\":4}",
                   &ack));
    CHECK(ack.credit == 4 && ack.boot_id[1] == 0xff && ranges == 2 && last_range.last == 47);
    CHECK(nacks == 1 && !strcmp(last_code, "bad-jpeg") && last_retry == HL_FOR_EVER);
    CHECK(read_ack(
        " { \"credit\" : 1 , \"later\" : {\"a\":[1.5e3,\"\\u00e9\",true,null]} , \"nack\" : [ {\"retry_ms\":250,"
        "\"code\":\"x\",\"seq\":0} ] , \"ranges\" : [] , " BOOT " } ",
        &ack));
    CHECK(ranges == 0 && nacks == 1 && last_retry == 250);
}

static void what_is_not_an_acknowledgement_calls_nothing(void) {
    static const char *const BAD[] = {
        "",
        "{",
        "null",
        "[]",
        "{}",
        "{" BOOT ",\"ranges\":[],\"nack\":[]}",
        "{" BOOT ",\"ranges\":[[1,2]],\"nack\":[],\"credit\":1} x",
        "{" BOOT ",\"ranges\":[[1,2]],\"nack\":[],\"credit\":-1}",
        "{" BOOT ",\"ranges\":[[1,2]],\"nack\":[],\"credit\":1.5}",
        "{" BOOT ",\"ranges\":[[2,1]],\"nack\":[],\"credit\":1}",
        "{" BOOT ",\"ranges\":[[1,2,3]],\"nack\":[],\"credit\":1}",
        "{" BOOT ",\"ranges\":[[1]],\"nack\":[],\"credit\":1}",
        "{" BOOT ",\"ranges\":[[1,9007199254740992]],\"nack\":[],\"credit\":1}",
        "{" BOOT ",\"ranges\":[[1,99999999999999999999]],\"nack\":[],\"credit\":1}",
        "{" BOOT ",\"ranges\":[[1,2],],\"nack\":[],\"credit\":1}",
        "{" BOOT ",\"ranges\":[[1,2]],\"nack\":[{\"seq\":1,\"code\":\"a\"}],\"credit\":1}",
        "{" BOOT ",\"ranges\":[[1,2]],\"nack\":[{\"seq\":1,\"code\":1,\"retry_ms\":null}],\"credit\":1}",
        "{" BOOT ",\"ranges\":[[1,2]],\"nack\":[{\"seq\":1,\"code\":\"a\",\"retry_ms\":-5}],\"credit\":1}",
        "{" BOOT "," BOOT ",\"ranges\":[[1,2]],\"nack\":[],\"credit\":1}",
        "{\"boot\":\"00FF10203040A5C3\",\"ranges\":[[1,2]],\"nack\":[],\"credit\":1}",
        "{\"boot\":\"00\",\"ranges\":[[1,2]],\"nack\":[],\"credit\":1}",
        "{\"boot\":7,\"ranges\":[[1,2]],\"nack\":[],\"credit\":1}",
        "{" BOOT ",\"ranges\":[[1,2]],\"nack\":[],\"credit\":1,\"deep\":[[[[[[[[[[[]]]]]]]]]]]}",
    };
    hl_ack ack;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        CHECK(!read_ack(BAD[i], &ack));
        CHECK(ranges == 0 && nacks == 0);
    }
    char many[2048] = "{" BOOT ",\"credit\":1,\"nack\":[],\"ranges\":[";
    for (unsigned i = 0; i < 65; i++) sprintf(many + strlen(many), "%s[%u,%u]", i ? "," : "", 2 * i, 2 * i);
    strcat(many, "]}");
    CHECK(!read_ack(many, &ack) && ranges == 0);
}

static void any_bytes_are_read_without_harm(void) {
    static const char GOOD[] =
        "{" BOOT
        ",\"ranges\":[[38,41],[44,47]],\"nack\":[{\"seq\":43,\"code\":\"b\\u0061d\",\"retry_ms\":null}],\"credit\":4}";
    uint64_t state = 42;
    char copy[sizeof GOOD];
    hl_ack ack;
    hl_time_answer answer;
    bool online;
    for (unsigned n = 0; n < 20000; n++) {
        memcpy(copy, GOOD, sizeof GOOD);
        size_t length = sizeof GOOD - 1;
        for (unsigned k = 0; k < 1 + n % 4; k++) copy[test_random(&state) % length] = (char)(test_random(&state) >> 20);
        if (n % 3 == 0) length = (size_t)(test_random(&state) % length);
        char *exact = malloc(length ? length : 1);
        memcpy(exact, copy, length);
        ranges = nacks = 0;
        if (!hl_ack_read(exact, length, &ack, &VISITOR)) CHECK(ranges + nacks == 0);
        (void)hl_time_read(exact, length, &answer);
        (void)hl_status_read(exact, length, &online);
        free(exact);
    }
}

static void the_time_and_the_state_are_read(void) {
    hl_time_answer t;
    bool online = false;
    const char *text = "{\"t0_us\": 5, \"utc_us\": 1790000000000000, \"synced\": true}";
    CHECK(hl_time_read(text, strlen(text), &t) && t.known && t.t0_us == 5 && t.utc_us == 1790000000000000ull);
    text = "{\"t0_us\": 5, \"utc_us\": null, \"synced\": false}";
    CHECK(hl_time_read(text, strlen(text), &t) && !t.known);
    text = "{\"t0_us\": 5, \"utc_us\": 99990000000000000, \"synced\": true}";
    CHECK(!hl_time_read(text, strlen(text), &t));
    text = "{\"state\":\"online\"}";
    CHECK(hl_status_read(text, strlen(text), &online) && online);
    text = "{\"state\":\"asleep\"}";
    CHECK(!hl_status_read(text, strlen(text), &online));
}

const test_case TESTS_JSON[] = {
    {"json: an acknowledgement is read in any order of its keys", an_acknowledgement_is_read_in_any_order_of_its_keys},
    {"json: what is not an acknowledgement calls nothing", what_is_not_an_acknowledgement_calls_nothing},
    {"json: any bytes are read without harm", any_bytes_are_read_without_harm},
    {"json: the time and the state are read", the_time_and_the_state_are_read},
    {NULL, NULL},
};
