#ifndef STUB_ESP_RANDOM_H
#define STUB_ESP_RANDOM_H
#include <stddef.h>
void esp_fill_random(void *data, size_t n);
#endif
