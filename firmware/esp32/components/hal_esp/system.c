#include <driver/gpio.h>
#include <esp_mac.h>
#include <esp_random.h>
#include <esp_sleep.h>
#include <esp_system.h>
#include <esp_timer.h>
#include <esp_wifi.h>
#include <stdio.h>

#include "board.h"
#include "hal_esp.h"

static uint64_t mono_us(void *self) {
    (void)self;
    return (uint64_t)esp_timer_get_time();
}

static void fill(void *self, void *data, size_t n) {
    (void)self;
    esp_fill_random(data, n); /* true randomness while the radio is on, which it is before anything here asks */
}

void hal_esp_clock(hl_clock *clock, hl_random *random) {
    *clock = (hl_clock){NULL, mono_us};
    *random = (hl_random){NULL, fill};
}

static void system_restart(void *self) {
    (void)self;
    esp_restart();
}

static void system_sleep(void *self, uint64_t us) {
    (void)self;
    (void)esp_wifi_stop();
    esp_deep_sleep(us);
}

#if LIGHT_FREE
static void light_off(void *argument) {
    (void)argument;
    (void)gpio_set_level(LIGHT, 1);
}

static int system_identify(void *self) {
    static esp_timer_handle_t timer;
    const esp_timer_create_args_t arguments = {.callback = light_off, .name = "light"};
    (void)self;
    if (!timer && esp_timer_create(&arguments, &timer) != ESP_OK) return -1;
    if (gpio_set_direction(LIGHT, GPIO_MODE_OUTPUT) != ESP_OK || gpio_set_level(LIGHT, 0) != ESP_OK) return -1;
    (void)esp_timer_stop(timer);
    return esp_timer_start_once(timer, 5000000) == ESP_OK ? 0 : -1;
}
#endif

static void system_health(void *self, hl_health *health) {
    wifi_ap_record_t ap;
    (void)self;
    health->rssi_dbm = esp_wifi_sta_get_ap_info(&ap) == ESP_OK ? ap.rssi : 0;
    health->battery_mv = hal_esp_battery_mv();
}

void hal_esp_system(hl_system *system) {
    *system = (hl_system){.restart = system_restart, .sleep = system_sleep, .health = system_health};
#if LIGHT_FREE
    system->identify = system_identify;
#endif
}

void hal_esp_serial(char text[18]) {
    uint8_t mac[6] = {0};
    (void)esp_read_mac(mac, ESP_MAC_WIFI_STA);
    (void)snprintf(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}
