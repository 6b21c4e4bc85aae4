/* A camera: set up if it is not yet, else the core in a loop. */
#include <esp_log.h>
#include <esp_system.h>
#include <esp_timer.h>
#include <freertos/FreeRTOS.h>
#include <freertos/task.h>

#include "board.h"
#include "credential.h"
#include "device.h"
#include "hal_esp.h"
#include "setup.h"

#define FIRMWARE_VERSION "0.1.0"

enum { TELEMETRY_MS = 60000, AFTER_BROWN_OUT_MS = 3000, JOIN_MS = 20000, PAIRING_MS = 120000 };

static const char TAG[] = "hearthcam";

/* A board is being paired or is a camera, never both. */
static union {
    hl_pair pair;
    hl_device device;
} memory;

static uint8_t ca[HL_CA_BYTES];
static hl_kv kv;
static hl_clock clock_;
static hl_random random_;
static hl_card card;
static hl_camera camera;
static hl_microphone microphone;
static hl_firmware firmware;
static hl_system system_;
static hal_esp_stream broker, web;
static hl_credential credential;
static char serial[18];

static const hl_pair_config PAIRING = {&web.web, &kv, &random_, serial, BOARD_NAME, FIRMWARE_VERSION, false};

static void run_setup(uint32_t patience_ms) {
    hal_esp_stream_begin(&web, "", 0, NULL, 0);
    setup_run(&kv, &memory.pair, &PAIRING, patience_ms);
}

/* Whether it was told of another house, or of this one again, when it was a camera last. */
static bool is_invited(void) {
    hl_pair_wake(&memory.pair, &PAIRING);
    return memory.pair.state == HL_PAIR_FETCHING;
}

/* It was put out of its house, and somebody wants it in again: what is on the card stays, the rest begins anew. */
static void pair_again(const char *text) {
    hl_device_end(&memory.device);
    hl_pair_wake(&memory.pair, &PAIRING);
    hl_pair_begin(&memory.pair, text);
    esp_restart();
}

/* Without a card there is nothing to keep a promise with; without a camera it still tells how it fares. */
static bool begin_camera(bool on_battery) {
    hl_device_config config = {
        .uplink = {.net = &broker.web.net,
                   .clock = &clock_,
                   .random = &random_,
                   .device = credential.device,
                   .client_id = credential.client_id,
                   .user = credential.device,
                   .password = credential.password,
                   .firmware = FIRMWARE_VERSION,
                   .board = BOARD_NAME,
                   .keep_alive_s = 30},
        .card = &card,
        .kv = &kv,
        .system = &system_,
        .web = &web.web,
        .telemetry_ms = TELEMETRY_MS,
        .awake_ms = on_battery ? 60000 : 0,
    };
    if (!hal_esp_card(&card)) {
        ESP_LOGE(TAG, "no card");
        return false;
    }
    if (hal_esp_camera(&camera)) config.camera = &camera;
    if (hal_esp_microphone(&microphone)) config.microphone = &microphone;
    if (hal_esp_firmware(&firmware)) config.firmware = &firmware;
    hl_code code = hl_device_begin(&memory.device, &config);
    if (code != HL_OK) ESP_LOGE(TAG, "card: %s", hl_code_name(code));
    return code == HL_OK;
}

/* After a brown-out everything that draws current begins later, and the camera after the radio. */
static void wait_after_brown_out(void) {
    if (esp_reset_reason() == ESP_RST_BROWNOUT) vTaskDelay(pdMS_TO_TICKS(AFTER_BROWN_OUT_MS));
}

void app_main(void) {
    setup_wifi wifi;
    wait_after_brown_out();
    if (!hal_esp_kv(&kv) || !wifi_begin() || !console_begin()) esp_restart();
    hal_esp_clock(&clock_, &random_);
    hal_esp_system(&system_);
    hal_esp_serial(serial);
    if (!setup_load(&wifi, &kv) || !hl_credential_load(&credential, &kv)) run_setup(0);
    if (is_invited()) run_setup(PAIRING_MS);
    size_t ca_bytes = hl_credential_ca(&credential, &kv, ca);
    hal_esp_stream_begin(&broker, credential.host, credential.port, ca, ca_bytes);
    hal_esp_stream_begin(&web, credential.host, 8480, ca, ca_bytes);
    if (!wifi_join(&wifi)) esp_restart();
    uint8_t battery = 0; /* set by whoever builds one without mains */
    bool on_battery = kv.get(kv.self, "battery", &battery, 1) == 1 && battery;
    for (uint32_t waited = 0; on_battery && !wifi_joined() && waited < JOIN_MS; waited += 50)
        vTaskDelay(pdMS_TO_TICKS(50));
    if (!begin_camera(on_battery)) {
        vTaskDelay(pdMS_TO_TICKS(30000)); /* a card that is put in is found at the next start */
        esp_restart();
    }
    for (;;) {
        hl_device_step(&memory.device);
        const char *text = setup_heard(&kv, &PAIRING);
        if (text) pair_again(text);
        vTaskDelay(1);
    }
}
