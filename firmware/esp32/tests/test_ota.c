/* Updates: what is refused, what is fetched in pieces, and a power cut before every change of the flash. */
#include <setjmp.h>

#include "fake_web.h"
#include "ota.h"
#include "test.h"

enum { SIZE = 9001 };

static fake_web server;
static fake_firmware flash;
static hl_ota ota;
static uint8_t image[SIZE + 10], old_image[SIZE];
static size_t served = SIZE;
static char manifest[800];
static unsigned status;      /* instead of the image, if not 0 */
static int ranges, keeps_on; /* whether it goes on where it is asked to; whether each answer breaks */
static uint64_t now_us;
static jmp_buf cut;
static uint8_t trial_boots, trial_known;

static int get(void *self, const char *key, void *data, size_t size) {
    (void)self;
    (void)size;
    CHECK(!strcmp(key, "trial"));
    memcpy(data, &trial_boots, 1);
    return trial_known;
}

static int put(void *self, const char *key, const void *data, size_t n) {
    (void)self;
    (void)key;
    CHECK(n == 1);
    memcpy(&trial_boots, data, 1);
    trial_known = 1;
    return 0;
}

static const hl_kv KV = {NULL, get, put};

static void on_request(fake_web *w) {
    char head[160];
    const char *range = strstr(w->request, "Range: bytes=");
    size_t from = range && ranges ? strtoul(range + 13, NULL, 10) : 0;
    CHECK(!strncmp(w->request, "GET /api/v1/devices/porch/firmware HTTP/1.1\r\n", 45));
    CHECK(strstr(w->request, "X-Hearthlog-Device-Password: secret\r\n") && strstr(w->request, "Host: house:8480\r\n"));
    if (status) {
        fake_web_text(w, status, "{\"code\":\"not-here\"}");
        return;
    }
    int n = sprintf(head, "HTTP/1.1 %s\r\nContent-Length: %u\r\n\r\n", from ? "206 Partial Content" : "200 OK",
                    (unsigned)(served - from));
    fake_web_say(w, head, (size_t)n);
    fake_web_say(w, image + from, served - from);
    w->break_after = keeps_on ? (size_t)n + 1000 : 0;
}

static void wake(void) {
    const hl_ota_config config = {&flash.firmware, &server.web, &KV, "memory", "1.2.3", "secret", false};
    hl_ota_wake(&ota, &config, now_us);
}

static void fresh(void) {
    uint64_t state = 7;
    for (size_t i = 0; i < sizeof image; i++) image[i] = (uint8_t)(test_random(&state) >> 40);
    memset(old_image, 0x11, sizeof old_image);
    fake_web_begin(&server, on_request);
    fake_firmware_begin(&flash);
    memcpy(flash.slots[0], old_image, SIZE);
    status = 0;
    served = SIZE;
    ranges = 1;
    keeps_on = trial_boots = trial_known = 0;
    now_us = 1000000;
    fake_manifest(manifest, image, SIZE, "1.3.0");
    wake();
}

static hl_ota_state run(void) {
    for (unsigned i = 0; i < 200000 && ota.state == HL_OTA_FETCHING; i++, now_us += 10000)
        (void)hl_ota_step(&ota, now_us);
    return ota.state;
}

static const char *begin(void) { return hl_ota_begin(&ota, manifest, strlen(manifest)); }

static void an_image_is_fetched_in_pieces_and_started(void) {
    static const size_t PIECES[] = {1, 7, 512, 100000};
    for (size_t i = 0; i < 4; i++)
        for (int how = 0; how < 4; how++) {
            fresh();
            server.at_once = PIECES[i];
            keeps_on = how & 1; /* each connection breaks after a kibibyte */
            ranges = how < 2;   /* and the server begins anew each time: then what is there is passed over */
            if (keeps_on && !ranges) continue;
            CHECK(!strcmp(begin(), "") && !strcmp(begin(), "busy") && run() == HL_OTA_READY);
            CHECK(!memcmp(flash.slots[1], image, SIZE) && flash.next == 1 && !strcmp(begin(), "busy"));
            CHECK(server.trust == HL_TRUST_STORED && (keeps_on ? server.requests > 2 : server.requests == 1));
        }
    fresh();
    ranges = 0; /* one break, then a whole answer instead of the rest */
    keeps_on = 1;
    CHECK(!strcmp(begin(), ""));
    for (unsigned i = 0; i < 20; i++, now_us += 10000) (void)hl_ota_step(&ota, now_us);
    CHECK(ota.at > 900 && ota.at < SIZE);
    keeps_on = 0;
    CHECK(run() == HL_OTA_READY && !memcmp(flash.slots[1], image, SIZE));
}

/* A field at the end of the manifest. */
static void add_field(const char *field) { strcpy(strrchr(manifest, '}'), field); }

