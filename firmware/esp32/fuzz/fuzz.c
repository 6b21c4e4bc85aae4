/* libFuzzer on what reads bytes from elsewhere: the first byte chooses. Nothing may crash, hang, or pass its bounds;
 * what is read well must be written back the same. `make fuzz SECONDS=600`, and ONLY=spool for one of them alone. */
#include <stdlib.h>
#include <string.h>

#include "ack.h"
#include "command.h"
#include "base64.h"
#include "cbor.h"
#include "jpeg.h"
#include "improv.h"
#include "mqtt.h"
#include "ota.h"
#include "pair.h"
#include "settings.h"
#include "spool.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t size);

static void must(bool what) {
    if (!what) abort();
}

static void record(const uint8_t *data, size_t n) {
    hl_header header;
    uint8_t head[HL_HEADER_BYTES];
    if (hl_record_decode(data, n, &header) != HL_OK) return;
    hl_header_encode(&header, head);
    must(!memcmp(head, data, sizeof head));
    (void)hl_body_check(&header, data + HL_HEADER_BYTES + header.meta_bytes);
}

static void notes(const uint8_t *data, size_t n) {
    static hl_gap gap, again;
    uint8_t out[HL_GAP_BYTES];
    hl_anchor anchor;
    (void)hl_cbor_check(data, n);
    (void)hl_flat_map_check(data, n);
    (void)hl_jpeg_check(data, n);
    if (hl_anchor_decode(data, n, &anchor)) must(hl_anchor_encode(&anchor, out, sizeof out) > 0);
    if (!hl_gap_decode(data, n, &gap)) return;
    size_t used = hl_gap_encode(&gap, out, sizeof out);
    must(used > 0 && hl_gap_decode(out, used, &again) && again.count == gap.count);
}

static void on_range(void *self, const hl_ack *ack, hl_range range) {
    must(range.first <= range.last && range.last <= HL_MAX_SEQUENCE && ack->credit <= 1000);
    ++*(unsigned *)self;
}

static void on_nack(void *self, const hl_ack *ack, uint64_t sequence, const char *code, int64_t retry_ms) {
    (void)ack;
    must(sequence <= HL_MAX_SEQUENCE && strlen(code) < HL_CODE_BYTES && retry_ms >= HL_FOR_EVER);
    ++*(unsigned *)self;
}

static void words(const uint8_t *data, size_t n) {
    unsigned calls = 0;
    hl_ack_visitor visitor = {&calls, on_range, on_nack};
    const char *text = (const char *)data;
    hl_time_answer answer;
    hl_settings settings;
    hl_ack ack;
    bool online;
    if (!hl_ack_read(text, n, &ack, &visitor)) must(calls == 0);
    if (hl_time_read(text, n, &answer)) must(answer.utc_us <= HL_LATEST_UTC_US);
    (void)hl_status_read(text, n, &online);
    hl_settings_default(&settings);
    if (hl_settings_read(&settings, text, n)) must(settings.interval_ms >= 1000 && settings.quality >= 4);
}

typedef struct {
    const uint8_t *data;
    size_t n, at;
} stream;

static int stream_open(void *self) {
    (void)self;
    return 0;
}

static int stream_ready(void *self) {
    (void)self;
    return 1;
}

static int stream_send(void *self, const void *data, size_t n) {
    (void)self;
    (void)data;
    return (int)n;
}

static int stream_receive(void *self, void *data, size_t n) {
    stream *s = self;
    size_t take = s->n - s->at < n ? s->n - s->at : n;
    if (take > 7) take = 7;
    memcpy(data, s->data + s->at, take);
    s->at += take;
    return take ? (int)take : -1;
}

static void stream_close(void *self) { (void)self; }

static void on_connected(void *self) { hl_mqtt_subscribe(self, "a/b", 1); }

static void on_message(void *self, const char *topic, const char *payload, size_t n, bool retained) {
    static volatile char last;
    (void)self;
    (void)retained;
    must(strlen(topic) <= HL_MQTT_TOPIC && n <= HL_MQTT_RX);
    if (n) last = payload[n - 1];
    (void)last;
}

static void on_lost(void *self, const char *why) {
    (void)self;
    must(why[0] != 0);
}

