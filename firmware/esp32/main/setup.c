#include "setup.h"

#include <esp_http_server.h>
#include <esp_system.h>
#include <esp_timer.h>
#include <freertos/FreeRTOS.h>
#include <freertos/task.h>
#include <stdio.h>
#include <string.h>

#include "board.h"
#include "improv.h"

enum { FORM_BYTES = 700 };

static const char PAGE[] =
    "<!doctype html><meta name=viewport content='width=device-width'><title>Hearthlog camera</title>"
    "<style>body{font:1.1rem sans-serif;max-width:26rem;margin:2rem auto;padding:0 1rem}"
    "input{font:inherit;width:100%;margin:.3rem 0 1rem;padding:.6rem}</style>"
    "<h1>Set up this camera</h1><form method=post><label>Wi-Fi<input name=n maxlength=32 required></label>"
    "<label>Password<input name=p type=password maxlength=64></label>"
    "<label>Pairing text, from Hearthlog: Devices, Add a camera<input name=t maxlength=190 required "
    "placeholder='hearthlog:pair?…'></label><button>Join</button></form>";

/* What was told, by whichever way; taken over by the one loop below. */
static struct {
    setup_wifi wifi;
    char text[HL_INVITATION_BYTES];
    volatile bool wifi_told, text_told;
} told;

bool setup_load(setup_wifi *wifi, const hl_kv *kv) {
    memset(wifi, 0, sizeof *wifi);
    return kv->get(kv->self, "wifi", wifi, sizeof *wifi) == (int)sizeof *wifi && !wifi->name[sizeof wifi->name - 1] &&
           !wifi->password[sizeof wifi->password - 1] && wifi->name[0];
}

static void on_wifi(void *self, const char *name, const char *password) {
    (void)self;
    (void)snprintf(told.wifi.name, sizeof told.wifi.name, "%s", name);
    (void)snprintf(told.wifi.password, sizeof told.wifi.password, "%s", password);
    told.wifi_told = true;
}

static void on_text(void *self, const char *line) {
    (void)self;
    (void)snprintf(told.text, sizeof told.text, "%s", line);
    told.text_told = true;
}

static void on_write(void *self, const uint8_t *data, size_t n) {
    (void)self;
    console_write(data, n);
}

static esp_err_t show_page(httpd_req_t *request) {
    (void)httpd_resp_set_type(request, "text/html; charset=utf-8");
    return httpd_resp_send(request, PAGE, HTTPD_RESP_USE_STRLEN);
}

static int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One field of a form (application/x-www-form-urlencoded), decoded; "" if it is not there or does not fit. */
static void field(const char *form, char name, char *out, size_t size) {
    size_t used = 0;
    out[0] = 0;
    while (*form && !(form[0] == name && form[1] == '=')) {
        form += strcspn(form, "&");
        form += *form == '&';
    }
    for (form += *form ? 2 : 0; *form && *form != '&'; form++) {
        int c = *form == '+' ? ' ' : (unsigned char)*form;
        if (c == '%') {
            int high = digit(form[1]), low = high < 0 ? -1 : digit(form[2]);
            if (low < 0) break;
            c = high * 16 + low;
            form += 2;
        }
        if (used + 1 == size) {
            used = 0;
            break;
        }
        out[used++] = (char)c;
    }
    out[used] = 0;
}

static esp_err_t take_form(httpd_req_t *request) {
    char form[FORM_BYTES + 1], name[sizeof told.wifi.name], password[sizeof told.wifi.password], text[sizeof told.text];
    size_t used = 0;
    if (request->content_len > FORM_BYTES) return ESP_FAIL;
    while (used < request->content_len) {
        int n = httpd_req_recv(request, form + used, request->content_len - used);
        if (n <= 0) return ESP_FAIL;
        used += (size_t)n;
    }
    form[used] = 0;
    field(form, 'n', name, sizeof name);
    field(form, 'p', password, sizeof password);
    field(form, 't', text, sizeof text);
    hl_invitation invitation;
    bool good = name[0] && hl_invitation_read(text, &invitation) && invitation.pinned;
    if (good) {
        on_wifi(NULL, name, password);
        on_text(NULL, text);
    }
    return httpd_resp_send(
        request, good ? "It joins now; Hearthlog shows it when it is in." : "That is no Wi-Fi, or no pairing text.",
        HTTPD_RESP_USE_STRLEN);
}