static void an_older_image_is_taken_when_its_owner_asks_for_it(void) {
    static const char *const OLDER[] = {"1.2.3", "1.2.2", "0.9.9"};
    for (size_t i = 0; i < 3; i++) {
        fresh();
        fake_manifest(manifest, image, SIZE, OLDER[i]);
        add_field(",\"allow_downgrade\":false}");
        CHECK(!strcmp(begin(), "not-newer"));
        fake_manifest(manifest, image, SIZE, OLDER[i]);
        add_field(",\"allow_downgrade\":true}");
        CHECK(!strcmp(begin(), "") && run() == HL_OTA_READY && !memcmp(flash.slots[1], image, SIZE));
        CHECK(flash.next == 1);
    }
    static const char *const BAD[] = {",\"allow_downgrade\":1}", ",\"allow_downgrade\":\"true\"}",
                                      ",\"allow_downgrade\":true,\"allow_downgrade\":true}"};
    for (size_t i = 0; i < 3; i++) {
        fresh();
        add_field(BAD[i]);
        CHECK(!strcmp(begin(), "bad-args") && !flash.operations);
    }
    static const char *const NONE[] = {",\"allow_downgrades\":true}", ",\"allow_downgrade_of_a_long_name\":true}"};
    for (size_t i = 0; i < 2; i++) {
        fresh();
        fake_manifest(manifest, image, SIZE, "1.2.2");
        add_field(NONE[i]);
        CHECK(!strcmp(begin(), "not-newer"));
    }
    fresh(); /* what was not signed stays so, whoever asks */
    fake_manifest(manifest, image, SIZE, "1.2.2");
    *strstr(manifest, "1.2.2") = '0';
    add_field(",\"allow_downgrade\":true}");
    CHECK(!strcmp(begin(), "bad-signature"));
}

static void refused_manifests_touch_nothing(void) {
    static const char *const FROM[] = {
        "memory",          "1.3.0",  "9001",   "\"sha256\":\"", "\"signature\":\"", "https://house:8480",
        "https://",        "https:", "{\"url", "\"}",           "\"size\":9001",    "1.3.0",
        "1.3.0",           "1.3.0",  "1.3.0",  "/api",          "\"board\"",        "\"sha256\":\"",
        "\"signature\":\""};
    static const char *const TO[] = {"other",
                                     "1.3.1",
                                     "9002",
                                     "\"sha256\":\"X",
                                     "\"signature\":\"A",
                                     "https://",
                                     "https:///",
                                     "ftp:",
                                     "{\"x\":,\"url",
                                     "\",\"size\":9001}",
                                     "\"size\":0",
                                     "1.03.0",
                                     "1.3",
                                     "1.3.65536",
                                     "1.3.0.1",
                                     "/a b",
                                     "\"size\":9001,\"board\"",
                                     "\"sha256\":\"0",
                                     "\"signature\":\"===="};
    for (size_t i = 0; i < sizeof FROM / sizeof FROM[0]; i++) {
        char changed[900];
        fresh();
        const char *at = strstr(manifest, FROM[i]);
        CHECK(at);
        int before = (int)(at - manifest);
        sprintf(changed, "%.*s%s%s", before, manifest, TO[i], at + strlen(FROM[i]));
        strcpy(manifest, changed);
        const char *code = begin();
        if (strcmp(code, i < 3 ? "bad-signature" : "bad-args")) printf("%s: %s\n", code, manifest);
        CHECK(!strcmp(code, i == 0 || i == 1 || i == 2 ? "bad-signature" : "bad-args"));
        CHECK(!flash.operations && ota.state == HL_OTA_IDLE);
    }
    fresh();
    CHECK(!strcmp(hl_ota_begin(&ota, "{}", 2), "bad-args") && !strcmp(hl_ota_begin(&ota, "[]", 2), "bad-args"));
    char long_url[400] = "{\"url\":\"https://h/";
    for (int i = 0; i < 120; i++) strcat(long_url, "a");
    strcat(long_url, "\"}");
    CHECK(!strcmp(hl_ota_begin(&ota, long_url, strlen(long_url)), "bad-args"));
    static const char *const OTHERS[] = {"1.2.3", "1.2.2", "1.1.9", "0.9.9"};
    for (size_t i = 0; i < 4; i++) {
        fake_manifest(manifest, image, SIZE, OTHERS[i]);
        CHECK(!strcmp(begin(), "not-newer"));
    }
    fake_manifest(manifest, image, SIZE, "2.0.0");
    ota.config.board = "another";
    CHECK(!strcmp(begin(), "wrong-board"));
    ota.config.board = "memory";
    flash.firmware.room = SIZE - 1;
    CHECK(!strcmp(begin(), "no-room"));
    flash.firmware.room = SIZE;
    flash.fails_to_begin = true;
    CHECK(!strcmp(begin(), "no-room") && ota.state == HL_OTA_IDLE);
    ota.config.web = NULL;
    CHECK(!strcmp(begin(), "unknown-command"));
    ota.config.firmware = NULL;
    CHECK(!strcmp(begin(), "unknown-command"));
}

