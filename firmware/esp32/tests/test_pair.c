/* Pairing against a gateway in memory: texts that are read, CAs that are not believed, answers that are lost. */
#include "fake_web.h"
#include "memory_card.h"
#include "pair.h"
#include "test.h"

/* Any bytes do for a CA here: what counts is their hash. Base64 of "0123456789abcdef" × 3. */
#define PEM                                                                                                            \
    "-----BEGIN CERTIFICATE-----\r\nMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYw\r\nMTIzNDU2Nzg5YWJjZGVm\r\n-----END " \
    "CERTIFICATE-----\r\n"
#define GOOD                                                                                                           \
    "{\"device\":\"cam-7c2e41\",\"password\":\"0123456789012345678901234567890123456789abc\",\"root\":\"hearthlog/"    \
    "v1\","                                                                                                            \
    "\"mqtt\":{\"host\":\"192.168.1.20\",\"port\":8883,\"tls\":true,\"client_id\":\"hearthcam-cam-7c2e41\",\"x\":1},"  \
    "\"later\":[]}"

static fake_web server;
static hl_pair pair;
static char text[HL_INVITATION_BYTES], nonces[8][33];
static unsigned asked, answer_status, lose_answers;
static const char *ca_text, *answer_text;
static uint64_t now_us, seed = 3;
static hl_random random_;

static struct {
    char key[8];
    uint8_t data[HL_CA_BYTES];
    int n;
} store[8];
static int fail_puts;

static int get(void *self, const char *key, void *data, size_t size) {
    (void)self;
    for (int i = 0; i < 8; i++)
        if (!strcmp(store[i].key, key)) {
            if ((size_t)store[i].n > size) return -1;
            memcpy(data, store[i].data, (size_t)store[i].n);
            return store[i].n;
        }
    return -1;
}

static int put(void *self, const char *key, const void *data, size_t n) {
    (void)self;
    if (fail_puts && fail_puts-- == 1) return -1;
    for (int i = 0; i < 8; i++)
        if (!store[i].key[0] || !strcmp(store[i].key, key)) {
            strcpy(store[i].key, key);
            memcpy(store[i].data, data, n);
            store[i].n = (int)n;
            return 0;
        }
    return -1;
}

static const hl_kv KV = {NULL, get, put};

static void on_request(fake_web *w) {
    if (!strncmp(w->request, "GET /ca.pem HTTP/1.1\r\n", 22)) {
        CHECK(w->trust == HL_TRUST_ANYONE);
        w->break_after = 0;
        fake_web_text(w, 200, ca_text);
        return;
    }
    CHECK(!strncmp(w->request, "POST /api/v1/pair HTTP/1.1\r\n", 28));
    CHECK(strstr(w->request, "Content-Type: application/json\r\n") && w->trust != HL_TRUST_ANYONE);
    const char *nonce = strstr(w->request, "\"nonce\":\"");
    CHECK(nonce && strstr(w->request, "{\"code\":\"K7QF3MPD\"") && strstr(w->request, "\"board\":\"memory\""));
    CHECK(strstr(w->request, "\"hardware\":\"f4:12\"") && strstr(w->request, "\"firmware\":\"1.2.3\"}"));
    memcpy(nonces[asked++ % 8], nonce + 9, 32);
    if (answer_status == 429)
        fake_web_say(w, "HTTP/1.1 429 Wait\r\nretry-AFTER: 7\r\nContent-Length: 0\r\n\r\n", 57);
    else
        fake_web_text(w, answer_status, answer_text);
    w->break_after = lose_answers ? 10 : 0;
    lose_answers -= lose_answers > 0;
}

static void wake(bool plain) {
    random_ = test_bytes(&seed);
    const hl_pair_config config = {&server.web, &KV, &random_, "f4:12", "memory", "1.2.3", plain};
    hl_pair_wake(&pair, &config);
}

static void fresh(void) {
    uint8_t digest[32], der[48];
    hl_sha256 sha;
    for (int i = 0; i < 48; i++) der[i] = (uint8_t) "0123456789abcdef"[i % 16];
    hl_sha256_begin(&sha);
    hl_sha256_add(&sha, der, sizeof der);
    hl_sha256_end(&sha, digest);
    strcpy(text, "hearthlog:pair?c=k7qf-3mpd&h=192.168.1.20:8480&f=");
    for (int i = 0; i < 32; i++) sprintf(text + strlen(text), "%02x", digest[i]);
    fake_web_begin(&server, on_request);
    memset(store, 0, sizeof store);
    memset(nonces, 0, sizeof nonces);
    asked = lose_answers = 0;
    answer_status = 200;
    answer_text = GOOD;
    ca_text = PEM;
    fail_puts = 0;
    now_us = 0;
    wake(false);
    CHECK(pair.state == HL_PAIR_IDLE && hl_pair_step(&pair, 0) == HL_PAIR_IDLE);
}

