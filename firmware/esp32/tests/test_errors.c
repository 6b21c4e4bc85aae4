/* What goes wrong on the way: the stream, the broker's words, the card while something is sent, the sensors. */
#include "fake_house.h"

#include "mqtt.h"

static hl_mqtt client;
static unsigned connected, lost, heard;
static char last_why[64];
static hl_mqtt_options options;

static void on_connected(void *self) {
    (void)self;
    connected++;
}

static void on_message(void *self, const char *topic, const char *payload, size_t n, bool retained) {
    (void)self;
    (void)topic;
    (void)payload;
    (void)n;
    (void)retained;
    heard++;
}

static void on_lost(void *self, const char *why) {
    (void)self;
    lost++;
    strcpy(last_why, why);
}

static bool source(void *self, uint32_t offset, void *out, uint32_t n) {
    (void)self;
    (void)offset;
    memset(out, 1, n);
    return true;
}

static void begin(void) {
    fake_begin(&broker);
    options = (hl_mqtt_options){"cam", NULL, NULL, "a/will", "gone", 20};
    connected = lost = heard = 0;
    hl_mqtt_begin(&client, &broker.net, &options, &(hl_mqtt_events){NULL, on_connected, on_message, on_lost});
}

static void spin(uint64_t at_us, unsigned rounds) {
    for (unsigned i = 0; i < rounds; i++) {
        hl_mqtt_step(&client, at_us);
        fake_step(&broker);
    }
}

static void up(void) {
    begin();
    hl_mqtt_open(&client, 0);
    spin(1, 5);
    CHECK(connected == 1);
}

static void a_stream_that_fails_is_told_once(void) {
    static char long_will[3000];
    begin();
    broker.refuse = true;
    hl_mqtt_open(&client, 0);
    CHECK(lost == 1 && client.state == HL_MQTT_CLOSED);
    hl_mqtt_close(&client, false); /* closed already */
    hl_mqtt_step(&client, 1);
    CHECK(lost == 1);
    begin();
    hl_mqtt_open(&client, 0);
    broker.open = false; /* it did not come to stand */
    hl_mqtt_step(&client, 1);
    CHECK(lost == 1 && !strcmp(last_why, "cannot connect"));
    begin();
    broker.slow = true;
    hl_mqtt_open(&client, 0);
    hl_mqtt_step(&client, 9000000);
    CHECK(!lost && client.state == HL_MQTT_OPENING);
    hl_mqtt_step(&client, 10000001);
    CHECK(lost == 1 && !strcmp(last_why, "no answer"));
    begin();
    memset(long_will, 'x', sizeof long_will - 1);
    options.will = long_will;
    hl_mqtt_open(&client, 0);
    hl_mqtt_step(&client, 1);
    CHECK(lost == 1 && !strcmp(last_why, "options are too long"));
    up();
    broker.breaks = true;
    CHECK(hl_mqtt_publish(&client, "a/b", "{}", 0, false));
    hl_mqtt_step(&client, 2);
    CHECK(lost == 1 && !strcmp(last_why, "cannot send"));
    CHECK(!hl_mqtt_publish(&client, "a/b", "{}", 0, false) && !hl_mqtt_subscribe(&client, "a/b", 1));
    CHECK(!hl_mqtt_stream(&client, "a/b", 5, source, NULL));
    up();
    broker.breaks = true;
    CHECK(hl_mqtt_stream(&client, "a/b", 5, source, NULL));
    hl_mqtt_step(&client, 2);
    CHECK(lost == 1);
    up();
    broker.dumb = true; /* takes everything, and is silent */
    for (uint64_t t = 1; t < 40 && !lost; t++) spin(t * 1000000, 1);
    CHECK(lost == 1 && !strcmp(last_why, "silent"));
}