static void what_is_not_the_image_is_dropped(void) {
    fresh();
    image[5000] ^= 1;
    CHECK(!strcmp(begin(), "") && run() == HL_OTA_FAILED && !strcmp(ota.code, "bad-hash") && flash.next == 0);
    fresh();
    served = SIZE - 1;
    CHECK(!strcmp(begin(), "") && run() == HL_OTA_FAILED && !strcmp(ota.code, "bad-size") && flash.next == 0);
    fresh();
    CHECK(!strcmp(begin(), ""));
    ota.manifest.size = SIZE - 5; /* as if more came than was told: only without a length can it */
    CHECK(run() == HL_OTA_FAILED && !strcmp(ota.code, "bad-size"));
    fresh();
    CHECK(!strcmp(begin(), ""));
    flash.fail_at = 4;
    CHECK(run() == HL_OTA_FAILED && !strcmp(ota.code, "write-failed") && flash.next == 0);
    fresh();
    flash.fails_to_activate = true;
    CHECK(!strcmp(begin(), "") && run() == HL_OTA_FAILED && !strcmp(ota.code, "write-failed") && flash.next == 0);
    flash.fails_to_activate = false;
    CHECK(!strcmp(begin(), "") && run() == HL_OTA_READY); /* another try is welcome */
    static const unsigned STATUS[] = {404, 403, 503, 429, 408, 302};
    for (size_t i = 0; i < 6; i++) {
        fresh();
        status = STATUS[i];
        CHECK(!strcmp(begin(), "") && run() == HL_OTA_FAILED && !strcmp(ota.code, "fetch-failed"));
        CHECK(server.requests == (STATUS[i] == 404 || STATUS[i] == 403 ? 1u : 8u));
    }
    for (int how = 0; how < 4; how++) { /* nobody there, in every way */
        fresh();
        server.refuse = how == 0;
        server.slow = how == 1;
        server.silent = how == 2;
        server.breaks = how == 3;
        CHECK(!strcmp(begin(), "") && run() == HL_OTA_FAILED && !strcmp(ota.code, "fetch-failed"));
        CHECK(server.opens == 8 && !server.open);
    }
}

static void body_without_a_length(fake_web *w) {
    fake_web_say(w, "HTTP/1.0 200 OK\n\n", 17);
    fake_web_say(w, image, SIZE + (status ? 3 : 0));
}

static void a_body_without_a_length_ends_with_the_stream(void) {
    fresh();
    server.answer = body_without_a_length;
    CHECK(!strcmp(begin(), "") && run() == HL_OTA_READY);
    fresh();
    server.answer = body_without_a_length;
    status = 1;
    CHECK(!strcmp(begin(), ""));
    hl_ota_state state = run();
    CHECK(state == HL_OTA_FAILED ? !strcmp(ota.code, "bad-size") : state == HL_OTA_READY);
}

static const char *odd_head;

static void say_odd_head(fake_web *w) { fake_web_say(w, odd_head, strlen(odd_head)); }

