/* What the gateway orders: done once, told each time, whatever is lost and whenever the power goes. */
#include "credential.h"
#include "fake_house.h"
#include "fake_web.h"

static fake_web server;
static fake_firmware flash;
static uint8_t image[5000];
static unsigned restarts, identified, slept, results, lit;
static uint64_t slept_us;
static char last_result[128];
static hl_health health;
static void (*publish_to_house)(fake_broker *, const char *, const uint8_t *, size_t, unsigned, bool);

/* A key-value store of any keys. */
static struct {
    char key[8];
    uint8_t data[512];
    int n;
} store[12];
static int fails;

static int get(void *self, const char *key, void *data, size_t size) {
    (void)self;
    for (int i = 0; i < 12; i++)
        if (!strcmp(store[i].key, key) && (size_t)store[i].n <= size) {
            memcpy(data, store[i].data, (size_t)store[i].n);
            return store[i].n;
        }
    return -1;
}

static int put(void *self, const char *key, const void *data, size_t n) {
    (void)self;
    if (fails) return -1;
    for (int i = 0; i < 12; i++)
        if (!store[i].key[0] || !strcmp(store[i].key, key)) {
            strcpy(store[i].key, key);
            CHECK(n <= sizeof store[i].data);
            memcpy(store[i].data, data, n);
            store[i].n = (int)n;
            return 0;
        }
    return -1;
}

static const hl_kv OWN_KV = {NULL, get, put};

static void on_restart(void *self) {
    (void)self;
    restarts++;
}

static void on_sleep(void *self, uint64_t us) {
    (void)self;
    slept++;
    slept_us = us;
}

static int on_identify(void *self) {
    (void)self;
    identified++;
    return lit ? 0 : -1;
}

static void on_health(void *self, hl_health *out) {
    (void)self;
    *out = health;
}

static const hl_system SYSTEM = {NULL, on_restart, on_sleep, on_identify, on_health};

static char last_status[512];

static void on_published(fake_broker *b, const char *topic, const uint8_t *payload, size_t n, unsigned qos,
                         bool retained) {
    if (strstr(topic, "/up/result")) {
        CHECK(n < sizeof last_result && qos == 1 && !retained);
        memcpy(last_result, payload, n);
        last_result[n] = 0;
        results++;
    }
    if (strstr(topic, "/up/status")) {
        memcpy(last_status, payload, n);
        last_status[n] = 0;
    }
    publish_to_house(b, topic, payload, n, qos, retained);
}

static void on_request(fake_web *w) {
    char head[100];
    int n = sprintf(head, "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", (unsigned)sizeof image);
    fake_web_say(w, head, (size_t)n);
    fake_web_say(w, image, sizeof image);
}

static void boot(void) {
    hl_device_config config = device.config;
    config.kv = &OWN_KV;
    config.system = &SYSTEM;
    config.web = &server.web;
    config.firmware = &flash.firmware;
    config.uplink.firmware = "1.2.3";
    config.uplink.password = "secret";
    CHECK(hl_device_begin(&device, &config) == HL_OK);
    device.committed = on_committed;
    broker.open = false; /* as after a restart */
    go(1000);
    say_state(true, true);
    go(10);
}

static void begin(uint32_t interval_ms) {
    fresh(interval_ms);
    publish_to_house = broker.published;
    broker.published = on_published;
    memset(store, 0, sizeof store);
    memset(image, 0x77, sizeof image);
    fake_web_begin(&server, on_request);
    fake_firmware_begin(&flash);
    restarts = identified = slept = results = 0;
    fails = 0;
    lit = 1;
    last_result[0] = 0;
    health = (hl_health){3900, -61};
    boot();
}

static void order(const char *id, const char *what, const char *args, uint64_t expires_us, unsigned ttl_ms) {
    char text[1400];
    sprintf(text, "{\"id\":\"%s\",\"cmd\":\"%s\",\"args\":%s,\"expires_us\":%llu,\"ttl_ms\":%u}", id, what, args,
            (unsigned long long)expires_us, ttl_ms);
    fake_say(&broker, "hearthlog/v1/porch/dn/cmd", text, false, 1);
    go(5);
}

