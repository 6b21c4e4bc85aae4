#ifndef STUB_SDMMC_CMD_H
#define STUB_SDMMC_CMD_H
#include "driver/sdmmc_host.h"
typedef struct {
    int capacity, sector_size;
} sdmmc_csd_t;
typedef struct {
    sdmmc_host_t host;
    sdmmc_csd_t csd;
} sdmmc_card_t;
esp_err_t sdmmc_card_init(const sdmmc_host_t *host, sdmmc_card_t *card);
esp_err_t sdmmc_read_sectors(sdmmc_card_t *card, void *data, size_t start, size_t count);
esp_err_t sdmmc_write_sectors(sdmmc_card_t *card, const void *data, size_t start, size_t count);
esp_err_t sdmmc_get_status(sdmmc_card_t *card);
#endif
