/* The uplink, a whole device, on a card and a broker in memory, with a gateway that keeps a ledger. */
#include "test.h"

#include "crc32.h"
#include "device.h"
#include "fake_broker.h"
#include "memory_card.h"

enum { LEDGER = 1024, SEGMENT = 24, WITHHELD = 64 };

typedef struct {
    uint8_t boot[HL_BOOT_BYTES];
    uint64_t sequence;
    uint32_t crc;
    hl_kind kind;
} name;

static name ledger[LEDGER], committed[LEDGER], withheld[WITHHELD];
static unsigned stored, committed_count, withheld_count, hellos, received, conflicts, again, online, unheard, most_in_flight, in_flight;
static unsigned credit = 4, lose_every, repeat_every, hold_back;
static const char *refuse_with; /* nack instead, if not NULL */
static const char *retry_ms = "null";
static int answers = 1, knows_time = 1;
static uint64_t now_us, seed, utc_base = 1790000000000000ull;
static char lanes[LEDGER];
static char last_hello[2048];
static fake_broker broker;
static memory_card card, spare;
static hl_device device;
static hl_clock clock_;
static hl_random random_;
static uint8_t jpeg[600];
static size_t jpeg_bytes;

static void write_boot(char *out, const uint8_t *boot) {
    for (size_t i = 0; i < HL_BOOT_BYTES; i++) sprintf(out + 2 * i, "%02x", boot[i]);
}

static void acknowledge(const name *n) {
    char text[256], boot[17];
    write_boot(boot, n->boot);
    if (refuse_with)
        sprintf(text, "{\"boot\":\"%s\",\"ranges\":[],\"nack\":[{\"seq\":%llu,\"code\":\"%s\",\"retry_ms\":%s}],\"credit\":%u}", boot,
                (unsigned long long)n->sequence, refuse_with, retry_ms, credit);
    else
        sprintf(text, "{\"boot\":\"%s\",\"ranges\":[[%llu,%llu]],\"nack\":[],\"credit\":%u}", boot, (unsigned long long)n->sequence,
                (unsigned long long)n->sequence, credit);
    if (lose_every && test_random(&seed) % lose_every == 0) return;
    fake_say(&broker, "hearthlog/v1/porch/dn/ack", text, false, 0);
    if (repeat_every && test_random(&seed) % repeat_every == 0) fake_say(&broker, "hearthlog/v1/porch/dn/ack", text, false, 0);
}

static name *in_ledger(const uint8_t *boot, uint64_t sequence) {
    for (unsigned i = 0; i < stored; i++)
        if (ledger[i].sequence == sequence && !memcmp(ledger[i].boot, boot, HL_BOOT_BYTES)) return &ledger[i];
    return NULL;
}

static void take_record(const uint8_t *data, size_t n) {
    hl_header header;
    CHECK(hl_record_decode(data, n, &header) == HL_OK);
    CHECK(hl_body_check(&header, data + HL_HEADER_BYTES + header.meta_bytes) == HL_OK);
    name one = {.sequence = header.sequence, .crc = hl_crc32(0, data, n), .kind = header.kind};
    memcpy(one.boot, header.boot_id, HL_BOOT_BYTES);
    name *known = in_ledger(one.boot, one.sequence);
    received++;
    in_flight++;
    if (in_flight > most_in_flight) most_in_flight = in_flight;
    again += known != NULL;
    conflicts += known && known->crc != one.crc;
    if (!known && !refuse_with) {
        CHECK(stored < LEDGER);
        lanes[stored] = memcmp(one.boot, device.spool.boot.id, HL_BOOT_BYTES) ? 'b' : 'l';
        ledger[stored++] = one;
    }
    if (!answers) return;
    if (hold_back && withheld_count < WITHHELD) {
        withheld[withheld_count++] = one;
        return;
    }
    acknowledge(&one);
    in_flight--;
}