static void tell(const char *id, const char *what) { order(id, what, "{}", utc_base * 2, 30000); }

static bool said(const char *id, const char *code) {
    char wanted[128];
    sprintf(wanted, "{\"id\":\"%s\",\"ok\":%s,\"code\":\"%s\"}", id, *code ? "false" : "true", code);
    return !strcmp(last_result, wanted);
}

static void each_order_is_done_once_and_told_each_time(void) {
    begin(3600000);
    unsigned pictures = device.pictures;
    tell("0000000000000001", "snapshot");
    CHECK(said("0000000000000001", "") && device.pictures == pictures + 1);
    tell("0000000000000001", "snapshot");
    CHECK(results == 2 && device.pictures == pictures + 1);
    tell("0000000000000002", "identify");
    lit = 0;
    CHECK(said("0000000000000002", "") && identified == 1);
    tell("0000000000000003", "identify");
    CHECK(said("0000000000000003", "no-light"));
    tell("0000000000000004", "dance");
    CHECK(said("0000000000000004", "unknown-command"));
    tell("0000000000000005", "update");
    CHECK(said("0000000000000005", "bad-args"));
    fake_say(&broker, "hearthlog/v1/porch/dn/cfg", "{\"privacy\": true}", true, 1);
    go(5);
    tell("0000000000000006", "snapshot");
    CHECK(said("0000000000000006", "private") && device.pictures == pictures + 1);
    hl_device_stop_taking(&device);
    tell("0000000000000007", "snapshot");
    CHECK(said("0000000000000007", "no-camera"));
    for (unsigned i = 0; i < 9; i++) { /* eight are remembered */
        char id[17];
        sprintf(id, "00000000000001%02x", i);
        tell(id, "dance");
    }
    tell("0000000000000007", "dance");
    CHECK(said("0000000000000007", "unknown-command"));
}

static void old_orders_are_not_done(void) {
    begin(3600000);
    order("0000000000000001", "identify", "{}", utc_base - 1000000, 30000);
    CHECK(said("0000000000000001", "expired") && !identified);
    begin(3600000);
    device.uplink.time.known = false; /* without a clock the time to live counts */
    order("0000000000000002", "identify", "{}", 1, 30000);
    CHECK(said("0000000000000002", "") && identified == 1);
    device.uplink.time.known = false;
    order("0000000000000003", "identify", "{}", utc_base * 2, 0);
    CHECK(said("0000000000000003", "expired") && identified == 1);
    uint32_t bad = device.uplink.bad_messages;
    fake_say(&broker, "hearthlog/v1/porch/dn/cmd",
             "{\"id\":\"0000000000000009\",\"cmd\":\"identify\",\"expires_us\":9999999999999999,\"ttl_ms\":9}", true,
             1);
    go(5); /* retained: it is no command */
    CHECK(device.uplink.bad_messages == bad + 1 && identified == 1);
}

