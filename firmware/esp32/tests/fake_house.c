#include "fake_house.h"

#include "crc32.h"

name ledger[LEDGER], committed[LEDGER], withheld[WITHHELD];
unsigned stored, committed_count, withheld_count, hellos, received, conflicts, again, unheard, most_in_flight,
    in_flight;
unsigned credit = 4, lose_every, repeat_every, hold_back;
const char *refuse_with; /* nack instead, if not NULL */
const char *retry_ms = "null";
int answers = 1, knows_time = 1, online;
static uint64_t seed;
uint64_t now_us, utc_base = 1790000000000000ull;
char lanes[LEDGER];
static char last_hello[2048];
fake_broker broker;
memory_card card;
hl_device device;
unsigned bad_frames_to_come, resets, quality_set;
static struct {
    uint8_t data[4][64];
    int n[4];
} store;
static hl_clock clock_;
static hl_random random_;
static uint8_t jpeg[600];
static size_t jpeg_bytes;

static void write_boot(char *out, const uint8_t *boot) {
    for (size_t i = 0; i < HL_BOOT_BYTES; i++) sprintf(out + 2 * i, "%02x", boot[i]);
}

void acknowledge(const name *n) {
    char text[256], boot[17];
    write_boot(boot, n->boot);
    if (refuse_with)
        sprintf(
            text,
            "{\"boot\":\"%s\",\"ranges\":[],\"nack\":[{\"seq\":%llu,\"code\":\"%s\",\"retry_ms\":%s}],\"credit\":%u}",
            boot, (unsigned long long)n->sequence, refuse_with, retry_ms, credit);
    else
        sprintf(text, "{\"boot\":\"%s\",\"ranges\":[[%llu,%llu]],\"nack\":[],\"credit\":%u}", boot,
                (unsigned long long)n->sequence, (unsigned long long)n->sequence, credit);
    if (lose_every && test_random(&seed) % lose_every == 0) return;
    fake_say(&broker, "hearthlog/v1/porch/dn/ack", text, false, 0);
    if (repeat_every && test_random(&seed) % repeat_every == 0)
        fake_say(&broker, "hearthlog/v1/porch/dn/ack", text, false, 0);
}

name *in_ledger(const uint8_t *boot, uint64_t sequence) {
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
            n += sprintf(out + n, "%s[%llu,%llu]", ranges++ ? "," : "", (unsigned long long)ledger[i].sequence,
                         (unsigned long long)ledger[i].sequence);
            if (n > 1900) break;
        }
        sprintf(out + n, "],\"nack\":[],\"credit\":%u}", credit);
        fake_say(&broker, "hearthlog/v1/porch/dn/ack", out, false, 0);
        p += 25;
    }
}

static void on_published(fake_broker *b, const char *topic, const uint8_t *payload, size_t n, unsigned qos,
                         bool retained) {
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
    CHECK(n < sizeof last_hello && payload[0] == '{' && payload[n - 1] == '}' && qos == 1 &&
          retained == !strcmp(voice, "status"));
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
            sprintf(text, "{\"t0_us\": %llu, \"utc_us\": %llu, \"synced\": true}", t0,
                    (unsigned long long)(utc_base + now_us));
        else
            sprintf(text, "{\"t0_us\": %llu, \"utc_us\": null, \"synced\": false}", t0);
        fake_say(&broker, "hearthlog/v1/porch/dn/time", text, false, 0);
    }
}

void say_state(bool is_online, bool retained) {
    online = is_online;
    fake_say(&broker, "hearthlog/v1/gateway/status", is_online ? "{\"state\": \"online\"}" : "{\"state\": \"offline\"}",
             retained, 1);
}

static int take_frame(void *self, const uint8_t **out, size_t *n) {
    (void)self;
    *out = jpeg;
    *n = bad_frames_to_come ? jpeg_bytes - 1 : jpeg_bytes; /* without its end, as drivers give them */
    bad_frames_to_come -= bad_frames_to_come > 0;
    return 0;
}

static void on_reset(void *self) {
    (void)self;
    resets++;
}

