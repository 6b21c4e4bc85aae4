#include <nvs.h>
#include <nvs_flash.h>

#include "hal_esp.h"

static nvs_handle_t store;

static int kv_get(void *self, const char *key, void *data, size_t size) {
    (void)self;
    size_t n = size;
    return nvs_get_blob(store, key, data, &n) == ESP_OK ? (int)n : -1; /* too long for `size` is an error as well */
}

static int kv_put(void *self, const char *key, const void *data, size_t n) {
    (void)self;
    esp_err_t result = n ? nvs_set_blob(store, key, data, n) : nvs_erase_key(store, key);
    if (!n && result == ESP_ERR_NVS_NOT_FOUND) return 0;
    return result == ESP_OK && nvs_commit(store) == ESP_OK ? 0 : -1;
}

bool hal_esp_kv(hl_kv *kv) {
    esp_err_t result = nvs_flash_init();
    if (result == ESP_ERR_NVS_NO_FREE_PAGES || result == ESP_ERR_NVS_NEW_VERSION_FOUND) {
        if (nvs_flash_erase() != ESP_OK)
            return false; /* it is not readable as it is: begin anew, the card knows the rest */
        result = nvs_flash_init();
    }
    *kv = (hl_kv){NULL, kv_get, kv_put};
    return result == ESP_OK && nvs_open("hearthcam", NVS_READWRITE, &store) == ESP_OK;
}