/* One message for each boot of the spool, as the gateway's own hello does it: at most 64 ranges. */
static void answer_hello(const char *text) {
    for (const char *p = strstr(text, "\"spool\""); p && (p = strstr(p, "{\"boot\":\"")) != NULL;) {
        char boot[17], out[2048];
        unsigned long long first, last;
        unsigned ranges = 0;
        memcpy(boot, p + 9, 16);
        boot[16] = 0;
        CHECK(sscanf(p + 25, "\",\"first\":%llu,\"last\":%llu}", &first, &last) == 2 && first <= last);
        int n = sprintf(out, "{\"boot\":\"%s\",\"ranges\":[", boot);
        for (unsigned i = 0; i < stored && ranges < 60; i++) {
            char own[17];
            write_boot(own, ledger[i].boot);
            if (strcmp(own, boot) || ledger[i].sequence < first || ledger[i].sequence > last) continue;
            n += sprintf(out + n, "%s[%llu,%llu]", ranges++ ? "," : "", (unsigned long long)ledger[i].sequence, (unsigned long long)ledger[i].sequence);
            if (n > 1900) break;
        }
        sprintf(out + n, "],\"nack\":[],\"credit\":%u}", credit);
        fake_say(&broker, "hearthlog/v1/porch/dn/ack", out, false, 0);
        p += 25;
    }
}

static void on_published(fake_broker *b, const char *topic, const uint8_t *payload, size_t n, unsigned qos, bool retained) {
    (void)b;
    CHECK(!strncmp(topic, "hearthlog/v1/porch/up/", 22));
    const char *voice = topic + 22;
    if (!strcmp(voice, "rec")) {
        CHECK(qos == 0 && !retained);
        if (online)
            take_record(payload, n);
        else
            unheard++; /* it was on its way when the gateway went */
        return;
    }
    CHECK(n < sizeof last_hello && payload[0] == '{' && payload[n - 1] == '}' && qos == 1 && retained == !strcmp(voice, "status"));
    if (!strcmp(voice, "hello")) {
        memcpy(last_hello, payload, n);
        last_hello[n] = 0;
        hellos++;
        if (online && answers) answer_hello(last_hello);
    }
    unsigned long long t0;
    char text[128];
    if (!strcmp(voice, "event") && sscanf((const char *)payload, "{\"time\":{\"t0_us\":%llu}}", &t0) == 1 && online) {
        if (knows_time)
            sprintf(text, "{\"t0_us\": %llu, \"utc_us\": %llu, \"synced\": true}", t0, (unsigned long long)(utc_base + now_us));
        else
            sprintf(text, "{\"t0_us\": %llu, \"utc_us\": null, \"synced\": false}", t0);
        fake_say(&broker, "hearthlog/v1/porch/dn/time", text, false, 0);
    }
}

static void say_state(bool is_online, bool retained) {
    online = is_online;
    fake_say(&broker, "hearthlog/v1/gateway/status", is_online ? "{\"state\": \"online\"}" : "{\"state\": \"offline\"}", retained, 1);
}

static int take_frame(void *self, const uint8_t **out, size_t *n) {
    (void)self;
    *out = jpeg;
    *n = jpeg_bytes;
    return 0;
}

static void no_reset(void *self) { (void)self; }

static const hl_camera CAMERA = {NULL, take_frame, no_reset, NULL, NULL};

static void on_committed(void *self, const hl_header *header, const uint8_t *body) {
    (void)self;
    (void)body;
    CHECK(committed_count < LEDGER);
    memcpy(committed[committed_count].boot, header->boot_id, HL_BOOT_BYTES);
    committed[committed_count++].sequence = header->sequence;
}

/* A small JPEG whose entropy-coded bytes are its size. */
static void make_jpeg(void) {
    static const uint8_t HEAD[] = {0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0, 0xff, 0xda, 0, 8, 1, 1, 0, 0, 0x3f, 0};
    memcpy(jpeg, HEAD, sizeof HEAD);
    memset(jpeg + sizeof HEAD, 0x3f, 400);
    jpeg[sizeof HEAD + 400] = 0xff;
    jpeg[sizeof HEAD + 401] = 0xd9;
    jpeg_bytes = sizeof HEAD + 402;
}

