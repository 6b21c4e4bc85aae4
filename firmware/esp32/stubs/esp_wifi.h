#ifndef STUB_ESP_WIFI_H
#define STUB_ESP_WIFI_H
#include "esp_event.h"
extern esp_event_base_t const WIFI_EVENT;
typedef enum {
    WIFI_EVENT_WIFI_READY,
    WIFI_EVENT_SCAN_DONE,
    WIFI_EVENT_STA_START,
    WIFI_EVENT_STA_STOP,
    WIFI_EVENT_STA_CONNECTED,
    WIFI_EVENT_STA_DISCONNECTED
} wifi_event_t;
typedef enum { WIFI_MODE_NULL, WIFI_MODE_STA, WIFI_MODE_AP, WIFI_MODE_APSTA } wifi_mode_t;
typedef enum { WIFI_IF_STA, WIFI_IF_AP } wifi_interface_t;
typedef enum { WIFI_STORAGE_FLASH, WIFI_STORAGE_RAM } wifi_storage_t;
typedef enum { WIFI_AUTH_OPEN } wifi_auth_mode_t;
typedef struct {
    int stub;
} wifi_init_config_t;
#define WIFI_INIT_CONFIG_DEFAULT()                                                                                     \
    { 0 }
typedef struct {
    uint8_t ssid[32], password[64];
} wifi_sta_config_t;
typedef struct {
    uint8_t ssid[32], password[64], ssid_len, channel;
    wifi_auth_mode_t authmode;
    uint8_t ssid_hidden, max_connection;
} wifi_ap_config_t;
typedef union {
    wifi_ap_config_t ap;
    wifi_sta_config_t sta;
} wifi_config_t;
typedef struct {
    uint8_t bssid[6], ssid[33], primary;
    int8_t rssi;
} wifi_ap_record_t;
esp_err_t esp_wifi_init(const wifi_init_config_t *config);
esp_err_t esp_wifi_set_storage(wifi_storage_t storage);
esp_err_t esp_wifi_set_mode(wifi_mode_t mode);
esp_err_t esp_wifi_get_mode(wifi_mode_t *mode);
esp_err_t esp_wifi_set_config(wifi_interface_t interface, wifi_config_t *config);
esp_err_t esp_wifi_start(void);
esp_err_t esp_wifi_stop(void);
esp_err_t esp_wifi_connect(void);
esp_err_t esp_wifi_sta_get_ap_info(wifi_ap_record_t *ap);
#endif
