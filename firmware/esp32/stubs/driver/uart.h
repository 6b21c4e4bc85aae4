#ifndef STUB_UART_H
#define STUB_UART_H
#include "esp_err.h"
typedef int uart_port_t;
typedef struct stub_queue *QueueHandle_t;
#define UART_NUM_0 0
esp_err_t uart_driver_install(uart_port_t port, int rx, int tx, int queue, QueueHandle_t *handle, int flags);
int uart_read_bytes(uart_port_t port, void *data, uint32_t n, uint32_t ticks);
int uart_write_bytes(uart_port_t port, const void *data, size_t n);
#endif
