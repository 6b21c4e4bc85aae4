#include "board.h"
#include "setup.h"

#if BOARD_CONSOLE_USB
#include <driver/usb_serial_jtag.h>

bool console_begin(void) {
    usb_serial_jtag_driver_config_t config = USB_SERIAL_JTAG_DRIVER_CONFIG_DEFAULT();
    return usb_serial_jtag_driver_install(&config) == ESP_OK;
}

size_t console_read(uint8_t *data, size_t n) {
    int got = usb_serial_jtag_read_bytes(data, (uint32_t)n, 0);
    return got > 0 ? (size_t)got : 0;
}

void console_write(const uint8_t *data, size_t n) { (void)usb_serial_jtag_write_bytes(data, n, 0); }
#else
#include <driver/uart.h>

bool console_begin(void) { return uart_driver_install(UART_NUM_0, 512, 0, 0, NULL, 0) == ESP_OK; }

size_t console_read(uint8_t *data, size_t n) {
    int got = uart_read_bytes(UART_NUM_0, data, (uint32_t)n, 0);
    return got > 0 ? (size_t)got : 0;
}

void console_write(const uint8_t *data, size_t n) { (void)uart_write_bytes(UART_NUM_0, data, n); }
#endif
