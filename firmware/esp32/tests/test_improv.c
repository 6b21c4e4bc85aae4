/* Improv over a serial line (main/improv.c), as a browser's installer speaks it. */
#include "improv.h"
#include "test.h"

static improv serial_line;
static uint8_t out[1024];
static size_t out_used;
static char name[40], password[70], text[200];
static unsigned joins, texts;

static void on_wifi(void *self, const char *n, const char *p) {
    (void)self;
    joins++;
    strcpy(name, n);
    strcpy(password, p);
}

static void on_text(void *self, const char *line) {
    (void)self;
    texts++;
    strcpy(text, line);
}

static void on_write(void *self, const uint8_t *data, size_t n) {
    (void)self;
    CHECK(out_used + n <= sizeof out);
    memcpy(out + out_used, data, n);
    out_used += n;
}

static void begin(void) {
    serial_line = (improv){.state = IMPROV_READY,
                           .info = {"hearthcam", "1.2.3", "board", "serial"},
                           .wifi = on_wifi,
                           .text = on_text,
                           .write = on_write};
    out_used = joins = texts = 0;
}

static void hear(const void *data, size_t n) {
    for (size_t i = 0; i < n; i++) improv_take(&serial_line, ((const uint8_t *)data)[i]);
}

static void ask(const void *data, size_t n, int spoil) {
    uint8_t packet[300] = {'I', 'M', 'P', 'R', 'O', 'V', 1, 3, (uint8_t)n}, sum = 0;
    memcpy(packet + 9, data, n);
    for (size_t i = 0; i < 9 + n; i++) sum = (uint8_t)(sum + packet[i]);
    packet[9 + n] = (uint8_t)(sum + spoil);
    out_used = 0;
    hear(packet, 10 + n);
}

/* What was answered first: its type and first byte. */
static bool answered(size_t at, uint8_t type, uint8_t first) {
    return out_used > at + 9 && !memcmp(out + at, "IMPROV\1", 7) && out[at + 7] == type && out[at + 9] == first;
}

static void wifi_is_told_and_joined(void) {
    static const char TELL[] = "\1\14\4home\6secret";
    begin();
    ask(TELL, 14, 0);
    CHECK(joins == 1 && !strcmp(name, "home") && !strcmp(password, "secret"));
    CHECK(answered(0, 2, IMPROV_NO_ERROR) && answered(12, 1, IMPROV_PROVISIONING));
    out_used = 0;
    improv_joined(&serial_line, "http://x");
    CHECK(answered(0, 1, IMPROV_PROVISIONED) && answered(12, 4, IMPROV_WIFI) && out[22] == 9 && out[24] == 'h');
    ask("\2\0", 2, 0);
    CHECK(answered(0, 1, IMPROV_PROVISIONED));
    ask("\3\0", 2, 0);
    CHECK(answered(0, 4, IMPROV_INFO) && !memcmp(out + 12, "hearthcam\5", 10));
    uint8_t sum = 0;
    for (size_t i = 0; i + 2 < out_used; i++) sum = (uint8_t)(sum + out[i]);
    CHECK(sum == out[out_used - 2] && out[out_used - 1] == '\n');
}

static void what_is_wrong_is_refused(void) {
    static const struct {
        const char *data;
        size_t n;
        uint8_t error;
    } CASES[] = {
        {"\1", 1, IMPROV_INVALID},           {"\1\4\4hom", 6, IMPROV_INVALID}, {"\1\3\0\1x", 5, IMPROV_INVALID},
        {"\1\6\1a\1bcd", 8, IMPROV_INVALID}, {"\1\2\1a", 4, IMPROV_INVALID},   {"\11\0", 2, IMPROV_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        begin();
        ask(CASES[i].data, CASES[i].n, 0);
        CHECK(answered(0, 2, CASES[i].error) && !joins);
    }
    begin();
    ask("\2\0", 2, 1); /* a wrong sum */
    CHECK(answered(0, 2, IMPROV_INVALID));
    uint8_t longest[255] = {1, 253, 250};
    ask(longest, sizeof longest, 0);
    CHECK(answered(0, 2, IMPROV_INVALID) && !joins);
}

static void a_typed_line_is_a_pairing_text(void) {
    char line[400];
    begin();
    hear("help\r\nIMPRESS\nhearthlog:pair?c=K7QF3MPD\r\n", 41);
    CHECK(texts == 1 && !strcmp(text, "hearthlog:pair?c=K7QF3MPD"));
    hear("IMhearthlog:pair?x\n", 19); /* what only begins like a packet */
    memset(line, 'x', sizeof line);
    memcpy(line, "hearthlog:", 10);
    line[399] = '\n';
    hear(line, sizeof line);
    CHECK(texts == 1);
    uint64_t state = 5;
    for (unsigned i = 0; i < 100000; i++) {
        uint8_t byte = (uint8_t)(test_random(&state) >> 30);
        if (i % 300 < 7) byte = (uint8_t) "IMPROV\1"[i % 300];
        out_used = 0;
        improv_take(&serial_line, byte);
    }
}

const test_case TESTS_IMPROV[] = {
    {"improv: Wi-Fi is told and joined", wifi_is_told_and_joined},
    {"improv: what is wrong is refused", what_is_wrong_is_refused},
    {"improv: a typed line is a pairing text", a_typed_line_is_a_pairing_text},
    {NULL, NULL},
};