static void on_quality(void *self, unsigned quality) {
    (void)self;
    quality_set = quality;
}

static int no_luma(void *self, uint8_t *cells) {
    (void)self;
    (void)cells;
    return -1;
}

static const hl_camera CAMERA = {NULL, take_frame, on_reset, no_luma, on_quality};

int take_sound(void *self, const uint8_t **pcm, size_t samples, uint64_t *first) {
    static const uint8_t SILENCE[32000];
    uint64_t *taken = self;
    if (now_us * 16 / 1000 < *taken + samples) return 1;
    *pcm = SILENCE;
    *first = *taken;
    *taken += samples;
    return 0;
}

static int slot_of(const char *key) {
    return !strcmp(key, "boot") ? 0 : !strcmp(key, "seq") ? 1 : key[3] == '0' ? 2 : 3;
}

static int kv_get(void *self, const char *key, void *data, size_t size) {
    int i = slot_of(key);
    (void)self;
    if (!store.n[i] || (size_t)store.n[i] > size) return -1;
    memcpy(data, store.data[i], (size_t)store.n[i]);
    return store.n[i];
}

static int kv_put(void *self, const char *key, const void *data, size_t n) {
    int i = slot_of(key);
    (void)self;
    CHECK(n <= sizeof store.data[i]);
    memcpy(store.data[i], data, n);
    store.n[i] = (int)n;
    return 0;
}

const hl_kv KV = {NULL, kv_get, kv_put};

void on_committed(void *self, const hl_header *header, const uint8_t *body) {
    (void)self;
    (void)body;
    CHECK(committed_count < LEDGER);
    memcpy(committed[committed_count].boot, header->boot_id, HL_BOOT_BYTES);
    committed[committed_count++].sequence = header->sequence;
}

/* A small JPEG whose entropy-coded bytes are its size. */
static void make_jpeg(void) {
    static const uint8_t HEAD[] = {0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, 0, 8, 0, 8,    1, 1,
                                   0x11, 0,    0xff, 0xda, 0, 8,  1, 1, 0, 0, 0x3f, 0};
    memcpy(jpeg, HEAD, sizeof HEAD);
    memset(jpeg + sizeof HEAD, 0x3f, 400);
    jpeg[sizeof HEAD + 400] = 0xff;
    jpeg[sizeof HEAD + 401] = 0xd9;
    jpeg_bytes = sizeof HEAD + 402;
}

bool boot_device(uint32_t interval_ms) {
    hl_device_config config = {
        .uplink = {.net = &broker.net,
                   .clock = &clock_,
                   .random = &random_,
                   .device = "porch",
                   .user = NULL,
                   .password = "",
                   .firmware = "test",
                   .board = "memory",
                   .keep_alive_s = 20},
        .card = &card.card,
        .camera = &CAMERA,
        .segment_blocks = SEGMENT,
        .interval_ms = interval_ms,
    };
    hl_code code = hl_device_begin(&device, &config);
    device.committed = on_committed;
    return code == HL_OK;
}

void fresh(uint32_t interval_ms) {
    memory_card_begin(&card);
    fake_begin(&broker);
    broker.published = on_published;
    make_jpeg();
    stored = committed_count = withheld_count = hellos = received = conflicts = again = unheard = most_in_flight =
        in_flight = 0;
    lose_every = repeat_every = hold_back = 0;
    bad_frames_to_come = resets = quality_set = 0;
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

void go(unsigned ms) {
    for (unsigned i = 0; i < ms; i++, now_us += 1000) {
        hl_device_step(&device);
        fake_step(&broker);
    }
}

void connect_online(void) {
    go(3);
    say_state(true, true);
    go(3);
}

void all_is_stored_once(void) {
    for (unsigned i = 0; i < committed_count; i++) CHECK(in_ledger(committed[i].boot, committed[i].sequence));
    CHECK(conflicts == 0);
}

unsigned stored_of(hl_kind kind) {
    unsigned n = 0;
    for (unsigned i = 0; i < stored; i++) n += ledger[i].kind == kind;
    return n;
}

void forget_kv(void) { memset(&store, 0, sizeof store); }