static void nothing_is_taken_that_cannot_go_out(void) {
    static char word[1000], topic[200];
    unsigned taken = 0;
    up();
    memset(word, 'w', sizeof word - 1);
    memset(topic, 't', sizeof topic - 1);
    CHECK(!hl_mqtt_stream(&client, topic, 5, source, NULL));
    broker.deaf = true;
    while (hl_mqtt_publish(&client, "a/b", word, taken % 2, false)) taken++;
    CHECK(taken == 2 && !hl_mqtt_publish(&client, "a/b", word, 1, true));
    while (hl_mqtt_subscribe(&client, "a/b", 1)) taken++;
    broker.deaf = false;
    broker.at_once = 100;
    hl_mqtt_step(&client, 2);
    broker.at_once = 100000;
    fake_say(&broker, "b/c", "hello", false, 1); /* there is no room yet to acknowledge it */
    broker.deaf = false;
    client.last_id = 65534;
    spin(3, 4);
    CHECK(hl_mqtt_publish(&client, "a/b", "x", 1, false) && hl_mqtt_publish(&client, "a/b", "x", 1, false));
    CHECK(client.last_id == 1); /* 0 is no identifier */
    spin(4, 4);
    CHECK(!lost && !hl_mqtt_busy(&client));
    hl_mqtt_close(&client, true);
    CHECK(lost == 1);
    up();
    hl_mqtt_close(&client, false);
    up();
    broker.at_once = 10;
    CHECK(hl_mqtt_stream(&client, "a/b", 50000, source, NULL));
    hl_mqtt_step(&client, 2);
    broker.deaf = true;
    hl_mqtt_step(&client, 2);
    hl_mqtt_close(&client, true); /* not within a record */
    begin();
    hl_mqtt_open(&client, 0);
    hl_mqtt_close(&client, true); /* it never stood */
    CHECK(lost == 1);
}

static void hear(const char *bytes, size_t n) {
    memcpy(broker.out + broker.out_used, bytes, n);
    broker.out_used += n;
}

static void odd_packets_are_refused_or_passed_over(void) {
    static const struct {
        const char *bytes;
        size_t n;
    } FATAL[] = {{"\x30\1a", 3},     {"\x30\4\0\5ab", 6}, {"\x34\5\0\1a\0\1", 7},
                 {"\x32\3\0\1a", 5}, {"\0", 1},           {"\x30\xff\xff\xff\xff\1", 6}};
    static const struct {
        const char *bytes;
        size_t n;
    } GREETINGS[] = {{"\x20\2\0\5", 4}, {"\x20\3\0\0\0", 5}, {"\x40\2\0\1", 4}, {"\x20\0", 2}};
    for (size_t i = 0; i < sizeof FATAL / sizeof FATAL[0]; i++) {
        up();
        hear(FATAL[i].bytes, FATAL[i].n);
        spin(2, 3);
        CHECK(lost == 1 && !heard);
    }
    for (size_t i = 0; i < sizeof GREETINGS / sizeof GREETINGS[0]; i++) {
        begin();
        hl_mqtt_open(&client, 0);
        hl_mqtt_step(&client, 1); /* CONNECT is out; nobody reads it */
        hear(GREETINGS[i].bytes, GREETINGS[i].n);
        hl_mqtt_step(&client, 2);
        CHECK(lost == 1 && !connected);
    }
    up();
    static char topic[200];
    memset(topic, 't', 150);
    fake_say(&broker, topic, "x", false, 0);
    hear("\x30\4\0\2a\0", 6);  /* a NUL in a topic */
    hear("\x90\3\0\1\x80", 5); /* a subscription refused */
    hear("\x90\2\0\1", 4);     /* and one without its answer */
    hear("\x50\2\0\1", 4);     /* PUBREC, which is not spoken here */
    spin(2, 3);
    CHECK(!lost && !heard && client.ignored == 3 && client.refused == 2);
    broker.full = true;
    while (hl_mqtt_publish(&client, "a/b", "0123456789", 0, false)) {
    }
    char rest[20] = {0};
    memset(rest, 'r', HL_MQTT_TX - client.tx_used > 8 ? HL_MQTT_TX - client.tx_used - 7 : 0);
    (void)hl_mqtt_publish(&client, "a/b", rest, 0, false);
    uint32_t ignored = client.ignored;
    hear("\x32\x08\0\3b/c\0\7x", 10);
    hl_mqtt_step(&client, 3);
    CHECK(client.ignored == ignored + 1 && !heard); /* no room to acknowledge it, so it was not taken */
}

static void pause_over(void) {
    now_us += 40000000;
    go(3);
}

static void it_comes_back_ever_more_seldom(void) {
    fresh(100000);
    broker.refuse = true;
    for (unsigned i = 0; i < 10; i++) pause_over();
    CHECK(broker.opens >= 10 && device.uplink.failures >= 10);
    CHECK(device.uplink.reconnect_us - now_us <= 45000000);
    broker.refuse = false;
    pause_over();
    connect_online();
    CHECK(device.uplink.failures == 0);
}

