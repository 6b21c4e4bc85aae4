/* The card as blocks, without a file system. A write has ended on the card when the driver returns: there is no cache
 * of ours to be written out. */
#include <driver/sdmmc_host.h>
#include <driver/sdspi_host.h>
#include <driver/spi_common.h>
#include <sdmmc_cmd.h>

#include "board.h"
#include "hal_esp.h"

static sdmmc_card_t found;

static int card_read(void *self, uint32_t block, uint32_t count, void *data) {
    (void)self;
    return sdmmc_read_sectors(&found, data, block, count) == ESP_OK ? 0 : -1;
}

static int card_write(void *self, uint32_t block, uint32_t count, const void *data) {
    (void)self;
    return sdmmc_write_sectors(&found, data, block, count) == ESP_OK ? 0 : -1;
}

static int card_sync(void *self) {
    (void)self;
    return sdmmc_get_status(&found) == ESP_OK ? 0 : -1; /* it answers, and is done with what it was given */
}

#if CARD_SPI
static bool begin_bus(sdmmc_host_t *host) {
    spi_bus_config_t bus = {.mosi_io_num = CARD_MOSI,
                            .miso_io_num = CARD_MISO,
                            .sclk_io_num = CARD_SCK,
                            .quadwp_io_num = -1,
                            .quadhd_io_num = -1,
                            .max_transfer_sz = 4096};
    sdspi_device_config_t slot = SDSPI_DEVICE_CONFIG_DEFAULT();
    sdspi_dev_handle_t handle;
    *host = (sdmmc_host_t)SDSPI_HOST_DEFAULT();
    slot.gpio_cs = CARD_CS;
    slot.host_id = (spi_host_device_t)host->slot;
    if (spi_bus_initialize(slot.host_id, &bus, SDSPI_DEFAULT_DMA) != ESP_OK || sdspi_host_init() != ESP_OK)
        return false;
    if (sdspi_host_init_device(&slot, &handle) != ESP_OK) return false;
    host->slot = handle;
    return true;
}
#else
/* One line: the other three drive the flash light and the camera's power. */
static bool begin_bus(sdmmc_host_t *host) {
    sdmmc_slot_config_t slot = SDMMC_SLOT_CONFIG_DEFAULT();
    *host = (sdmmc_host_t)SDMMC_HOST_DEFAULT();
    host->flags = SDMMC_HOST_FLAG_1BIT;
    slot.width = 1;
    return sdmmc_host_init() == ESP_OK && sdmmc_host_init_slot(host->slot, &slot) == ESP_OK;
}
#endif

bool hal_esp_card(hl_card *card) {
    static sdmmc_host_t host;
    if (!begin_bus(&host) || sdmmc_card_init(&host, &found) != ESP_OK || found.csd.sector_size != HL_BLOCK)
        return false;
    *card = (hl_card){NULL, (uint32_t)found.csd.capacity, card_read, card_write, card_sync};
    return true;
}