static bool boot_device(uint32_t interval_ms) {
    hl_device_config config = {
        .uplink = {.net = &broker.net, .clock = &clock_, .random = &random_, .device = "porch", .user = NULL, .password = "",
                   .firmware = "test", .board = "memory", .keep_alive_s = 20},
        .card = &card.card, .camera = &CAMERA, .segment_blocks = SEGMENT, .interval_ms = interval_ms,
    };
    hl_code code = hl_device_begin(&device, &config);
    device.committed = on_committed;
    return code == HL_OK;
}

static void fresh(uint32_t interval_ms) {
    memory_card_begin(&card);
    fake_begin(&broker);
    broker.published = on_published;
    make_jpeg();
    stored = committed_count = withheld_count = hellos = received = conflicts = again = unheard = most_in_flight = in_flight = 0;
    lose_every = repeat_every = hold_back = 0;
    refuse_with = NULL;
    retry_ms = "null";
    credit = 4;
    answers = knows_time = 1;
    online = 0;
    now_us = 1000000;
    seed = 4711;
    clock_ = test_clock(&now_us);
    random_ = test_bytes(&seed);
    CHECK(boot_device(interval_ms));
}

/* Let time go by, a millisecond a step. */
static void go(unsigned ms) {
    for (unsigned i = 0; i < ms; i++, now_us += 1000) {
        hl_device_step(&device);
        fake_step(&broker);
    }
}

static void connect_online(void) {
    go(3);
    say_state(true, true);
    go(3);
}

static void all_is_stored_once(void) {
    for (unsigned i = 0; i < committed_count; i++) CHECK(in_ledger(committed[i].boot, committed[i].sequence));
    CHECK(conflicts == 0);
}

static void records_are_freed_by_the_acknowledgement_alone(void) {
    fresh(50);
    answers = 0;
    connect_online();
    go(1000);
    CHECK(received == 1 && !hl_uplink_idle(&device.uplink)); /* the window is 1 until the first acknowledgement */
    CHECK(device.uplink.mqtt.acknowledged > 0);              /* the broker's own word frees nothing */
    answers = 1;
    go(8000);
    hl_device_stop_taking(&device);
    go(200);
    CHECK(hl_uplink_idle(&device.uplink) && committed_count > 100);
    all_is_stored_once();
    CHECK(again == 1 && device.uplink.flights.again == 1); /* the first one, after its pause */
}

static void no_more_are_in_flight_than_the_credit(void) {
    fresh(5);
    connect_online();
    go(500);
    hold_back = 1;
    most_in_flight = in_flight = 0;
    go(2000);
    CHECK(most_in_flight <= 4 && withheld_count == 4);
    credit = 9;
    hold_back = 0;
    for (unsigned i = 0; i < withheld_count; i++) acknowledge(&withheld[i]);
    in_flight = 0;
    go(100);
    CHECK(device.uplink.flights.credit == 9);
}

static void live_goes_before_backlog_three_to_one(void) {
    fresh(20);
    go(2000); /* 100 pictures while nobody is there */
    uint64_t before = committed_count;
    CHECK(boot_device(1)); /* another boot; now one each millisecond */
    credit = 1;
    connect_online();
    unsigned from = stored;
    go(300);
    unsigned live = 0, backlog = 0;
    for (unsigned i = from; i < stored; i++) lanes[i] == 'l' ? live++ : backlog++;
    CHECK(before >= 100 && backlog > 10 && live >= 3 * backlog - 3 && live <= 3 * backlog + 6);
}

static void a_refused_record_goes_into_quarantine_with_its_code(void) {
    hl_found found;
    fresh(100);
    go(500);
    refuse_with = "bad-jpeg";
    connect_online();
    hl_device_stop_taking(&device);
    go(2000);
    CHECK(hl_uplink_idle(&device.uplink) && device.uplink.quarantined >= committed_count && stored == 0);
    unsigned kept = 0;
    for (uint64_t at = 0; hl_spool_next(&device.quarantine, at, &found) == HL_OK; at = found.next, kept++) {
        CHECK(!strcmp(found.note, "bad-jpeg"));
        CHECK(hl_spool_verify(&device.quarantine, &found) == HL_OK);
    }
    CHECK(kept == device.uplink.quarantined);
}

