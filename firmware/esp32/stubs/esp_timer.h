#ifndef STUB_ESP_TIMER_H
#define STUB_ESP_TIMER_H
#include "esp_err.h"
typedef struct esp_timer *esp_timer_handle_t;
typedef enum { ESP_TIMER_TASK } esp_timer_dispatch_t;
typedef struct {
    void (*callback)(void *argument);
    void *arg;
    esp_timer_dispatch_t dispatch_method;
    const char *name;
    bool skip_unhandled_events;
} esp_timer_create_args_t;
int64_t esp_timer_get_time(void);
esp_err_t esp_timer_create(const esp_timer_create_args_t *arguments, esp_timer_handle_t *handle);
esp_err_t esp_timer_start_once(esp_timer_handle_t handle, uint64_t us);
esp_err_t esp_timer_stop(esp_timer_handle_t handle);
#endif
