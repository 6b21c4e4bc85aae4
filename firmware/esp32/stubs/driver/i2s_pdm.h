#ifndef STUB_I2S_PDM_H
#define STUB_I2S_PDM_H
#include "esp_err.h"
typedef struct i2s_channel_obj *i2s_chan_handle_t;
typedef struct {
    int id, role;
} i2s_chan_config_t;
typedef struct {
    uint32_t sample_rate_hz;
} i2s_pdm_rx_clk_config_t;
typedef struct {
    int data_bit_width, slot_mode;
} i2s_pdm_rx_slot_config_t;
typedef struct {
    int clk, din;
} i2s_pdm_rx_gpio_config_t;
typedef struct {
    i2s_pdm_rx_clk_config_t clk_cfg;
    i2s_pdm_rx_slot_config_t slot_cfg;
    i2s_pdm_rx_gpio_config_t gpio_cfg;
} i2s_pdm_rx_config_t;
#define I2S_NUM_0 0
#define I2S_ROLE_MASTER 0
#define I2S_DATA_BIT_WIDTH_16BIT 16
#define I2S_SLOT_MODE_MONO 1
#define I2S_CHANNEL_DEFAULT_CONFIG(id, role)                                                                           \
    { id, role }
#define I2S_PDM_RX_CLK_DEFAULT_CONFIG(hz)                                                                              \
    { hz }
#define I2S_PDM_RX_SLOT_DEFAULT_CONFIG(bits, mode)                                                                     \
    { bits, mode }
esp_err_t i2s_new_channel(const i2s_chan_config_t *config, i2s_chan_handle_t *tx, i2s_chan_handle_t *rx);
esp_err_t i2s_channel_init_pdm_rx_mode(i2s_chan_handle_t handle, const i2s_pdm_rx_config_t *config);
esp_err_t i2s_channel_enable(i2s_chan_handle_t handle);
esp_err_t i2s_channel_read(i2s_chan_handle_t handle, void *data, size_t size, size_t *got, uint32_t timeout_ms);
#endif
