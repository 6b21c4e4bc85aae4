#ifndef STUB_ESP_SYSTEM_H
#define STUB_ESP_SYSTEM_H
#include "esp_err.h"
typedef enum { ESP_RST_UNKNOWN, ESP_RST_POWERON, ESP_RST_BROWNOUT = 9 } esp_reset_reason_t;
esp_reset_reason_t esp_reset_reason(void);
void esp_restart(void) __attribute__((noreturn));
#endif