static void a_hello_names_many_boots_and_no_more_than_fit(void) {
    fresh(100000);
    for (unsigned i = 0; i < 20; i++) {
        go(2);
        CHECK(boot_device(100000));
    }
    go(2);
    connect_online();
    go(100);
    CHECK(hellos == 1);
    fresh(100000); /* and one boot with more records than one walk sees */
    uint8_t empty_map[] = {0xa0};
    for (unsigned i = 0; i < 600; i++) {
        hl_header header = {.kind = HL_TELEMETRY, .body_bytes = 1};
        CHECK(hl_spool_append(&device.spool, &header, NULL, empty_map) == HL_OK);
    }
    credit = 64;
    connect_online();
    go(2000);
    CHECK(hellos == 1 && stored >= 600);
}

static void say_ack(const char *format, uint64_t sequence) {
    char text[256], boot[17];
    for (size_t i = 0; i < HL_BOOT_BYTES; i++) sprintf(boot + 2 * i, "%02x", device.spool.boot.id[i]);
    sprintf(text, format, boot, (unsigned long long)sequence);
    fake_say(&broker, "hearthlog/v1/porch/dn/ack", text, false, 0);
    go(2);
}

static void words_at_the_wrong_time_change_nothing(void) {
    fresh(100000);
    answers = 0;
    connect_online();
    go(20);
    CHECK(device.uplink.flights.count == 1);
    uint64_t flying = device.uplink.flights.flights[0].sequence;
    say_ack("{\"boot\":\"%s\",\"ranges\":[],\"nack\":[{\"seq\":%llu,\"code\":\"x\",\"retry_ms\":null}],\"credit\":0}",
            flying + 900);
    CHECK(device.uplink.nacks == 0 && device.uplink.flights.credit == 1);
    say_ack("{\"boot\":\"%s\",\"ranges\":[[%llu,9007199254740991]],\"nack\":[],\"credit\":999}", flying + 1);
    CHECK(device.uplink.flights.count == 1 && device.uplink.flights.credit == HL_MAX_CREDIT);
    fake_say(&broker, "hearthlog/v1/porch/dn/ack",
             "{\"boot\":\"0000000000000000\",\"ranges\":[[0,9007199254740991]],\"nack\":[],\"credit\":4}", false, 0);
    go(3);
    CHECK(device.uplink.flights.count == 1); /* another boot's */
    uint32_t bad = device.uplink.bad_messages;
    fake_say(&broker, "hearthlog/v1/porch/dn/ack", "{}", true, 0);
    fake_say(&broker, "hearthlog/v1/porch/dn/time", "{}", true, 0);
    go(3);
    CHECK(device.uplink.bad_messages == bad + 2);
    device.uplink.config.configured = NULL;
    fake_say(&broker, "hearthlog/v1/porch/dn/cfg", "{}", true, 1);
    go(3);
    CHECK(device.uplink.bad_messages == bad + 3);
    for (unsigned i = 0; i < 40; i++) /* more is told than can be remembered */
        say_ack("{\"boot\":\"%s\",\"ranges\":[[%llu,9007199254740991]],\"nack\":[],\"credit\":4}", flying + 5 + i);
    CHECK(device.uplink.flights.have_count == HL_HAVE);
    say_state(true, true);
    say_state(true, true);
    go(3);
    CHECK(device.uplink.online);
}

static bool in_quarantine(uint64_t sequence) {
    hl_found found;
    for (uint64_t at = 0; hl_spool_next(&device.quarantine, at, &found) == HL_OK; at = found.next)
        if (found.header.sequence == sequence) return true;
    return false;
}

static void a_card_that_fails_for_a_moment_frees_nothing(void) {
    fresh(100);
    go(1500);
    unsigned before = committed_count;
    refuse_with = "bad-jpeg";
    connect_online();
    card.fail_reads = 1;
    go(300);
    card.fail_reads = 0;
    card.fail_until_cut = 1; /* nothing can be put into quarantine */
    uint32_t quarantined = device.uplink.quarantined;
    go(300);
    CHECK(device.uplink.quarantined == quarantined);
    card.fail_until_cut = 0;
    refuse_with = NULL;
    card.fail_reads = 1;
    go(400);
    card.fail_reads = 0;
    hl_device_stop_taking(&device);
    for (unsigned i = 0; i < 1200 && !hl_uplink_idle(&device.uplink); i++) {
        now_us += 300000;
        go(20);
        if (i % 100 == 99) say_state(true, false);
    }
    CHECK(hl_uplink_idle(&device.uplink) && committed_count >= before);
    for (unsigned i = 0; i < committed_count; i++)
        CHECK(in_ledger(committed[i].boot, committed[i].sequence) || in_quarantine(committed[i].sequence));
    CHECK(conflicts == 0);
}