static void odd_answers_are_no_answers(void) {
    static char too_long[900];
    static const char *const HEADS[] = {"SSH-2.0-x\r\n\r\n",
                                        "HTTP/1.1 20\r\n\r\n",
                                        "HTTP/1.1-200 OK\r\n\r\n",
                                        "HTTP/1.1 2x0 OK\r\n\r\n",
                                        "HTTP/1.1 2:0 OK\r\n\r\n",
                                        "HTTP/1.1 100 Continue\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\nContent-Length:  \r\n\r\n",
                                        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n",
                                        "HTTP/1.1 503 No\r\nRetry-After: 99999\r\nRetry-After: soon\r\n\r\n",
                                        "\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                                        too_long};
    memset(too_long, 'x', sizeof too_long - 1);
    for (size_t i = 0; i < sizeof HEADS / sizeof HEADS[0]; i++) {
        fresh();
        odd_head = HEADS[i];
        server.answer = say_odd_head;
        CHECK(!strcmp(begin(), "") && run() == HL_OTA_FAILED && !server.open && flash.next == 0);
    }
    fresh();
    ota.http.state = HL_HTTP_IDLE;
    CHECK(hl_http_step(&ota.http, 1) == HL_HTTP_IDLE);
    static const char *const FAR[] = {"GET / HTTP/1.1", NULL};
    const char *long_lines[] = {too_long, NULL};
    hl_http_request request = {"nowhere:1", HL_TRUST_ANYONE, NULL, 0, FAR, NULL};
    CHECK(!hl_http_ask(&ota.http, &server.web, &request, 1));
    request = (hl_http_request){"house:1", HL_TRUST_ANYONE, NULL, 0, long_lines, NULL};
    CHECK(!hl_http_ask(&ota.http, &server.web, &request, 1));
    request = (hl_http_request){"house:1", HL_TRUST_ANYONE, NULL, 0, FAR, too_long};
    CHECK(!hl_http_ask(&ota.http, &server.web, &request, 1));
    request.content = NULL;
    CHECK(hl_http_ask(&ota.http, &server.web, &request, 1));
    hl_http_stop(&ota.http);
    CHECK(ota.http.state == HL_HTTP_IDLE && !server.open);
}

static void cut_here(void *context) {
    fake_firmware *f = context;
    if (f->operations + 1 == f->fail_at) longjmp(cut, 1);
}

static void a_power_cut_at_every_change_of_the_flash_leaves_a_whole_firmware(void) {
    volatile unsigned long cuts = 0;
    for (volatile unsigned at = 1;; at++) {
        fresh();
        server.at_once = 300;
        flash.before = cut_here;
        flash.fail_at = at;
        if (setjmp(cut)) {
            cuts++;
            fake_firmware_boot(&flash);
            CHECK(flash.runs == 0 && !memcmp(flash.slots[0], old_image, SIZE) && !flash.trial);
            flash.before = NULL;
            flash.fail_at = 0;
            fake_web_begin(&server, on_request);
            wake(); /* and told again, it is done again */
            CHECK(!strcmp(begin(), "") && run() == HL_OTA_READY);
        } else {
            CHECK(!strcmp(begin(), "") && run() == HL_OTA_READY);
            if (flash.operations < at) break;
        }
        fake_firmware_boot(&flash);
        CHECK(flash.runs == 1 && flash.trial && !memcmp(flash.slots[1], image, SIZE));
    }
    CHECK(cuts > 30);
    printf("  %lu cuts\n", cuts);
}

static void on_trial(void) {
    fresh();
    CHECK(!strcmp(begin(), "") && run() == HL_OTA_READY);
    fake_firmware_boot(&flash);
    wake();
    CHECK(ota.trial && trial_boots == 1);
}

static void new_firmware_stays_after_one_acknowledged_record_alone(void) {
    on_trial();
    hl_ota_watch(&ota, false, now_us + 1000000);
    flash.fails_to_confirm = true;
    hl_ota_watch(&ota, true, now_us + 2000000);
    CHECK(!flash.confirmed && ota.trial);
    flash.fails_to_confirm = false;
    hl_ota_watch(&ota, true, now_us + 3000000);
    CHECK(flash.confirmed == 1 && !ota.trial && trial_boots == 0);
    hl_ota_watch(&ota, true, now_us + 4000000);
    CHECK(flash.confirmed == 1);
    on_trial();
    hl_ota_watch(&ota, false, now_us + HL_TRIAL_US + 1);
    CHECK(flash.rolled_back == 1 && flash.runs == 0 && trial_boots == 0);
    on_trial();
    for (unsigned i = 0; i < HL_TRIAL_BOOTS - 1; i++) {
        wake(); /* a boot loader that lets it try more than once */
        CHECK(!flash.rolled_back);
    }
    wake();
    CHECK(flash.rolled_back == 1 && !ota.trial && flash.runs == 0);
    on_trial();
    ota.config.kv = NULL;
    hl_ota_watch(&ota, true, now_us + 1);
    CHECK(flash.confirmed == 1);
    flash.trial = true;
    trial_known = 0;
    const hl_ota_config bare = {&flash.firmware, NULL, NULL, "memory", "1.2.3", "", false};
    hl_ota_wake(&ota, &bare, now_us);
    CHECK(ota.trial);
}

const test_case TESTS_OTA[] = {
    {"ota: an image is fetched in pieces and started", an_image_is_fetched_in_pieces_and_started},
    {"ota: an older image is taken when its owner asks for it", an_older_image_is_taken_when_its_owner_asks_for_it},
    {"ota: refused manifests touch nothing", refused_manifests_touch_nothing},
    {"ota: what is not the image is dropped", what_is_not_the_image_is_dropped},
    {"ota: a body without a length ends with the stream", a_body_without_a_length_ends_with_the_stream},
    {"ota: odd answers are no answers", odd_answers_are_no_answers},
    {"ota: a power cut at every change of the flash leaves a whole firmware",
     a_power_cut_at_every_change_of_the_flash_leaves_a_whole_firmware},
    {"ota: new firmware stays after one acknowledged record alone",
     new_firmware_stays_after_one_acknowledged_record_alone},
    {NULL, NULL},
};
