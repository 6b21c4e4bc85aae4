#ifndef STUB_ESP_TLS_H
#define STUB_ESP_TLS_H
#include <sys/types.h>
#include "esp_err.h"
#define ESP_TLS_ERR_SSL_WANT_READ (-0x6900)
#define ESP_TLS_ERR_SSL_WANT_WRITE (-0x6880)
typedef struct esp_tls esp_tls_t;
typedef struct {
    const unsigned char *cacert_buf;
    unsigned int cacert_bytes;
    bool non_block;
    int timeout_ms;
    bool skip_common_name;
} esp_tls_cfg_t;
esp_tls_t *esp_tls_init(void);
int esp_tls_conn_new_async(const char *host, int n, int port, const esp_tls_cfg_t *config, esp_tls_t *tls);
ssize_t esp_tls_conn_write(esp_tls_t *tls, const void *data, size_t n);
ssize_t esp_tls_conn_read(esp_tls_t *tls, void *data, size_t n);
int esp_tls_conn_destroy(esp_tls_t *tls);
#endif