static hl_pair_state run(void) {
    for (unsigned i = 0; i < 100000 && (pair.state == HL_PAIR_FETCHING || pair.state == HL_PAIR_ASKING);
         i++, now_us += 10000)
        (void)hl_pair_step(&pair, now_us);
    return pair.state;
}

static void a_text_becomes_a_credential_that_lasts(void) {
    hl_credential c;
    uint8_t ca[HL_CA_BYTES];
    for (size_t at_once = 1; at_once < 3000; at_once = at_once * 7 + 1) {
        fresh();
        server.at_once = at_once;
        hl_pair_begin(&pair, text);
        CHECK(run() == HL_PAIR_DONE && asked == 1 && server.trust == HL_TRUST_GIVEN && server.ca_bytes == 48);
        CHECK(hl_credential_load(&c, &KV) && !strcmp(c.device, "cam-7c2e41") && strlen(c.password) == 43 && c.tls);
        CHECK(!strcmp(c.host, "192.168.1.20") && c.port == 8883 && !strcmp(c.client_id, "hearthcam-cam-7c2e41"));
        CHECK(hl_credential_ca(&c, &KV, ca) == 48 && ca[16] == '0' && c.generation == 1);
        wake(false);
        CHECK(pair.state == HL_PAIR_IDLE); /* nothing is left to go on with */
    }
    hl_pair_begin(&pair, text);
    CHECK(run() == HL_PAIR_DONE && hl_credential_load(&c, &KV) && c.generation == 2);
    hl_credential_forget(&KV);
    CHECK(!hl_credential_load(&c, &KV) && !c.device[0]);
}

static void only_texts_of_pairing_are_read(void) {
    static const char *const BAD[] = {
        "",
        "hearthlog:pair",
        "http://x",
        "hearthlog:pair?",
        "hearthlog:pair?c=K7QF3MPD",
        "hearthlog:pair?c=K7QF3MP&h=127.0.0.1:1",
        "hearthlog:pair?c=K7QF3MPDX&h=127.0.0.1:1",
        "hearthlog:pair?c=K7QF3MPU&h=127.0.0.1:1",
        "hearthlog:pair?c=K7QF3MP!&h=127.0.0.1:1",
        "hearthlog:pair?c=K7QF3MPD&h=192.168.1.2:1",
        "hearthlog:pair?c=K7QF3MPD&h=a b",
        "hearthlog:pair?c=K7QF3MPD&h=a/b",
        "hearthlog:pair?c=K7QF3MPD&h=127.0.0.1:1&f=00",
        "hearthlog:pair?c=K7QF3MPD&h=127.0.0.1:1&",
        "hearthlog:pair?c&h=127.0.0.1:1",
        "hearthlog:pair?c=K7QF3MPD&h=127.0.0.1:1&f=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeg",
        "hearthlog:pair?c=K7QF3MPD&h=127.0.0.1:1&f=g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "hearthlog:pair?h=127.0.0.1:1",
        "hearthlog:pair?c=K7QF3MPD&h=\x7f",
        "hearthlog:pair?c=K7QF3MPD&h=",
        "hearthlog:pair?c=K7QF3MPD&h="
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa&f=",
    };
    hl_invitation read;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        if (strcmp(BAD[i], "hearthlog:pair?c=K7QF3MPD&h=127.0.0.1:1&")) CHECK(!hl_invitation_read(BAD[i], &read));
    static const char *const OPEN[] = {"hearthlog:pair?c=K7QF3MPD&h=127.0.0.1:1",
                                       "hearthlog:pair?h=localhost:1&c=k7-qf 3mpd",
                                       "hearthlog:pair?c=OILK0000&h=[::1]:9&z=later"};
    for (size_t i = 0; i < 3; i++) CHECK(hl_invitation_read(OPEN[i], &read) && !read.pinned);
    CHECK(!strcmp(read.code, "011K0000"));
    static char long_text[300] = "hearthlog:pair?c=K7QF3MPD&h=127.0.0.1:1&x=";
    memset(long_text + strlen(long_text), 'x', 200);
    CHECK(!hl_invitation_read(long_text, &read));
    fresh();
    hl_pair_begin(&pair, OPEN[0]); /* a board takes none without a fingerprint */
    CHECK(pair.state == HL_PAIR_FAILED && !strcmp(pair.code, "bad-text") && !server.opens);
    wake(true);
    answer_text = "{\"device\":\"cam\",\"password\":\"p\",\"root\":\"hearthlog/"
                  "v1\",\"mqtt\":{\"host\":\"127.0.0.1\",\"port\":1883,"
                  "\"tls\":false,\"client_id\":\"x\"}}";
    hl_pair_begin(&pair, OPEN[0]);
    CHECK(run() == HL_PAIR_DONE && server.trust == HL_TRUST_PLAIN && pair.credential.ca_bytes == 0);
}

