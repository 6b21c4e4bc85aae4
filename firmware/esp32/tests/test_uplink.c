/* The uplink and a whole device, against a gateway in memory. */
#include "fake_house.h"

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
    fake_say(&broker, "hearthlog/v1/porch/dn/time", "{\"t0_us\": 1, \"utc_us\": 1000000000000000, \"synced\": true}",
             false, 0);
    go(10);
    CHECK(device.uplink.time.utc_us == before.utc_us);
}

static void words_that_make_no_sense_change_a_counter_only(void) {
    static const char *const TOPICS[] = {"hearthlog/v1/porch/dn/ack", "hearthlog/v1/porch/dn/time",
                                         "hearthlog/v1/gateway/status", "hearthlog/v1/other/dn/ack", "x"};
    static const char *const WORDS[] = {"",
                                        "{}",
                                        "[]",
                                        "\xff\xfe",
                                        "{\"state\":\"on\"}",
                                        "{\"boot\":\"00\",\"ranges\":[[0,9]],\"nack\":[],\"credit\":9}",
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
    CHECK(device.uplink.bad_messages == bad + 35 && !device.uplink.time.known &&
          device.uplink.mqtt.state == HL_MQTT_UP);
}

static void unknown_ids_are_refused(void) {
    fresh(100);
    static const char *const BAD[] = {"",      "ab",    "gateway", "-ab",
                                      "Porch", "a/b/c", "a+b",     "0123456789012345678901234567890123"};
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        hl_uplink_config config = device.config.uplink;
        config.device = BAD[i];
        CHECK(hl_uplink_begin(&device.uplink, &config) == HL_BAD_LENGTH);
    }
}

static void a_whole_camera_sees_hears_and_tells(void) {
    uint64_t heard = 0;
    fresh(1000);
    heard = now_us * 16 / 1000;
    forget_kv();
    hl_microphone microphone = {&heard, take_sound};
    hl_device_config config = device.config;
    config.kv = &KV;
    config.microphone = &microphone;
    config.telemetry_ms = 2000;
    config.interval_ms = 0; /* as the settings say */
    config.segment_blocks = 80;
    memory_card_begin(&card);
    CHECK(hl_device_begin(&device, &config) == HL_OK);
    device.committed = on_committed;
    connect_online();
    fake_say(&broker, "hearthlog/v1/porch/dn/cfg", "{\"every_s\": 1, \"quality\": 20}", true, 1);
    fake_say(&broker, "hearthlog/v1/porch/dn/cfg", "{\"every_s\": 0}", true, 1);
    fake_say(&broker, "hearthlog/v1/porch/dn/cmd", "{\"id\": 1}", false, 1);
    go(5000);
    CHECK(quality_set == 20 && device.settings.interval_ms == 1000 && device.uplink.bad_messages == 2);
    CHECK(stored_of(HL_JPEG) >= 4 && stored_of(HL_AUDIO) >= 4 && stored_of(HL_TELEMETRY) >= 2 &&
          stored_of(HL_ANCHOR) == 1);
    bad_frames_to_come = 5;
    unsigned pictures = device.pictures;
    go(5500);
    CHECK(device.bad_frames == 5 && resets == 1 && device.pictures <= pictures + 1);
    fake_say(&broker, "hearthlog/v1/porch/dn/cfg", "{\"motion\": true, \"still_s\": 3}", true, 1);
    go(6100);
    CHECK(device.still >= 3 && device.pictures >= pictures + 2);
    pictures = device.pictures;
    fake_say(&broker, "hearthlog/v1/porch/dn/cfg", "{\"privacy\": true}", true, 1);
    go(50);
    unsigned sounds = device.sounds;
    pictures = device.pictures;
    go(3000);
    CHECK(device.pictures == pictures && device.sounds == sounds);
    all_is_stored_once();
    uint64_t sequence = device.spool.next_sequence;
    uint32_t boots = device.spool.boot.counter;
    hl_device_end(&device);
    memory_card_begin(&card); /* another card: the key-value store knows what was used */
    CHECK(hl_device_begin(&device, &config) == HL_OK);
    CHECK(device.spool.next_sequence >= sequence && device.spool.boot.counter == boots + 1 && device.settings.privacy);
    config.uplink.device = "no";
    CHECK(hl_device_begin(&device, &config) == HL_BAD_LENGTH);
    config.segment_blocks = 4096;
    CHECK(hl_device_begin(&device, &config) == HL_BAD_LENGTH);
}

const test_case TESTS_UPLINK[] = {
    {"uplink: records are freed by the acknowledgement alone", records_are_freed_by_the_acknowledgement_alone},
    {"uplink: no more are in flight than the credit", no_more_are_in_flight_than_the_credit},
    {"uplink: live goes before backlog three to one", live_goes_before_backlog_three_to_one},
    {"uplink: a refused record goes into quarantine with its code",
     a_refused_record_goes_into_quarantine_with_its_code},
    {"uplink: a record told to wait comes again after its pause", a_record_told_to_wait_comes_again_after_its_pause},
    {"uplink: everything is held while the gateway is offline", everything_is_held_while_the_gateway_is_offline},
    {"uplink: a hello spares what the gateway has", a_hello_spares_what_the_gateway_has},
    {"uplink: the clock is learnt with half the round trip", the_clock_is_learnt_with_half_the_round_trip},
    {"uplink: words that make no sense change a counter only", words_that_make_no_sense_change_a_counter_only},
    {"uplink: unknown ids are refused", unknown_ids_are_refused},
    {"uplink: a whole camera sees, hears and tells", a_whole_camera_sees_hears_and_tells},
    {NULL, NULL},
};