/* `which` of a record's nine blocks: 0 its header, 8 its mark. */
static void bad_block(bool live, uint32_t which) {
    fresh(50);
    if (live) connect_online();
    go(1500);
    hl_found found;
    hl_header header = {.kind = HL_AUDIO, .body_bytes = 4000};
    static const uint8_t SOUND[4000];
    CHECK(hl_spool_append(&device.spool, &header, NULL, SOUND) == HL_OK);
    uint64_t wanted = header.sequence;
    for (uint64_t at = 0; hl_spool_next(&device.spool, at, &found) == HL_OK; at = found.next)
        if (found.header.sequence == wanted) card.bad_block = 16 + (uint32_t)(found.address % (SEGMENT * 37)) + which;
    if (!live) connect_online();
    hl_device_stop_taking(&device);
    for (unsigned i = 0; i < 120; i++) {
        go(200);
        now_us += 300000;
        if (i % 10 == 0) say_state(true, false);
    }
    all_is_stored_once(); /* all the others */
    CHECK(!in_ledger(device.spool.boot.id, wanted) && !hl_uplink_idle(&device.uplink) && device.uplink.connects < 8);
    card.bad_block = 0; /* and if it reads again one day, it goes as well */
    for (unsigned i = 0; i < 700 && !hl_uplink_idle(&device.uplink); i++) {
        now_us += 900000;
        go(20);
        if (i % 10 == 0) say_state(true, false);
    }
    CHECK(hl_uplink_idle(&device.uplink) && in_ledger(device.spool.boot.id, wanted));
}

static void a_block_that_never_reads_again_holds_up_nothing_else(void) {
    static const uint32_t WHICH[] = {3, 0, 8};
    for (int i = 0; i < 6; i++) bad_block(i % 2, WHICH[i / 2]);
}

static void what_is_in_quarantine_is_not_put_there_twice(void) {
    hl_found found;
    unsigned copies = 0;
    fresh(100000);
    answers = 0;
    connect_online();
    go(20);
    uint64_t flying = device.uplink.flights.flights[0].sequence;
    CHECK(hl_spool_next(&device.spool, device.uplink.flights.flights[0].address, &found) == HL_OK);
    CHECK(hl_spool_copy(&device.quarantine, &device.spool, &found, "bad-jpeg") == HL_OK); /* before a power cut */
    say_ack("{\"boot\":\"%s\",\"ranges\":[],\"nack\":[{\"seq\":%llu,\"code\":\"bad-jpeg\",\"retry_ms\":null}],"
            "\"credit\":1}",
            flying);
    for (uint64_t at = 0; hl_spool_next(&device.quarantine, at, &found) == HL_OK; at = found.next) copies++;
    CHECK(copies == 1 && device.uplink.quarantined == 1);
}

static void a_record_that_takes_long_is_not_sent_twice_for_it(void) {
    fresh(100000);
    connect_online();
    go(100);
    broker.at_once = 1; /* a few bytes a step: one record takes longer than its pause */
    device.picture_us = now_us;
    for (unsigned i = 0; i < 400; i++) {
        now_us += 40000;
        device.uplink.mqtt.heard_us = now_us; /* acknowledgements of other things keep coming */
        go(1);
    }
    broker.at_once = 100000;
    go(300);
    CHECK(again == 0 && device.uplink.flights.again == 0);
    all_is_stored_once();
}

static void records_dropped_while_they_fly_are_forgotten(void) {
    fresh(5);
    answers = 0;
    credit = 1;
    connect_online();
    go(4000); /* the ring goes round under the one that flies */
    CHECK(device.spool.drops > 0);
    now_us += 400000000;
    answers = 1;
    credit = 8;
    hl_device_stop_taking(&device);
    go(10);
    say_state(true, false);
    for (unsigned i = 0; i < 100 && !hl_uplink_idle(&device.uplink); i++) {
        go(100);
        now_us += 1000000;
        if (i % 10 == 0) say_state(true, false);
    }
    CHECK(hl_uplink_idle(&device.uplink) && stored_of(HL_GAP) > 0);
}

static void the_window_closes_under_what_waits(void) {
    fresh(10);
    connect_online();
    go(300);
    hold_back = 1;
    go(200);
    CHECK(device.uplink.flights.count == 4);
    now_us += 9000000; /* all of them are due again */
    withheld_count = 0;
    credit = 1;
    hold_back = 0;
    go(2000);
    hl_device_stop_taking(&device);
    for (unsigned i = 0; i < 6; i++) {
        now_us += 9000000;
        go(1000);
    }
    all_is_stored_once();
}

