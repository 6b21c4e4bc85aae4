#include "fake_web.h"

#include "sha256.h"
#include "test.h"

static int web_open(void *self) {
    fake_web *w = self;
    w->opens++;
    w->open = !w->refuse;
    w->used = w->out_used = w->out_at = 0;
    return w->refuse ? -1 : 0;
}

static int web_ready(void *self) {
    const fake_web *w = self;
    return w->slow ? 0 : w->open ? 1 : -1;
}

static bool is_whole(const fake_web *w) {
    const char *end = strstr(w->request, "\r\n\r\n"), *length = strstr(w->request, "Content-Length: ");
    if (!end) return false;
    return w->used >= (size_t)(end + 4 - w->request) + (length && length < end ? strtoul(length + 16, NULL, 10) : 0);
}

static int web_send(void *self, const void *data, size_t n) {
    fake_web *w = self;
    if (!w->open || w->breaks) return -1;
    if (n > w->at_once) n = w->at_once;
    CHECK(w->used + n < sizeof w->request);
    memcpy(w->request + w->used, data, n);
    w->used += n;
    w->request[w->used] = 0;
    if (!w->silent && is_whole(w)) {
        w->requests++;
        w->answer(w);
    }
    return (int)n;
}

static int web_receive(void *self, void *data, size_t n) {
    fake_web *w = self;
    if (!w->open) return -1;
    if (!w->out_used) return 0;
    if (w->out_at == w->out_used || (w->break_after && w->out_at >= w->break_after)) return -1;
    if (n > w->at_once) n = w->at_once;
    if (n > w->out_used - w->out_at) n = w->out_used - w->out_at;
    if (w->break_after && n > w->break_after - w->out_at) n = w->break_after - w->out_at;
    memcpy(data, w->out + w->out_at, n);
    w->out_at += n;
    return (int)n;
}

static void web_close(void *self) { ((fake_web *)self)->open = false; }

static int web_aim(void *self, const char *host, hl_trust trust, const uint8_t *ca, size_t ca_bytes) {
    fake_web *w = self;
    (void)ca;
    if (strlen(host) >= sizeof w->host) return -1;
    strcpy(w->host, host);
    w->trust = trust;
    w->ca_bytes = ca_bytes;
    return strncmp(host, "nowhere", 7) ? 0 : -1;
}

void fake_web_begin(fake_web *w, void (*answer)(fake_web *w)) {
    memset(w, 0, sizeof *w);
    w->at_once = 100000;
    w->answer = answer;
    w->web = (hl_web){{w, web_open, web_ready, web_send, web_receive, web_close}, web_aim};
}

void fake_web_say(fake_web *w, const void *data, size_t n) {
    CHECK(n <= sizeof w->out - w->out_used);
    memcpy(w->out + w->out_used, data, n);
    w->out_used += n;
}

void fake_web_text(fake_web *w, unsigned status, const char *text) {
    char head[160];
    int n =
        sprintf(head, "HTTP/1.1 %u Said\r\nServer: test\r\nContent-Length: %u\r\n\r\n", status, (unsigned)strlen(text));
    fake_web_say(w, head, (size_t)n);
    fake_web_say(w, text, strlen(text));
}

static int change(fake_firmware *f) {
    if (f->before) f->before(f);
    return ++f->operations == f->fail_at ? -1 : 0;
}

static int flash_begin(void *self, uint32_t size) {
    fake_firmware *f = self;
    if (change(f) || f->fails_to_begin || size > FAKE_IMAGE) return -1;
    memset(f->slots[1 - f->runs], 0xff, FAKE_IMAGE);
    f->next = f->runs; /* what was there is no image any more */
    return 0;
}

static int flash_write(void *self, uint32_t offset, const void *data, size_t n) {
    fake_firmware *f = self;
    CHECK(offset + n <= FAKE_IMAGE);
    if (change(f)) return -1;
    memcpy(f->slots[1 - f->runs] + offset, data, n);
    return 0;
}

static int flash_activate(void *self) {
    fake_firmware *f = self;
    if (change(f) || f->fails_to_activate) return -1;
    f->next = 1 - f->runs;
    return 0;
}

static bool flash_on_trial(void *self) { return ((fake_firmware *)self)->trial; }

static int flash_confirm(void *self) {
    fake_firmware *f = self;
    if (f->fails_to_confirm) return -1;
    f->confirmed++;
    f->trial = false;
    return 0;
}

static void flash_roll_back(void *self) {
    fake_firmware *f = self;
    f->rolled_back++;
    f->trial = false;
    f->runs = f->next = 1 - f->runs;
}

/* A signature of the tests: the digest, each byte changed in one way. */
static bool flash_verify(void *self, const uint8_t digest[32], const uint8_t *signature, size_t n) {
    (void)self;
    if (n != 32) return false;
    for (size_t i = 0; i < 32; i++)
        if (signature[i] != (digest[i] ^ 0x5a)) return false;
    return true;
}

void fake_firmware_begin(fake_firmware *f) {
    memset(f, 0, sizeof *f);
    f->firmware = (hl_firmware){f,
                                FAKE_IMAGE,
                                flash_begin,
                                flash_write,
                                flash_activate,
                                flash_on_trial,
                                flash_confirm,
                                flash_roll_back,
                                flash_verify};
}

void fake_firmware_boot(fake_firmware *f) {
    if (f->next != f->runs) {
        f->runs = f->next;
        f->trial = true;
    } else if (f->trial) {
        f->runs = f->next = 1 - f->runs;
        f->trial = false;
    }
}

static void base64(const uint8_t *p, size_t n, char *out) {
    static const char OF[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        uint32_t bits = (uint32_t)p[i] << 16 | (uint32_t)(i + 1 < n ? p[i + 1] : 0) << 8 | (i + 2 < n ? p[i + 2] : 0);
        *out++ = OF[bits >> 18];
        *out++ = OF[bits >> 12 & 63];
        *out++ = i + 1 < n ? OF[bits >> 6 & 63] : '=';
        *out++ = i + 2 < n ? OF[bits & 63] : '=';
    }
    *out = 0;
}

void fake_manifest(char *out, const uint8_t *image, size_t n, const char *version) {
    char sha_text[65], signature[64], signed_text[256];
    uint8_t digest[32];
    hl_sha256 sha;
    hl_sha256_begin(&sha);
    hl_sha256_add(&sha, image, n);
    hl_sha256_end(&sha, digest);
    for (size_t i = 0; i < 32; i++) sprintf(sha_text + 2 * i, "%02x", digest[i]);
    sprintf(signed_text, "hearthlog-firmware-1\nmemory\n%s\n%u\n%s\n", version, (unsigned)n, sha_text);
    hl_sha256_begin(&sha);
    hl_sha256_add(&sha, signed_text, strlen(signed_text));
    hl_sha256_end(&sha, digest);
    for (size_t i = 0; i < 32; i++) digest[i] ^= 0x5a;
    base64(digest, 32, signature);
    sprintf(out,
            "{\"url\":\"https://house:8480/api/v1/devices/porch/firmware\",\"board\":\"memory\",\"version\":\"%s\","
            "\"size\":%u,\"sha256\":\"%s\",\"signature\":\"%s\"}",
            version, (unsigned)n, sha_text, signature);
}