static void words_that_are_no_order_change_a_counter_only(void) {
    static char long_text[1200];
    static const char *const BAD[] = {
        "",
        "[]",
        "{}",
        "{\"id\":\"0000000000000001\",\"cmd\":\"identify\",\"expires_us\":1}",
        "{\"id\":\"000000000000000g\",\"cmd\":\"identify\",\"expires_us\":1,\"ttl_ms\":1}",
        "{\"id\":\"000000000000000/\",\"cmd\":\"identify\",\"expires_us\":1,\"ttl_ms\":1}",
        "{\"id\":\"000000000000000:\",\"cmd\":\"identify\",\"expires_us\":1,\"ttl_ms\":1}",
        "{\"id\":\"00000000000000001\",\"cmd\":\"identify\",\"expires_us\":1,\"ttl_ms\":1}",
        "{\"id\":7,\"cmd\":\"identify\",\"expires_us\":1,\"ttl_ms\":1}",
        "{\"id\":\"0000000000000001\",\"cmd\":\"\",\"expires_us\":1,\"ttl_ms\":1}",
        "{\"id\":\"0000000000000001\",\"cmd\":7,\"expires_us\":1,\"ttl_ms\":1}",
        "{\"id\":\"0000000000000001\",\"cmd\":\"identify\",\"expires_us\":-1,\"ttl_ms\":1}",
        "{\"id\":\"0000000000000001\",\"cmd\":\"identify\",\"expires_us\":\"x\",\"ttl_ms\":1}",
        "{\"id\":\"0000000000000001\",\"cmd\":\"identify\",\"expires_us\":1,\"ttl_ms\":null}",
        "{\"id\":\"0000000000000001\",\"cmd\":\"identify\",\"expires_us\":1,\"ttl_ms\":1,\"args\":[]}",
        "{\"id\":\"0000000000000001\",\"cmd\":\"identify\",\"expires_us\":1,\"ttl_ms\":1,\"args\":{\"a\":}}",
        "{\"id\":\"0000000000000001\",\"id\":\"0000000000000001\",\"cmd\":\"identify\",\"expires_us\":1,\"ttl_ms\":1}",
        "{\"id\":\"0000000000000001\",\"cmd\":\"identify\",\"cmd\":\"identify\",\"expires_us\":1,\"ttl_ms\":1}",
        "{\"id\":\"0000000000000001\",\"cmd\":\"identify\",\"expires_us\":1,\"expires_us\":1,\"ttl_ms\":1}",
        "{\"id\":\"0000000000000001\",\"cmd\":\"identify\",\"expires_us\":1,\"ttl_ms\":1,\"ttl_ms\":1}",
        "{\"id\":\"0000000000000001\",\"cmd\":\"identify\",\"args\":{},\"args\":{},\"expires_us\":1,\"ttl_ms\":1}",
        "{\"id\":\"0000000000000001\",\"cmd\":\"identify\",\"expires_us\":1,\"ttl_ms\":1} x",
        long_text};
    begin(3600000);
    sprintf(long_text,
            "{\"id\":\"0000000000000001\",\"cmd\":\"identify\",\"expires_us\":1,\"ttl_ms\":1,\"x\":\"%01000d\"}", 0);
    uint32_t bad = device.uplink.bad_messages;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        fake_say(&broker, "hearthlog/v1/porch/dn/cmd", BAD[i], false, 1);
        go(2);
        CHECK(device.uplink.bad_messages == bad + i + 1);
    }
    CHECK(!identified && !results);
    fake_say(
        &broker, "hearthlog/v1/porch/dn/cmd",
        "{\"later\":[1],\"id\":\"0000000000000001\",\"cmd\":\"identify\",\"expires_us\":9007199254740991,\"ttl_ms\":1}",
        false, 1);
    go(2);
    CHECK(identified == 1);
}

static void a_restart_is_answered_first_and_not_done_again_after_it(void) {
    begin(3600000);
    tell("00000000000000aa", "restart");
    CHECK(said("00000000000000aa", "") && restarts == 1);
    boot();
    tell("00000000000000aa", "restart"); /* its answer was lost: it is told, and not done */
    CHECK(results == 2 && restarts == 1);
    fails = 1; /* what cannot be remembered is not done: it may come again */
    tell("00000000000000ab", "restart");
    CHECK(restarts == 1 && results == 2);
    fails = 0;
    tell("00000000000000ab", "restart");
    CHECK(restarts == 2);
    boot();
    hl_commands before;
    tell("00000000000000ac", "identify");
    hl_commands_load(&before, &OWN_KV);
    CHECK(hl_commands_find(&before, "00000000000000ac")->settled);
    hl_done *begun = hl_commands_begin(&before, &OWN_KV, "00000000000000ad"); /* and here the power goes */
    CHECK(begun);
    boot();
    tell("00000000000000ad", "identify");
    CHECK(said("00000000000000ad", "interrupted") && identified == 1);
    for (int i = 0; i < 12; i++)
        if (!strcmp(store[i].key, "cmds")) store[i].data[9] ^= 1;
    hl_commands_load(&before, &OWN_KV);
    CHECK(!before.done[0].id[0]);
    for (int i = 0; i < 12; i++)
        if (!strcmp(store[i].key, "cmds")) store[i].data[9] ^= 1, store[i].data[0] = 9;
    hl_commands_load(&before, &OWN_KV);
    hl_commands_load(&before, NULL);
    CHECK(!before.done[0].id[0] && !hl_commands_begin(&before, NULL, "00000000000000ae"));
}