static int no_frame(void *self, const uint8_t **out, size_t *n) {
    (void)self;
    (void)out;
    (void)n;
    return -1;
}

static int huge_frame(void *self, const uint8_t **out, size_t *n) {
    static const uint8_t BYTE;
    (void)self;
    *out = &BYTE;
    *n = HL_MAX_RECORD_BYTES + 1;
    return 0;
}

static int moving_luma(void *self, uint8_t *cells) {
    (void)self;
    for (unsigned i = 0; i < HL_LUMA; i++) cells[i] = (uint8_t)((now_us / 8000000) % 2 && i < 20 ? 200 : 20);
    return 0;
}

static void on_nothing(void *self) { ++*(unsigned *)self; }

static void sensors_without_their_extras_work(void) {
    unsigned begun = 0;
    fresh(1000);
    hl_device_config config = device.config;
    hl_camera camera = *config.camera;
    camera.take = no_frame;
    camera.reset = on_nothing;
    camera.self = &begun;
    camera.luma = NULL;
    camera.quality = NULL;
    config.camera = &camera;
    CHECK(hl_device_begin(&device, &config) == HL_OK); /* nobody listens to what is committed either */
    go(6000);
    CHECK(begun == 1 && device.bad_frames == 6);
    camera.take = huge_frame;
    go(1000);
    CHECK(device.bad_frames == 7);
    camera.take = config.camera->take;
    fresh(500);
    hl_camera seeing = *device.config.camera;
    seeing.luma = moving_luma;
    device.config.camera = &seeing;
    connect_online();
    fake_say(&broker, "hearthlog/v1/porch/dn/cfg", "{\"motion\": true, \"still_s\": 0}", true, 1);
    go(30000);
    CHECK(device.pictures > 5 && device.still > 5);
    seeing.luma = NULL;
    fake_say(&broker, "hearthlog/v1/porch/dn/cfg", "{\"motion\": true, \"still_s\": 0}", true, 1); /* said again */
    fake_say(&broker, "hearthlog/v1/porch/dn/cfg", "{\"motion\": false}", true, 1);
    go(1000);
    uint64_t minute = (utc_base + now_us) / 60000000 % 1440;
    char text[80];
    sprintf(text, "{\"quiet\": [%llu, %llu]}", (unsigned long long)minute, (unsigned long long)(minute + 5) % 1440);
    fake_say(&broker, "hearthlog/v1/porch/dn/cfg", text, true, 1);
    go(10);
    unsigned pictures = device.pictures;
    go(3000);
    CHECK(device.pictures == pictures);
}

static void a_dead_card_stops_a_camera_from_beginning(void) {
    for (unsigned long at = 1; at < 200; at++) {
        fresh(1000);
        hl_device_config config = device.config;
        config.telemetry_ms = 1000;
        card.accesses = 0;
        card.fail_at = at;
        hl_code code = hl_device_begin(&device, &config);
        CHECK(code == HL_OK || code == HL_CARD_ERROR);
        if (code == HL_OK) go(50);
        if (card.accesses < at) return;
    }
}

const test_case TESTS_ERRORS[] = {
    {"errors: a stream that fails is told once", a_stream_that_fails_is_told_once},
    {"errors: nothing is taken that cannot go out", nothing_is_taken_that_cannot_go_out},
    {"errors: odd packets are refused or passed over", odd_packets_are_refused_or_passed_over},
    {"errors: it comes back ever more seldom", it_comes_back_ever_more_seldom},
    {"errors: a hello names many boots and no more than fit", a_hello_names_many_boots_and_no_more_than_fit},
    {"errors: words at the wrong time change nothing", words_at_the_wrong_time_change_nothing},
    {"errors: a card that fails for a moment frees nothing", a_card_that_fails_for_a_moment_frees_nothing},
    {"errors: a block that never reads again holds up nothing else",
     a_block_that_never_reads_again_holds_up_nothing_else},
    {"errors: what is in quarantine is not put there twice", what_is_in_quarantine_is_not_put_there_twice},
    {"errors: a record that takes long is not sent twice for it", a_record_that_takes_long_is_not_sent_twice_for_it},
    {"errors: records dropped while they fly are forgotten", records_dropped_while_they_fly_are_forgotten},
    {"errors: the window closes under what waits", the_window_closes_under_what_waits},
    {"errors: sensors without their extras work", sensors_without_their_extras_work},
    {"errors: a dead card stops a camera from beginning", a_dead_card_stops_a_camera_from_beginning},
    {NULL, NULL},
};
