#ifndef STUB_SDSPI_HOST_H
#define STUB_SDSPI_HOST_H
#include "driver/sdmmc_host.h"
#include "driver/spi_common.h"
typedef int sdspi_dev_handle_t;
typedef struct {
    spi_host_device_t host_id;
    int gpio_cs;
} sdspi_device_config_t;
#define SDSPI_DEFAULT_DMA 3
#define SDSPI_HOST_DEFAULT()                                                                                           \
    { .flags = 8, .slot = SPI2_HOST, .max_freq_khz = 20000 }
#define SDSPI_DEVICE_CONFIG_DEFAULT()                                                                                  \
    { .host_id = SPI2_HOST, .gpio_cs = 13 }
esp_err_t sdspi_host_init(void);
esp_err_t sdspi_host_init_device(const sdspi_device_config_t *config, sdspi_dev_handle_t *handle);
#endif