static void mqtt(const uint8_t *data, size_t n) {
    static hl_mqtt m;
    static const hl_mqtt_options OPTIONS = {"cam", NULL, NULL, "a/will", "gone", 20};
    stream s = {data, n, 0};
    hl_net net = {&s, stream_open, stream_ready, stream_send, stream_receive, stream_close};
    hl_mqtt_begin(&m, &net, &OPTIONS, &(hl_mqtt_events){&m, on_connected, on_message, on_lost});
    hl_mqtt_open(&m, 1);
    for (unsigned i = 0; i < 64 && m.state != HL_MQTT_CLOSED; i++) hl_mqtt_step(&m, 1 + i);
}

enum { BLOCKS = 16 + 8 * 6 };

static uint8_t image[BLOCKS][HL_BLOCK];

static int image_read(void *self, uint32_t block, uint32_t count, void *data) {
    (void)self;
    must(block + count <= BLOCKS);
    memcpy(data, image[block], (size_t)count * HL_BLOCK);
    return 0;
}

static int image_write(void *self, uint32_t block, uint32_t count, const void *data) {
    (void)self;
    must(block + count <= BLOCKS);
    memcpy(image[block], data, (size_t)count * HL_BLOCK);
    return 0;
}

static int image_sync(void *self) {
    (void)self;
    return 0;
}

static uint64_t no_time(void *self) {
    (void)self;
    return 1;
}

static void no_chance(void *self, void *data, size_t n) {
    (void)self;
    memset(data, 7, n);
}

/* A card with a good log on it, on which some bytes are then others: whatever is found, it must go on. */
static void spool(const uint8_t *data, size_t n) {
    static uint8_t io[HL_IO_BYTES], body[600];
    static hl_spool s;
    static hl_gap failed;
    hl_card card = {NULL, BLOCKS, image_read, image_write, image_sync};
    hl_clock clock = {NULL, no_time};
    hl_random random = {NULL, no_chance};
    hl_spool_config config = {&card, &clock, &random, 0, BLOCKS, 8, io, 0, NULL, NULL, &failed};
    hl_boot boot = {0, {1}};
    hl_found found;
    memset(image, 0, sizeof image);
    must(hl_spool_open(&s, &config, &boot) == HL_OK);
    for (unsigned i = 0; i < (n ? data[0] % 40u : 0); i++) {
        hl_header header = {.kind = HL_AUDIO, .body_bytes = 600};
        must(hl_spool_append(&s, &header, NULL, body) == HL_OK);
    }
    for (size_t i = 1; i + 3 < n; i += 4)
        image[data[i] % BLOCKS][((size_t)data[i + 1] << 8 | data[i + 2]) % HL_BLOCK] ^= data[i + 3];
    must(hl_spool_open(&s, &config, &boot) == HL_OK);
    unsigned steps = 0;
    for (uint64_t at = 0; hl_spool_next(&s, at, &found) == HL_OK; at = found.next)
        must(++steps < 200 && found.next > found.address);
    for (unsigned i = 0; i < 10; i++) {
        hl_header header = {.kind = HL_AUDIO, .body_bytes = 600};
        must(hl_spool_append(&s, &header, NULL, body) == HL_OK);
    }
}

static void orders(const uint8_t *data, size_t n) {
    const char *text = (const char *)data;
    hl_command command;
    hl_manifest manifest;
    hl_version version;
    if (hl_command_read(text, n, &command)) {
        must(strlen(command.id) == HL_COMMAND_ID && command.name[0]);
        if (command.args) must(command.args >= text && command.args + command.args_bytes <= text + n);
        if (command.args && hl_manifest_read(command.args, command.args_bytes, &manifest)) must(manifest.size > 0);
    }
    if (hl_manifest_read(text, n, &manifest))
        must(manifest.host[0] && manifest.path[0] == '/' && manifest.signature_bytes <= HL_SIGNATURE_BYTES);
    char *copy = malloc(n + 1);
    if (!copy) return;
    memcpy(copy, data, n);
    copy[n] = 0;
    (void)hl_version_read(copy, &version);
    free(copy);
}

static const uint8_t *answers;
static size_t answers_left;

