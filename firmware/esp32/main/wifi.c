#include <esp_event.h>
#include <esp_netif.h>
#include <esp_wifi.h>
#include <string.h>

#include "setup.h"

static volatile bool joined;

static void on_event(void *argument, esp_event_base_t base, int32_t id, void *data) {
    (void)argument;
    (void)data;
    if (base == IP_EVENT && id == IP_EVENT_STA_GOT_IP) joined = true;
    if (base != WIFI_EVENT) return;
    if (id == WIFI_EVENT_STA_DISCONNECTED) joined = false;
    if (id == WIFI_EVENT_STA_START || id == WIFI_EVENT_STA_DISCONNECTED) (void)esp_wifi_connect();
}

bool wifi_begin(void) {
    wifi_init_config_t config = WIFI_INIT_CONFIG_DEFAULT();
    if (esp_netif_init() != ESP_OK || esp_event_loop_create_default() != ESP_OK) return false;
    if (!esp_netif_create_default_wifi_sta() || !esp_netif_create_default_wifi_ap()) return false;
    return esp_wifi_init(&config) == ESP_OK && esp_wifi_set_storage(WIFI_STORAGE_RAM) == ESP_OK &&
           esp_event_handler_register(WIFI_EVENT, ESP_EVENT_ANY_ID, on_event, NULL) == ESP_OK &&
           esp_event_handler_register(IP_EVENT, IP_EVENT_STA_GOT_IP, on_event, NULL) == ESP_OK;
}

bool wifi_join(const setup_wifi *wifi) {
    wifi_config_t config;
    wifi_mode_t mode = WIFI_MODE_NULL;
    memset(&config, 0, sizeof config);
    memcpy(config.sta.ssid, wifi->name, strnlen(wifi->name, sizeof config.sta.ssid));
    memcpy(config.sta.password, wifi->password, strnlen(wifi->password, sizeof config.sta.password));
    (void)esp_wifi_get_mode(&mode);
    if (esp_wifi_set_mode(mode == WIFI_MODE_AP || mode == WIFI_MODE_APSTA ? WIFI_MODE_APSTA : WIFI_MODE_STA) != ESP_OK)
        return false;
    if (esp_wifi_set_config(WIFI_IF_STA, &config) != ESP_OK || esp_wifi_start() != ESP_OK) return false;
    return esp_wifi_connect() == ESP_OK;
}

bool wifi_joined(void) { return joined; }

bool wifi_open_access_point(const char *name) {
    wifi_config_t config;
    memset(&config, 0, sizeof config);
    size_t n = strnlen(name, sizeof config.ap.ssid);
    memcpy(config.ap.ssid, name, n);
    config.ap.ssid_len = (uint8_t)n;
    config.ap.max_connection = 1;
    config.ap.authmode = WIFI_AUTH_OPEN;
    return esp_wifi_set_mode(WIFI_MODE_APSTA) == ESP_OK && esp_wifi_set_config(WIFI_IF_AP, &config) == ESP_OK &&
           esp_wifi_start() == ESP_OK;
}
