#include <stddef.h>

#include "board.h"
#include "hal_esp.h"

#if MICROPHONE
#include <driver/i2s_pdm.h>
#include <esp_heap_caps.h>

enum { RATE_HZ = 16000, SECOND_BYTES = 2 * RATE_HZ };

static i2s_chan_handle_t channel;
static uint8_t *second;
static size_t have;
static uint64_t samples;

static int microphone_take(void *self, const uint8_t **pcm, size_t wanted, uint64_t *first) {
    size_t got = 0;
    (void)self;
    if (2 * wanted > SECOND_BYTES) return -1;
    if (have == 2 * wanted) have = 0; /* what was given last has been used */
    esp_err_t result = i2s_channel_read(channel, second + have, 2 * wanted - have, &got, 0);
    if (result != ESP_OK && result != ESP_ERR_TIMEOUT) return -1;
    have += got;
    if (have < 2 * wanted) return 1;
    *pcm = second;
    *first = samples;
    samples += wanted;
    return 0;
}

bool hal_esp_microphone(hl_microphone *microphone) {
    i2s_chan_config_t config = I2S_CHANNEL_DEFAULT_CONFIG(I2S_NUM_0, I2S_ROLE_MASTER);
    i2s_pdm_rx_config_t pdm = {
        .clk_cfg = I2S_PDM_RX_CLK_DEFAULT_CONFIG(RATE_HZ),
        .slot_cfg = I2S_PDM_RX_SLOT_DEFAULT_CONFIG(I2S_DATA_BIT_WIDTH_16BIT, I2S_SLOT_MODE_MONO),
        .gpio_cfg = {.clk = MICROPHONE_CLK, .din = MICROPHONE_DATA},
    };
    second = heap_caps_malloc(SECOND_BYTES, MALLOC_CAP_SPIRAM | MALLOC_CAP_8BIT);
    *microphone = (hl_microphone){NULL, microphone_take};
    return second && i2s_new_channel(&config, NULL, &channel) == ESP_OK &&
           i2s_channel_init_pdm_rx_mode(channel, &pdm) == ESP_OK && i2s_channel_enable(channel) == ESP_OK;
}
#else
bool hal_esp_microphone(hl_microphone *microphone) {
    (void)microphone;
    return false;
}
#endif