static void a_gateway_with_another_ca_is_not_told_the_code(void) {
    static char long_pem[4000];
    static const char *const CAS[] = {"",
                                      "no certificate",
                                      "-----BEGIN CERTIFICATE-----\nMDEy\n-----END CERTIFICATE-----\n",
                                      "-----BEGIN\nMDEyM\n",
                                      "-----BEGIN\nMDE=MDEy\n",
                                      "-----BEGIN\nM===\n",
                                      "-----BEGIN\n\n-----END\n",
                                      long_pem};
    memset(long_pem, 'A', sizeof long_pem - 1);
    for (size_t i = 0; i < sizeof CAS / sizeof CAS[0]; i++) {
        fresh();
        ca_text = CAS[i];
        hl_pair_begin(&pair, text);
        CHECK(run() == HL_PAIR_FAILED && !asked);
        CHECK(!strcmp(pair.code, "bad-ca") || !strcmp(pair.code, "no-answer"));
    }
}

static void an_answer_that_was_lost_is_asked_for_with_the_same_nonce(void) {
    fresh();
    lose_answers = 3;
    hl_pair_begin(&pair, text);
    CHECK(run() == HL_PAIR_DONE && asked == 4);
    for (int i = 1; i < 4; i++) CHECK(!strcmp(nonces[0], nonces[i]));
    fresh();
    lose_answers = 1000;
    hl_pair_begin(&pair, text);
    CHECK(run() == HL_PAIR_FAILED && !strcmp(pair.code, "no-answer") && asked == 20);
    fresh(); /* and the power goes after the answer was sent, before it was heard */
    lose_answers = 1;
    hl_pair_begin(&pair, text);
    while (!asked) {
        (void)hl_pair_step(&pair, now_us);
        now_us += 10000;
    }
    wake(false);
    CHECK(pair.state == HL_PAIR_FETCHING && run() == HL_PAIR_DONE && asked == 2 && !strcmp(nonces[0], nonces[1]));
    hl_pair_begin(&pair, text); /* another try of a person is another nonce */
    CHECK(run() == HL_PAIR_DONE && asked == 3 && strcmp(nonces[0], nonces[2]));
    fresh();
    answer_status = 429;
    answer_text = "";
    hl_pair_begin(&pair, text);
    while (!asked) {
        (void)hl_pair_step(&pair, now_us);
        now_us += 10000;
    }
    (void)hl_pair_step(&pair, now_us);
    CHECK(pair.due_us >= now_us + 6900000); /* it waits as it is told */
    answer_status = 503;
    answer_text = "{\"code\":\"pairing-later\"}";
    now_us += 8000000;
    unsigned before = asked;
    while (asked == before) {
        (void)hl_pair_step(&pair, now_us);
        now_us += 10000;
    }
    answer_status = 200;
    answer_text = GOOD;
    CHECK(run() == HL_PAIR_DONE);
}