static void an_answer_waits_for_room_and_a_parting_for_its_words(void) {
    begin(3600000);
    broker.full = true;
    while (hl_mqtt_publish(&device.uplink.mqtt, "hearthlog/v1/porch/up/event", "{}", 1, false)) {
    }
    fake_say(&broker, "hearthlog/v1/porch/dn/cmd",
             "{\"id\":\"00000000000000aa\",\"cmd\":\"restart\",\"expires_us\":9007199254740991,\"ttl_ms\":1}", false,
             0);
    go(20);
    CHECK(!restarts && !results);
    broker.full = false;
    go(50);
    CHECK(restarts == 1 && said("00000000000000aa", ""));
    boot();
    broker.full = true; /* nobody takes the last words: it goes all the same */
    while (hl_mqtt_publish(&device.uplink.mqtt, "hearthlog/v1/porch/up/event", "{}", 1, false)) {
    }
    fake_say(&broker, "hearthlog/v1/porch/dn/cmd",
             "{\"id\":\"00000000000000ab\",\"cmd\":\"restart\",\"expires_us\":9007199254740991,\"ttl_ms\":1}", false,
             0);
    go(4000);
    CHECK(restarts == 1);
    go(2000);
    CHECK(restarts == 2);
}

static void forgetting_leaves_the_records(void) {
    hl_credential c = {.device = "porch", .password = "x", .host = "h", .port = 1};
    begin(100);
    answers = 0;
    go(1000);
    CHECK(hl_credential_save(&c, &OWN_KV, NULL) && hl_credential_load(&c, &OWN_KV));
    unsigned before = committed_count;
    tell("00000000000000aa", "forget");
    go(20);
    CHECK(said("00000000000000aa", "") && restarts == 1 && !hl_credential_load(&c, &OWN_KV) && before > 5);
    answers = 1;
    boot();
    hl_device_stop_taking(&device);
    go(8000);
    all_is_stored_once();
}

static void update_to(const char *id, const char *version) {
    char args[800];
    fake_manifest(args, image, sizeof image, version);
    order(id, "update", args, utc_base * 2, 30000);
}

static void new_firmware_is_started_tried_and_kept(void) {
    begin(3600000);
    server.at_once = 3;
    update_to("00000000000000aa", "1.2.4");
    CHECK(!results);
    update_to("00000000000000ab", "1.2.5");
    CHECK(said("00000000000000ab", "busy"));
    go(300);
    CHECK(said("00000000000000aa", "") && restarts == 1 && flash.next == 1);
    fake_firmware_boot(&flash);
    answers = 0;
    boot();
    go(2000);
    CHECK(flash.trial && !flash.confirmed); /* a connection is not enough */
    answers = 1;
    go(8000);
    CHECK(flash.confirmed == 1 && !flash.trial);
    update_to("00000000000000ac", "1.2.2");
    CHECK(said("00000000000000ac", "not-newer"));
    image[0] ^= 1;
    char args[800];
    fake_manifest(args, image, sizeof image, "1.9.0");
    image[0] ^= 1;
    order("00000000000000ad", "update", args, utc_base * 2, 30000);
    go(300);
    CHECK(said("00000000000000ad", "bad-hash") && restarts == 1);
}

static void new_firmware_that_reaches_nobody_is_given_up(void) {
    begin(3600000);
    update_to("00000000000000aa", "1.2.4");
    go(300);
    fake_firmware_boot(&flash);
    boot();
    CHECK(flash.confirmed == 1);
    begin(3600000);
    update_to("00000000000000aa", "1.2.4");
    go(300);
    fake_firmware_boot(&flash);
    answers = 0;
    broker.refuse = true;
    boot();
    for (unsigned i = 0; i < 700 && !flash.rolled_back; i++) {
        now_us += 1000000;
        go(1);
    }
    CHECK(flash.rolled_back == 1 && flash.runs == 0 && !flash.confirmed);
}