static void a_record_told_to_wait_comes_again_after_its_pause(void) {
    fresh(100000);
    refuse_with = "no-space";
    retry_ms = "20000";
    connect_online();
    hl_device_stop_taking(&device);
    go(1000);
    CHECK(stored == 0 && received >= 1);
    unsigned before = received;
    refuse_with = NULL;
    go(15000);
    CHECK(received == before && stored == 0);
    go(10000);
    CHECK(hl_uplink_idle(&device.uplink));
    all_is_stored_once();
}

static void everything_is_held_while_the_gateway_is_offline(void) {
    fresh(50);
    connect_online();
    go(500);
    unsigned before = received;
    say_state(false, false);
    go(1);
    before = received;
    go(2000);
    CHECK(received == before && hellos == 1 && unheard <= 1);
    say_state(true, false);
    go(500);
    CHECK(hellos == 2 && received > before + 20);
    all_is_stored_once();
}

static void a_hello_spares_what_the_gateway_has(void) {
    fresh(50);
    connect_online();
    answers = 0;
    credit = 4;
    go(400);
    CHECK(received > device.uplink.flights.freed);
    fake_drop(&broker); /* its answers are lost with the link */
    unsigned before = received - device.uplink.flights.freed;
    answers = 1;
    go(3000);
    say_state(true, true);
    go(1000);
    CHECK(before >= 1 && hellos == 2 && again == 0 && device.uplink.flights.skipped == before);
    all_is_stored_once();
}

static void the_clock_is_learnt_with_half_the_round_trip(void) {
    uint64_t utc_us, err_us;
    fresh(100);
    knows_time = 0;
    connect_online();
    go(100);
    CHECK(!hl_timesync_utc(&device.uplink.time, now_us, &utc_us, &err_us));
    knows_time = 1;
    go(6000);
    CHECK(hl_timesync_utc(&device.uplink.time, now_us, &utc_us, &err_us));
    CHECK(err_us <= 3000 && utc_us + err_us >= utc_base + now_us && utc_us <= utc_base + now_us + err_us);
    unsigned anchors = 0;
    for (unsigned i = 0; i < stored; i++) anchors += ledger[i].kind == HL_ANCHOR;
    CHECK(anchors == 1);
    hl_timesync before = device.uplink.time;
    fake_say(&broker, "hearthlog/v1/porch/dn/time", "{\"t0_us\": 1, \"utc_us\": 1000000000000000, \"synced\": true}", false, 0);
    go(10);
    CHECK(device.uplink.time.utc_us == before.utc_us);
}

static void words_that_make_no_sense_change_a_counter_only(void) {
    static const char *const TOPICS[] = {"hearthlog/v1/porch/dn/ack", "hearthlog/v1/porch/dn/time", "hearthlog/v1/gateway/status",
                                         "hearthlog/v1/other/dn/ack", "x"};
    static const char *const WORDS[] = {"", "{}", "[]", "\xff\xfe", "{\"state\":\"on\"}", "{\"boot\":\"00\",\"ranges\":[[0,9]],\"nack\":[],\"credit\":9}",
                                        "{\"t0_us\":-1,\"utc_us\":5,\"synced\":true}"};
    fresh(100000);
    answers = knows_time = 0;
    connect_online();
    go(100);
    unsigned flying = device.uplink.flights.count, window = device.uplink.flights.credit;
    uint32_t bad = device.uplink.bad_messages;
    for (size_t t = 0; t < 5; t++)
        for (size_t w = 0; w < sizeof WORDS / sizeof WORDS[0]; w++) {
            fake_say(&broker, TOPICS[t], WORDS[w], false, 0);
            go(1);
        }
    CHECK(device.uplink.flights.count == flying && device.uplink.flights.credit == window && device.uplink.online);
    CHECK(device.uplink.bad_messages == bad + 35 && !device.uplink.time.known && device.uplink.mqtt.state == HL_MQTT_UP);
}

