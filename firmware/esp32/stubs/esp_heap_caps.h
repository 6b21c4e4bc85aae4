#ifndef STUB_ESP_HEAP_CAPS_H
#define STUB_ESP_HEAP_CAPS_H
#include <stddef.h>
#include <stdint.h>
#define MALLOC_CAP_8BIT (1u << 2)
#define MALLOC_CAP_SPIRAM (1u << 10)
void *heap_caps_malloc(size_t size, uint32_t caps);
size_t heap_caps_get_total_size(uint32_t caps);
#endif
