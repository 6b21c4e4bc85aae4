/* Motion and settings. */
#include "test.h"

#include "motion.h"
#include "settings.h"

/* A key-value store of two values in memory. */
static struct {
    uint8_t data[2][HL_SETTINGS_BYTES];
    int there[2], full;
} store;

static int which(const char *key) { return key[3] - '0'; }

static int get(void *self, const char *key, void *data, size_t size) {
    (void)self;
    if (!store.there[which(key)] || size < HL_SETTINGS_BYTES) return -1;
    memcpy(data, store.data[which(key)], HL_SETTINGS_BYTES);
    return HL_SETTINGS_BYTES;
}

static int put(void *self, const char *key, const void *data, size_t n) {
    (void)self;
    CHECK(n == HL_SETTINGS_BYTES);
    if (store.full) return -1;
    memcpy(store.data[which(key)], data, n);
    store.there[which(key)] = 1;
    return 0;
}

static const hl_kv KV = {NULL, get, put};

static bool take(hl_settings *s, const char *text) { return hl_settings_read(s, text, strlen(text)); }

static void settings_outlive_a_torn_slot(void) {
    hl_settings s, back;
    memset(&store, 0, sizeof store);
    hl_settings_load(&s, &KV);
    CHECK(s.interval_ms == 10000 && !s.motion);
    CHECK(take(&s, "{\"every_s\": 30}") && hl_settings_save(&s, &KV));
    CHECK(take(&s, "{\"every_s\": 60, \"privacy\": true}") && hl_settings_save(&s, &KV));
    hl_settings_load(&back, &KV);
    CHECK(back.interval_ms == 60000 && back.privacy && back.generation == 2);
    for (size_t i = 0; i < HL_SETTINGS_BYTES; i++) { /* any byte of the newer one is torn */
        store.data[0][i] ^= 0x55;
        hl_settings_load(&back, &KV);
        CHECK(back.interval_ms == 30000 && back.generation == 1);
        store.data[0][i] ^= 0x55;
    }
    memset(&store, 0, sizeof store);
    hl_settings_load(&back, &KV);
    CHECK(back.interval_ms == 10000);
    store.full = 1;
    CHECK(!hl_settings_save(&s, &KV) && s.generation == 2);
}

static void settings_count_as_a_whole_or_not_at_all(void) {
    static const char *const BAD[] = {"",
                                      "[]",
                                      "{\"every_s\": 0}",
                                      "{\"every_s\": 60, \"quality\": 64}",
                                      "{\"motion\": 1}",
                                      "{\"every_s\": 1.5}",
                                      "{\"quiet\": [0]}",
                                      "{\"quiet\": [0, 1440]}",
                                      "{\"quiet\": [0, 1, 2]}",
                                      "{\"every_s\": 60, \"still_s\": -1}",
                                      "{\"every_s\": 60} {}",
                                      "{\"privacy\": true"};
    hl_settings s, before;
    hl_settings_default(&s);
    before = s;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) CHECK(!take(&s, BAD[i]) && !memcmp(&s, &before, sizeof s));
    CHECK(take(&s,
               "{\"motion\": true, \"still_s\": 0, \"quality\": 20, \"later\": {\"x\": []}, \"quiet\": [1320, 360]}"));
    CHECK(s.motion && s.still_s == 0 && s.quality == 20 && s.interval_ms == before.interval_ms);
    CHECK(hl_settings_quiet(&s, 23ull * 3600 * 1000000) && hl_settings_quiet(&s, 5ull * 3600 * 1000000));
    CHECK(!hl_settings_quiet(&s, 12ull * 3600 * 1000000));
    CHECK(take(&s, "{\"quiet\": null}") && !hl_settings_quiet(&s, 23ull * 3600 * 1000000));
}

static void what_moves_is_seen_and_the_light_is_not(void) {
    hl_motion m;
    uint8_t luma[HL_LUMA];
    uint64_t state = 3;
    memset(&m, 0, sizeof m);
    for (unsigned n = 0; n < 60; n++) { /* noise of a sensor, and a day that darkens */
        for (unsigned i = 0; i < HL_LUMA; i++) luma[i] = (uint8_t)(150 - n + test_random(&state) % 5);
        CHECK(hl_motion_look(&m, 20000, luma) == (n == 0));
    }
    for (unsigned i = 0; i < HL_LUMA; i++) luma[i] = (uint8_t)(luma[i] + 60); /* a lamp */
    CHECK(!hl_motion_look(&m, 20000, luma));
    for (unsigned i = 40; i < 48; i++) luma[i] = 20; /* somebody */
    CHECK(hl_motion_look(&m, 20000, luma));
    unsigned still_seen = 0;
    for (unsigned n = 0; n < 40; n++) still_seen += hl_motion_look(&m, 20000, luma);
    CHECK(still_seen < 10 && !hl_motion_look(&m, 20000, luma)); /* who stays becomes background */
}

static void without_luma_the_size_decides(void) {
    hl_motion m;
    uint64_t state = 3;
    unsigned moved = 0;
    memset(&m, 0, sizeof m);
    for (unsigned n = 0; n < 200; n++) moved += hl_motion_look(&m, 20000 + (uint32_t)(test_random(&state) % 400), NULL);
    CHECK(moved == 1);
    CHECK(hl_motion_look(&m, 24000, NULL));
    CHECK(hl_motion_look(&m, UINT32_MAX, NULL));
}

const test_case TESTS_DEVICE[] = {
    {"device: settings outlive a torn slot", settings_outlive_a_torn_slot},
    {"device: settings count as a whole or not at all", settings_count_as_a_whole_or_not_at_all},
    {"device: what moves is seen and the light is not", what_moves_is_seen_and_the_light_is_not},
    {"device: without luma the size decides", without_luma_the_size_decides},
    {NULL, NULL},
};
