#ifndef STUB_ESP_SLEEP_H
#define STUB_ESP_SLEEP_H
#include <stdint.h>
void esp_deep_sleep(uint64_t us) __attribute__((noreturn));
#endif
