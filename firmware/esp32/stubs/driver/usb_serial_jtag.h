#ifndef STUB_USB_SERIAL_JTAG_H
#define STUB_USB_SERIAL_JTAG_H
#include "esp_err.h"
typedef struct {
    uint32_t tx_buffer_size, rx_buffer_size;
} usb_serial_jtag_driver_config_t;
#define USB_SERIAL_JTAG_DRIVER_CONFIG_DEFAULT()                                                                        \
    { 256, 256 }
esp_err_t usb_serial_jtag_driver_install(usb_serial_jtag_driver_config_t *config);
int usb_serial_jtag_read_bytes(void *data, uint32_t n, uint32_t ticks);
int usb_serial_jtag_write_bytes(const void *data, size_t n, uint32_t ticks);
#endif
