/* AI-Thinker ESP32-CAM: OV2640, no microphone, card by one line of SDMMC (four would drive the flash), small red light
 * that is on when low. */
#ifndef BOARD_H
#define BOARD_H

#define BOARD_NAME "ai-thinker-esp32-cam"
#define BOARD_CONSOLE_USB 0

#define CAMERA_PWDN 32
#define CAMERA_RESET -1
#define CAMERA_XCLK 0
#define CAMERA_SDA 26
#define CAMERA_SCL 27
#define CAMERA_D0 5
#define CAMERA_D1 18
#define CAMERA_D2 19
#define CAMERA_D3 21
#define CAMERA_D4 36
#define CAMERA_D5 39
#define CAMERA_D6 34
#define CAMERA_D7 35
#define CAMERA_VSYNC 25
#define CAMERA_HREF 23
#define CAMERA_PCLK 22

#define CARD_SPI 0
#define MICROPHONE 0

/* The camera has every pin of the first converter but the light's, and the second one stands still while Wi-Fi is on:
 * this board cannot measure a battery. */
#define BATTERY_PIN -1

#define LIGHT 33
#define LIGHT_FREE 1

#endif