static void unknown_ids_are_refused(void) {
    fresh(100);
    static const char *const BAD[] = {"", "ab", "gateway", "-ab", "Porch", "a/b/c", "a+b", "0123456789012345678901234567890123"};
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        hl_uplink_config config = device.config.uplink;
        config.device = BAD[i];
        CHECK(hl_uplink_begin(&device.uplink, &config) == HL_BAD_LENGTH);
    }
}

/* Links dropped and half open, acknowledgements lost, repeated and late, the gateway away, writes that fail, the power
 * cut and the device booted anew: whatever the seed, everything that was committed arrives, once, and all drains. */
static void run_schedule(uint64_t schedule) {
    fresh(40);
    uint64_t chance = schedule * 0x9e3779b97f4a7c15ull + 99;
    lose_every = 2 + (unsigned)(schedule % 5);
    repeat_every = 3;
    connect_online();
    for (unsigned n = 0; n < 60; n++) {
        uint64_t dice = test_random(&chance);
        switch (dice % 12) {
        case 0:
            fake_drop(&broker);
            break;
        case 1:
            broker.deaf = !broker.deaf;
            break;
        case 2:
            say_state(false, false);
            break;
        case 3:
            broker.at_once = 1 + (size_t)(dice >> 8) % 200;
            break;
        case 4:
            card.fail_every = 3 + (unsigned)(dice >> 8) % 20;
            break;
        case 5: /* the power is cut */
            memory_card_cut(&card, &spare, &chance);
            memcpy(&card, &spare, sizeof card);
            card.card.self = &card;
            fake_drop(&broker);
            CHECK(boot_device(40));
            break;
        case 6: /* late and in another order */
            hold_back = !hold_back;
            while (withheld_count) acknowledge(&withheld[--withheld_count]);
            break;
        default:
            card.fail_every = 0;
            broker.deaf = false;
            say_state(true, !broker.open || dice % 3 == 0);
        }
        go((unsigned)(dice >> 20) % 200);
        if (broker.open && device.uplink.mqtt.state == HL_MQTT_UP && !device.uplink.heard_status) say_state(online != 0, true);
    }
    card.fail_every = 0;
    broker.deaf = false;
    broker.at_once = 100000;
    lose_every = hold_back = 0;
    hl_device_stop_taking(&device);
    for (unsigned n = 0; n < 500 && !hl_uplink_idle(&device.uplink); n++) {
        go(100);
        if (n % 10 == 0) say_state(true, false);
        now_us += 400000;
    }
    CHECK(hl_uplink_idle(&device.uplink));
    all_is_stored_once();
    CHECK(device.uplink.quarantined == 0);
}

static void any_schedule_of_faults_ends_with_everything_stored_once(void) {
    unsigned long records = 0, twice = 0;
    for (uint64_t schedule = 0; schedule < (test_records > 200 ? 300 : 60); schedule++) {
        run_schedule(schedule);
        records += committed_count;
        twice += again;
    }
    printf("  %lu records, %lu of them sent again\n", records, twice);
}

const test_case TESTS_UPLINK[] = {
    {"uplink: records are freed by the acknowledgement alone", records_are_freed_by_the_acknowledgement_alone},
    {"uplink: no more are in flight than the credit", no_more_are_in_flight_than_the_credit},
    {"uplink: live goes before backlog three to one", live_goes_before_backlog_three_to_one},
    {"uplink: a refused record goes into quarantine with its code", a_refused_record_goes_into_quarantine_with_its_code},
    {"uplink: a record told to wait comes again after its pause", a_record_told_to_wait_comes_again_after_its_pause},
    {"uplink: everything is held while the gateway is offline", everything_is_held_while_the_gateway_is_offline},
    {"uplink: a hello spares what the gateway has", a_hello_spares_what_the_gateway_has},
    {"uplink: the clock is learnt with half the round trip", the_clock_is_learnt_with_half_the_round_trip},
    {"uplink: words that make no sense change a counter only", words_that_make_no_sense_change_a_counter_only},
    {"uplink: unknown ids are refused", unknown_ids_are_refused},
    {"uplink: any schedule of faults ends with everything stored once", any_schedule_of_faults_ends_with_everything_stored_once},
    {NULL, NULL},
};