static void open_page(const char *serial) {
    static httpd_handle_t server;
    static const httpd_uri_t SHOW = {.uri = "/", .method = HTTP_GET, .handler = show_page};
    static const httpd_uri_t TAKE = {.uri = "/", .method = HTTP_POST, .handler = take_form};
    httpd_config_t config = HTTPD_DEFAULT_CONFIG();
    char name[33];
    (void)snprintf(name, sizeof name, "hearthcam-%.2s%.2s", serial + 12, serial + 15);
    config.stack_size = 8192;
    if (!wifi_open_access_point(name) || httpd_start(&server, &config) != ESP_OK) return;
    (void)httpd_register_uri_handler(server, &SHOW);
    (void)httpd_register_uri_handler(server, &TAKE);
}

static improv serial_line;

/* Restart once paired; after a refusal wait for another text. */
static void try_pairing(hl_pair *pair) {
    if (told.text_told) {
        told.text_told = false;
        hl_pair_begin(pair, told.text);
    }
    if (!wifi_joined()) return;
    hl_pair_state before = pair->state, state = hl_pair_step(pair, (uint64_t)esp_timer_get_time());
    if (state == HL_PAIR_DONE) esp_restart();
    if (state == HL_PAIR_FAILED && before != HL_PAIR_FAILED) improv_fail(&serial_line, IMPROV_UNABLE);
}

/* What came on the serial line, taken in; a new Wi-Fi is joined. */
static void listen(const hl_kv *kv, const hl_pair_config *config) {
    static bool announced;
    uint8_t bytes[64];
    size_t n = console_read(bytes, sizeof bytes);
    if (!serial_line.write)
        serial_line = (improv){.state = IMPROV_READY,
                               .info = {"hearthcam", config->firmware, config->board, config->hardware},
                               .wifi = on_wifi,
                               .text = on_text,
                               .write = on_write};
    for (size_t i = 0; i < n; i++) improv_take(&serial_line, bytes[i]);
    if (told.wifi_told) {
        told.wifi_told = announced = false;
        (void)kv->put(kv->self, "wifi", &told.wifi, sizeof told.wifi);
        (void)wifi_join(&told.wifi);
    }
    if (wifi_joined() && !announced) {
        announced = true;
        improv_joined(&serial_line, "");
    }
}

const char *setup_heard(const hl_kv *kv, const hl_pair_config *config) {
    hl_invitation invitation;
    listen(kv, config);
    if (!told.text_told) return NULL;
    told.text_told = false;
    if (hl_invitation_read(told.text, &invitation) && invitation.pinned) return told.text;
    improv_fail(&serial_line, IMPROV_INVALID);
    return NULL;
}

void setup_run(const hl_kv *kv, hl_pair *pair, const hl_pair_config *config, uint32_t patience_ms) {
    setup_wifi wifi;
    hl_pair_wake(pair, config);
    if (setup_load(&wifi, kv)) (void)wifi_join(&wifi);
    if (!patience_ms) open_page(config->hardware);
    for (uint32_t waited = 0; !patience_ms || (waited < patience_ms && pair->state != HL_PAIR_FAILED); waited += 10) {
        listen(kv, config);
        try_pairing(pair);
        vTaskDelay(pdMS_TO_TICKS(10));
    }
    hl_pair_begin(pair, ""); /* what it was told is forgotten */
    esp_restart();
}
