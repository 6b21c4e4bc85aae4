/* The MQTT client against a broker in memory, a byte at a time and all at once. */
#include "test.h"

#include "fake_broker.h"
#include "mqtt.h"

static fake_broker broker;
static hl_mqtt client;
static unsigned connected, lost, heard, taken;
static char heard_topic[64], heard_text[64];
static size_t taken_bytes;
static uint64_t taken_sum;

static const hl_mqtt_options OPTIONS = {"cam", "porch", "secret", "a/will", "gone", 20};

static void on_connected(void *self) {
    (void)self;
    connected++;
}

static void on_message(void *self, const char *topic, const char *payload, size_t n, bool retained) {
    (void)self;
    (void)retained;
    heard++;
    CHECK(strlen(topic) < sizeof heard_topic && n < sizeof heard_text);
    strcpy(heard_topic, topic);
    memcpy(heard_text, payload, n);
    heard_text[n] = 0;
}

static void on_lost(void *self, const char *why) {
    (void)self;
    CHECK(why[0]);
    lost++;
}

static void on_published(fake_broker *b, const char *topic, const uint8_t *payload, size_t n, unsigned qos,
                         bool retained) {
    (void)b;
    (void)topic;
    (void)qos;
    (void)retained;
    taken++;
    taken_bytes = n;
    taken_sum = 0;
    for (size_t i = 0; i < n; i++) taken_sum += (uint64_t)payload[i] * (i + 1);
}

static bool source(void *self, uint32_t offset, void *out, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) ((uint8_t *)out)[i] = (uint8_t)((offset + i) * 7);
    return self == NULL || offset + n < *(uint32_t *)self;
}

static void begin(size_t at_once) {
    fake_begin(&broker);
    broker.at_once = at_once;
    broker.published = on_published;
    connected = lost = heard = taken = 0;
    hl_mqtt_begin(&client, &broker.net, &OPTIONS, &(hl_mqtt_events){NULL, on_connected, on_message, on_lost});
    hl_mqtt_open(&client, 0);
}

static void go(uint64_t now_us, unsigned rounds) {
    for (unsigned i = 0; i < rounds; i++) {
        hl_mqtt_step(&client, now_us);
        fake_step(&broker);
    }
}

static void it_speaks_in_pieces_of_any_size(void) {
    static const size_t SIZES[] = {1, 2, 3, 7, 100, 5000, 100000};
    for (size_t i = 0; i < sizeof SIZES / sizeof SIZES[0]; i++) {
        begin(SIZES[i]);
        go(1, 200);
        CHECK(connected == 1 && !strcmp(broker.will, "gone"));
        CHECK(hl_mqtt_subscribe(&client, "b/c", 1));
        CHECK(hl_mqtt_stream(&client, "a/rec", 30000, source, NULL));
        CHECK(!hl_mqtt_stream(&client, "a/rec", 1, source, NULL));
        hl_mqtt_step(&client, 1);
        CHECK(hl_mqtt_publish(&client, "a/small", "{}", 1, true)); /* waits behind the stream, never inside it */
        fake_say(&broker, "b/c", "hello", false, 1);
        go(1, 60000 / (unsigned)SIZES[i] + 200);
        CHECK(taken == 2 && client.subscribed == 1 && client.acknowledged == 1);
        CHECK(heard == 1 && !strcmp(heard_topic, "b/c") && !strcmp(heard_text, "hello") && !lost);
        uint64_t sum = 0;
        for (uint32_t k = 0; k < 30000; k++) sum += (uint64_t)(uint8_t)(k * 7) * (k + 1);
        CHECK(hl_mqtt_stream(&client, "a/rec", 30000, source, NULL));
        go(1, 60000 / (unsigned)SIZES[i] + 200);
        CHECK(taken == 3 && taken_bytes == 30000 && taken_sum == sum);
    }
}

static void a_record_that_is_gone_ends_the_connection(void) {
    uint32_t end = 9000;
    begin(100000);
    go(1, 10);
    CHECK(hl_mqtt_stream(&client, "a/rec", 30000, source, &end));
    go(1, 10);
    CHECK(lost == 1 && taken == 0 && client.state == HL_MQTT_CLOSED);
}

static void a_half_open_link_is_given_up(void) {
    begin(100000);
    go(1, 10);
    CHECK(connected == 1);
    for (uint64_t t = 1; t < 60; t++) go(t * 1000000, 2);
    CHECK(!lost && broker.pings >= 4);
    broker.deaf = true;
    for (uint64_t t = 60; t < 100; t++) go(t * 1000000, 2);
    CHECK(lost == 1);
    hl_mqtt_open(&client, 100000000);
    for (uint64_t t = 100; t < 115; t++) go(t * 1000000, 2);
    CHECK(lost == 2); /* nobody greets */
}

static void a_long_message_is_passed_over(void) {
    static char big[10001];
    begin(997);
    go(1, 10);
    memset(big, 'x', 10000);
    fake_say(&broker, "b/c", big, false, 0);
    fake_say(&broker, "b/c", "after", false, 0);
    go(1, 50);
    CHECK(heard == 1 && client.ignored == 1 && !strcmp(heard_text, "after") && !lost);
}

static void any_bytes_from_the_broker_do_no_harm(void) {
    uint64_t state = 99;
    for (unsigned n = 0; n < 300; n++) {
        begin(1 + (size_t)(test_random(&state) % 60));
        if (n % 2) go(1, 60);
        for (unsigned i = 0; i < 400; i++) broker.out[i] = (uint8_t)(test_random(&state) >> 33);
        if (n % 4 == 1) broker.out[0] = 0x32, broker.out[1] = 60, broker.out[2] = 0;
        broker.out_used = 400;
        go(1, 500);
        CHECK(client.state == HL_MQTT_CLOSED || client.rx_have <= client.rx_want);
    }
}

const test_case TESTS_MQTT[] = {
    {"mqtt: it speaks in pieces of any size", it_speaks_in_pieces_of_any_size},
    {"mqtt: a record that is gone ends the connection", a_record_that_is_gone_ends_the_connection},
    {"mqtt: a half-open link is given up", a_half_open_link_is_given_up},
    {"mqtt: a long message is passed over", a_long_message_is_passed_over},
    {"mqtt: any bytes from the broker do no harm", any_bytes_from_the_broker_do_no_harm},
    {NULL, NULL},
};
