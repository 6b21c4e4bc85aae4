/* The hal on ESP-IDF (5.3 or later). Each `begin` is called once; what it fills in stays valid. False: it is not there. */
#ifndef HAL_ESP_H
#define HAL_ESP_H

#include "hal.h"

bool hal_esp_kv(hl_kv *kv);
void hal_esp_clock(hl_clock *clock, hl_random *random);
bool hal_esp_card(hl_card *card);

/* A camera that keeps one frame and gives it back at the next `take`. */
bool hal_esp_camera(hl_camera *camera);
bool hal_esp_microphone(hl_microphone *microphone);

/* TLS to a host and port. `ca` may be NULL and is kept by the caller. */
typedef struct {
    hl_web web;
    const hl_kv *kv;
    void *tls;
    char host[64];
    int port;
    hl_trust trust;
    const uint8_t *ca;
    size_t ca_bytes;
    bool standing;
} hal_esp_stream;

/* `ca`: what HL_TRUST_STORED means. */
void hal_esp_stream_begin(hal_esp_stream *s, const char *host, int port, const uint8_t *ca, size_t ca_bytes);

bool hal_esp_firmware(hl_firmware *firmware);
void hal_esp_system(hl_system *system);

/* The battery's voltage in millivolts; 0: this board does not measure it. */
uint32_t hal_esp_battery_mv(void);

/* The board's serial: its MAC address as text of 17 characters. */
void hal_esp_serial(char text[18]);

#endif