static void a_sleeping_camera_says_when_it_is_back(void) {
    begin(60000);
    hl_device_config config = device.config;
    config.awake_ms = 30000;
    now_us = 0;
    CHECK(hl_device_begin(&device, &config) == HL_OK);
    device.committed = on_committed;
    go(1000);
    CHECK(!slept);
    say_state(true, true);
    go(200);
    CHECK(slept == 1 && slept_us > 50000000 && slept_us <= 60000000);
    CHECK(strstr(last_status, "\"state\":\"asleep\"") && strstr(last_status, "\"wakes_in_s\":5"));
    CHECK(strstr(last_status, "\"battery_mv\":3900") && strstr(last_status, "\"rssi_dbm\":-61"));
    all_is_stored_once();
    now_us = 0; /* and with nobody there it sleeps when its time is over */
    broker.refuse = true;
    CHECK(hl_device_begin(&device, &config) == HL_OK);
    go(29000);
    CHECK(slept == 1);
    go(2000);
    CHECK(slept > 1);
    slept = 0;
    config.interval_ms = 5000; /* so soon again that it stays awake */
    broker.refuse = false;
    now_us = 0;
    CHECK(hl_device_begin(&device, &config) == HL_OK);
    go(1000);
    say_state(true, true);
    go(9000);
    CHECK(!slept);
}

static void without_a_board_behind_it_orders_are_unknown(void) {
    begin(3600000);
    hl_device_config config = device.config;
    config.system = NULL;
    config.firmware = NULL;
    config.telemetry_ms = 1000;
    config.uplink.client_id = "other";
    CHECK(hl_device_begin(&device, &config) == HL_OK);
    broker.open = false;
    go(1000);
    say_state(true, true);
    go(1500);
    CHECK(!strcmp(device.uplink.client_id, "other"));
    tell("0000000000000001", "identify");
    CHECK(said("0000000000000001", "unknown-command"));
    tell("0000000000000002", "restart");
    CHECK(said("0000000000000002", "unknown-command"));
    update_to("0000000000000003", "2.0.0");
    CHECK(said("0000000000000003", "unknown-command"));
    hl_system deaf = {.restart = NULL};
    config.system = &deaf;
    health = (hl_health){0, 0};
    CHECK(hl_device_begin(&device, &config) == HL_OK);
    broker.open = false;
    go(1000);
    say_state(true, true);
    go(1500);
    tell("0000000000000011", "identify");
    tell("0000000000000012", "restart");
    CHECK(said("0000000000000012", "unknown-command"));
    order("0000000000000013", "forget", "{}", utc_base * 2, 1);
    go(20);
    CHECK(said("0000000000000013", ""));
}

static void a_broker_that_does_not_know_it_is_asked_ever_more_seldom(void) {
    begin(3600000);
    for (unsigned i = 0; i < 12; i++) device.uplink.failures = 12;
    device.uplink.mqtt.events.lost(&device.uplink, HL_MQTT_REFUSED);
    CHECK(device.uplink.reconnect_us - now_us >= 150000000 && device.uplink.reconnect_us - now_us <= 450000000);
}

const test_case TESTS_ORDERS[] = {
    {"orders: each order is done once and told each time", each_order_is_done_once_and_told_each_time},
    {"orders: old orders are not done", old_orders_are_not_done},
    {"orders: words that are no order change a counter only", words_that_are_no_order_change_a_counter_only},
    {"orders: a restart is answered first and not done again after it",
     a_restart_is_answered_first_and_not_done_again_after_it},
    {"orders: an answer waits for room and a parting for its words",
     an_answer_waits_for_room_and_a_parting_for_its_words},
    {"orders: forgetting leaves the records", forgetting_leaves_the_records},
    {"orders: new firmware is started, tried and kept", new_firmware_is_started_tried_and_kept},
    {"orders: new firmware that reaches nobody is given up", new_firmware_that_reaches_nobody_is_given_up},
    {"orders: a sleeping camera says when it is back", a_sleeping_camera_says_when_it_is_back},
    {"orders: without a board behind it orders are unknown", without_a_board_behind_it_orders_are_unknown},
    {"orders: a broker that does not know it is asked ever more seldom",
     a_broker_that_does_not_know_it_is_asked_ever_more_seldom},
    {NULL, NULL},
};
