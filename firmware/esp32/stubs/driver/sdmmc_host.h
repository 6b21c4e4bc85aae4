#ifndef STUB_SDMMC_HOST_H
#define STUB_SDMMC_HOST_H
#include "esp_err.h"
typedef struct {
    uint32_t flags;
    int slot;
    int max_freq_khz;
} sdmmc_host_t;
typedef struct {
    int width;
} sdmmc_slot_config_t;
#define SDMMC_HOST_FLAG_1BIT 1u
#define SDMMC_HOST_DEFAULT()                                                                                           \
    { .flags = 7, .slot = 1, .max_freq_khz = 20000 }
#define SDMMC_SLOT_CONFIG_DEFAULT()                                                                                    \
    { .width = 0 }
esp_err_t sdmmc_host_init(void);
esp_err_t sdmmc_host_init_slot(int slot, const sdmmc_slot_config_t *config);
#endif
