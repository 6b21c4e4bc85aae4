/* Two slots and the boot loader's rollback: an image that was not confirmed before the next start is given up by it. */
#include <esp_ota_ops.h>
#include <mbedtls/pk.h>

#include "hal_esp.h"

/* SubjectPublicKeyInfo in DER: the public half of the release key, put beside this file by whoever builds it. */
extern const uint8_t release_key_start[] asm("_binary_release_key_der_start");
extern const uint8_t release_key_end[] asm("_binary_release_key_der_end");

static const esp_partition_t *slot;
static esp_ota_handle_t handle;
static bool writing;
static uint32_t written;

static int firmware_begin(void *self, uint32_t size) {
    (void)self;
    if (writing) (void)esp_ota_abort(handle);
    writing = slot && esp_ota_begin(slot, size, &handle) == ESP_OK;
    written = 0;
    return writing ? 0 : -1;
}

static int firmware_write(void *self, uint32_t offset, const void *data, size_t n) {
    (void)self;
    if (!writing || offset != written || esp_ota_write(handle, data, n) != ESP_OK) return -1;
    written += (uint32_t)n;
    return 0;
}

static int firmware_activate(void *self) {
    (void)self;
    if (!writing) return -1;
    writing = false;
    return esp_ota_end(handle) == ESP_OK && esp_ota_set_boot_partition(slot) == ESP_OK ? 0 : -1;
}

static bool firmware_on_trial(void *self) {
    esp_ota_img_states_t state;
    (void)self;
    return esp_ota_get_state_partition(esp_ota_get_running_partition(), &state) == ESP_OK &&
           state == ESP_OTA_IMG_PENDING_VERIFY;
}

static int firmware_confirm(void *self) {
    (void)self;
    return esp_ota_mark_app_valid_cancel_rollback() == ESP_OK ? 0 : -1;
}

static void firmware_roll_back(void *self) {
    (void)self;
    (void)esp_ota_mark_app_invalid_rollback_and_reboot(); /* returns only if there is nothing to go back to */
}

static bool firmware_verify(void *self, const uint8_t digest[32], const uint8_t *signature, size_t n) {
    mbedtls_pk_context key;
    (void)self;
    mbedtls_pk_init(&key);
    bool good =
        mbedtls_pk_parse_public_key(&key, release_key_start, (size_t)(release_key_end - release_key_start)) == 0 &&
        mbedtls_pk_verify(&key, MBEDTLS_MD_SHA256, digest, 32, signature, n) == 0;
    mbedtls_pk_free(&key);
    return good;
}

bool hal_esp_firmware(hl_firmware *firmware) {
    slot = esp_ota_get_next_update_partition(NULL);
    *firmware = (hl_firmware){NULL,
                              slot ? slot->size : 0,
                              firmware_begin,
                              firmware_write,
                              firmware_activate,
                              firmware_on_trial,
                              firmware_confirm,
                              firmware_roll_back,
                              firmware_verify};
    return slot != NULL;
}