static void refusals_are_told_in_the_gateways_words(void) {
    static const struct {
        unsigned status;
        const char *text, *code;
    } CASES[] = {
        {403, "{\"detail\":\"x\",\"code\":\"pairing-code\"}", "pairing-code"},
        {403, "[]", "status-403"},
        {422, "{\"code\":7}", "status-422"},
        {404, "{\"x\":", "status-404"},
        {200, "{}", "bad-answer"},
        {200, "[]", "bad-answer"},
        {200, "{\"device\":7}", "bad-answer"},
        {200, "{\"mqtt\":7}", "bad-answer"},
        {200, "{\"mqtt\":{\"host\":7}}", "bad-answer"},
        {200, "{\"mqtt\":{\"host\":\"\",\"port\":1}}", "bad-answer"},
        {200, "{\"mqtt\":{\"host\":\"h\",\"port\":0}}", "bad-answer"},
        {200, "{\"mqtt\":{\"host\":\"h\",\"port\":70000}}", "bad-answer"},
        {200, "{\"mqtt\":{\"host\":\"h\",\"port\":1}", "bad-answer"},
        {200,
         "{\"device\":\"cam\",\"password\":\"p\",\"root\":\"other\",\"mqtt\":{\"host\":\"h\",\"port\":1,\"tls\":true}}",
         "bad-answer"},
        {200,
         "{\"device\":\"cam\",\"password\":\"p\",\"root\":\"hearthlog/"
         "v1\",\"mqtt\":{\"host\":\"h\",\"port\":1,\"tls\":false}}",
         "bad-answer"},
        {200,
         "{\"device\":\"cam\",\"password\":\"\",\"root\":\"hearthlog/"
         "v1\",\"mqtt\":{\"host\":\"h\",\"port\":1,\"tls\":true}}",
         "bad-answer"},
        {200, "{\"device\":\"cam\",\"password\":\"p\",\"root\":\"hearthlog/v1\"}", "bad-answer"},
        {200, "{\"device\":\"\",\"password\":\"p\"}", "bad-answer"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        fresh();
        answer_status = CASES[i].status;
        answer_text = CASES[i].text;
        hl_pair_begin(&pair, text);
        CHECK(run() == HL_PAIR_FAILED && !strcmp(pair.code, CASES[i].code));
    }
    static char big[2000];
    memset(big, 'x', sizeof big - 1);
    fresh();
    answer_text = big;
    hl_pair_begin(&pair, text);
    CHECK(run() == HL_PAIR_FAILED);
    fresh();
    server.refuse = true;
    hl_pair_begin(&pair, text);
    CHECK(run() == HL_PAIR_FAILED && !strcmp(pair.code, "no-answer"));
}

static void a_credential_is_whole_in_one_slot_or_the_other(void) {
    hl_credential c, second;
    uint8_t ca[HL_CA_BYTES];
    fresh();
    hl_pair_begin(&pair, text);
    CHECK(run() == HL_PAIR_DONE);
    for (int at = 1; at <= 3; at++) { /* each write of a second pairing fails: the first stays */
        fail_puts = at;
        second = pair.credential;
        strcpy(second.device, "cam-other");
        CHECK(!hl_credential_save(&second, &KV, pair.ca) && hl_credential_load(&c, &KV));
        CHECK(!strcmp(c.device, "cam-7c2e41") && hl_credential_ca(&c, &KV, ca) == 48);
    }
    fail_puts = 0;
    CHECK(hl_credential_save(&second, &KV, pair.ca) && hl_credential_load(&c, &KV) && !strcmp(c.device, "cam-other"));
    for (int i = 0; i < 8; i++)
        if (!strcmp(store[i].key, "cred0")) store[i].data[20] ^= 1;
    CHECK(hl_credential_load(&c, &KV) && !strcmp(c.device, "cam-7c2e41"));
    for (int i = 0; i < 8; i++)
        if (!strcmp(store[i].key, "ca1")) store[i].n = 7;
    CHECK(hl_credential_ca(&c, &KV, ca) == 0);
    c.ca_bytes = 0;
    CHECK(hl_credential_ca(&c, &KV, ca) == 0 && hl_credential_save(&c, &KV, ca));
    fresh();
    hl_pair_begin(&pair, text);
    fail_puts = 1; /* what was said once is asked for again when it could not be kept */
    CHECK(run() == HL_PAIR_DONE && asked == 2 && hl_credential_load(&c, &KV));
    fresh();
    fail_puts = 1; /* nothing to go on with after a power cut, and it works all the same */
    hl_pair_begin(&pair, text);
    CHECK(run() == HL_PAIR_DONE);
}

const test_case TESTS_PAIR[] = {
    {"pair: a text becomes a credential that lasts", a_text_becomes_a_credential_that_lasts},
    {"pair: only texts of pairing are read", only_texts_of_pairing_are_read},
    {"pair: a gateway with another CA is not told the code", a_gateway_with_another_ca_is_not_told_the_code},
    {"pair: an answer that was lost is asked for with the same nonce",
     an_answer_that_was_lost_is_asked_for_with_the_same_nonce},
    {"pair: refusals are told in the gateway's words", refusals_are_told_in_the_gateways_words},
    {"pair: a credential is whole in one slot or the other", a_credential_is_whole_in_one_slot_or_the_other},
    {NULL, NULL},
};
