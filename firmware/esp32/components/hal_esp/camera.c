#include <esp_camera.h>
#include <esp_heap_caps.h>

#include "board.h"
#include "hal_esp.h"

static camera_fb_t *held;
static unsigned wanted_quality = 12;

/* Fresh frames: two buffers, of which the newest is given. Above CIF the buffers must lie in the outer memory. */
static bool begin_sensor(void) {
    camera_config_t config = {
        .pin_pwdn = CAMERA_PWDN,
        .pin_reset = CAMERA_RESET,
        .pin_xclk = CAMERA_XCLK,
        .pin_sccb_sda = CAMERA_SDA,
        .pin_sccb_scl = CAMERA_SCL,
        .pin_d7 = CAMERA_D7,
        .pin_d6 = CAMERA_D6,
        .pin_d5 = CAMERA_D5,
        .pin_d4 = CAMERA_D4,
        .pin_d3 = CAMERA_D3,
        .pin_d2 = CAMERA_D2,
        .pin_d1 = CAMERA_D1,
        .pin_d0 = CAMERA_D0,
        .pin_vsync = CAMERA_VSYNC,
        .pin_href = CAMERA_HREF,
        .pin_pclk = CAMERA_PCLK,
        .xclk_freq_hz = 20000000,
        .ledc_timer = LEDC_TIMER_0,
        .ledc_channel = LEDC_CHANNEL_0,
        .pixel_format = PIXFORMAT_JPEG,
        .frame_size = FRAMESIZE_SVGA,
        .jpeg_quality = (int)wanted_quality,
        .fb_count = 2,
        .fb_location = CAMERA_FB_IN_PSRAM,
        .grab_mode = CAMERA_GRAB_LATEST,
    };
    if (!heap_caps_get_total_size(MALLOC_CAP_SPIRAM)) {
        config.frame_size = FRAMESIZE_CIF;
        config.fb_count = 1;
        config.fb_location = CAMERA_FB_IN_DRAM;
        config.grab_mode = CAMERA_GRAB_WHEN_EMPTY;
    }
    return esp_camera_init(&config) == ESP_OK;
}

static void give_back(void) {
    if (held) esp_camera_fb_return(held);
    held = NULL;
}

/* The core looks at the markers: a frame without its end is no picture (core/jpeg.c). */
static int camera_take(void *self, const uint8_t **jpeg, size_t *n) {
    (void)self;
    give_back();
    held = esp_camera_fb_get();
    if (!held) return -1;
    *jpeg = held->buf;
    *n = held->len;
    return 0;
}

static void camera_reset(void *self) {
    (void)self;
    give_back();
    (void)esp_camera_deinit();
    (void)begin_sensor(); /* if it does not come back, the next five failures try again */
}

static void camera_quality(void *self, unsigned quality) {
    sensor_t *sensor = esp_camera_sensor_get();
    (void)self;
    wanted_quality = quality;
    if (sensor) (void)sensor->set_quality(sensor, (int)quality);
}

bool hal_esp_camera(hl_camera *camera) {
    *camera = (hl_camera){NULL, camera_take, camera_reset, NULL, camera_quality};
    return begin_sensor();
}
