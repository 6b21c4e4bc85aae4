#ifndef STUB_TASK_H
#define STUB_TASK_H
#include "freertos/FreeRTOS.h"
void vTaskDelay(TickType_t ticks);
#endif
