#ifndef STUB_ESP_HTTP_SERVER_H
#define STUB_ESP_HTTP_SERVER_H
#include <sys/types.h>
#include "esp_err.h"
typedef void *httpd_handle_t;
typedef enum { HTTP_GET = 1, HTTP_POST = 3 } httpd_method_t;
typedef struct httpd_req {
    httpd_handle_t handle;
    int method;
    const char uri[513];
    size_t content_len;
    void *user_ctx;
} httpd_req_t;
typedef struct {
    const char *uri;
    httpd_method_t method;
    esp_err_t (*handler)(httpd_req_t *request);
    void *user_ctx;
} httpd_uri_t;
typedef struct {
    unsigned task_priority;
    size_t stack_size;
} httpd_config_t;
#define HTTPD_DEFAULT_CONFIG()                                                                                         \
    { .task_priority = 5, .stack_size = 4096 }
#define HTTPD_RESP_USE_STRLEN (-1)
esp_err_t httpd_start(httpd_handle_t *handle, const httpd_config_t *config);
esp_err_t httpd_register_uri_handler(httpd_handle_t handle, const httpd_uri_t *uri);
esp_err_t httpd_resp_set_type(httpd_req_t *request, const char *type);
esp_err_t httpd_resp_send(httpd_req_t *request, const char *data, ssize_t n);
int httpd_req_recv(httpd_req_t *request, char *data, size_t n);
#endif