static int aim(void *self, const char *host, hl_trust trust, const uint8_t *ca, size_t ca_bytes) {
    (void)self;
    (void)host;
    (void)trust;
    (void)ca;
    (void)ca_bytes;
    return 0;
}

static int answer(void *self, void *data, size_t n) {
    (void)self;
    size_t take = answers_left < n ? answers_left : n;
    if (take > 40) take = 40;
    memcpy(data, answers, take);
    answers += take;
    answers_left -= take;
    return take ? (int)take : -1;
}

static int no_value(void *self, const char *key, void *data, size_t size) {
    (void)self;
    (void)key;
    (void)data;
    (void)size;
    return -1;
}

static int take_value(void *self, const char *key, const void *data, size_t n) {
    (void)self;
    must(key[0] && (data || !n));
    return 0;
}

/* The text of a pairing up to the first line's end, and then what the gateway answers. */
static void pairing(const uint8_t *data, size_t n) {
    static hl_pair pair;
    hl_web web = {{NULL, stream_open, stream_ready, stream_send, answer, stream_close}, aim};
    hl_kv kv = {NULL, no_value, take_value};
    hl_random random = {NULL, no_chance};
    const hl_pair_config config = {&web, &kv, &random, "hw", "board", "1.0.0", true};
    char text[HL_INVITATION_BYTES + 8];
    size_t used = 0;
    while (used < n && used + 1 < sizeof text && data[used] && data[used] != '\n') used++;
    memcpy(text, data, used);
    text[used] = 0;
    answers = data + used;
    answers_left = n - used;
    hl_pair_wake(&pair, &config);
    hl_pair_begin(&pair, text);
    for (uint64_t t = 1; t < 400 && hl_pair_step(&pair, t * 1000000) < HL_PAIR_DONE; t++) {
    }
    must(memchr(pair.code, 0, sizeof pair.code) != NULL);
}

static void on_wifi(void *self, const char *name, const char *password) {
    (void)self;
    must(name[0] && strlen(name) <= 32 && strlen(password) <= 64);
}

static void on_line(void *self, const char *line) {
    (void)self;
    must(!strncmp(line, "hearthlog:", 10));
}

static void on_write(void *self, const uint8_t *data, size_t n) {
    (void)self;
    must(n >= 11 && data[n - 1] == '\n');
}

static void installer(const uint8_t *data, size_t n) {
    improv line = {.info = {"a", "b", "c", "d"}, .wifi = on_wifi, .text = on_line, .write = on_write};
    for (size_t i = 0; i < n; i++) improv_take(&line, data[i]);
}

static const struct {
    const char *name;
    void (*run)(const uint8_t *data, size_t n);
} TARGETS[] = {{"record", record}, {"notes", notes},   {"words", words},     {"mqtt", mqtt},
               {"spool", spool},   {"orders", orders}, {"pairing", pairing}, {"installer", installer}};
#define TARGET_COUNT (sizeof TARGETS / sizeof *TARGETS)
static size_t only = TARGET_COUNT; /* which one alone; TARGET_COUNT for all */

/* HEARTHCAM_FUZZ names the one target that is wanted. */
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    const char *wanted = getenv("HEARTHCAM_FUZZ");
    if (!wanted || !*wanted) return 0;
    for (only = 0; only < TARGET_COUNT && strcmp(TARGETS[only].name, wanted);) only++;
    if (only == TARGET_COUNT) exit(2);
    return 0;
}

/* libFuzzer's own, but the choice of the target stays where one is wanted. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t size, unsigned seed) {
    (void)seed;
    if (only == TARGET_COUNT || !n || size < 2) return LLVMFuzzerMutate(data, n, size);
    data[0] = (uint8_t)only;
    return 1 + LLVMFuzzerMutate(data + 1, n - 1, size - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (!n) return 0;
    size_t target = data[0] % TARGET_COUNT;
    if (only != TARGET_COUNT && target != only) return 0;
    uint8_t *exact = malloc(n > 1 ? n - 1 : 1); /* so that a byte too far is seen */
    if (!exact) return 0;
    memcpy(exact, data + 1, n - 1);
    TARGETS[target].run(exact, n - 1);
    free(exact);
    return 0;
}
