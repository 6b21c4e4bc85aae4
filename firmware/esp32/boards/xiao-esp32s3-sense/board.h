/* Seeed XIAO ESP32S3 Sense: OV2640 or OV3660, PDM microphone, card by SPI, light that is on when low. */
#ifndef BOARD_H
#define BOARD_H

#define BOARD_NAME "xiao-esp32s3-sense"
#define BOARD_CONSOLE_USB 1

#define CAMERA_PWDN -1
#define CAMERA_RESET -1
#define CAMERA_XCLK 10
#define CAMERA_SDA 40
#define CAMERA_SCL 39
#define CAMERA_D0 15
#define CAMERA_D1 17
#define CAMERA_D2 18
#define CAMERA_D3 16
#define CAMERA_D4 14
#define CAMERA_D5 12
#define CAMERA_D6 11
#define CAMERA_D7 48
#define CAMERA_VSYNC 38
#define CAMERA_HREF 47
#define CAMERA_PCLK 13

#define CARD_SPI 1
#define CARD_CS 21
#define CARD_SCK 7
#define CARD_MISO 8
#define CARD_MOSI 9

#define MICROPHONE 1
#define MICROPHONE_CLK 42
#define MICROPHONE_DATA 41

/* Nothing measures the battery as the board is sold. With two equal resistors (100 to 220 kΩ) from its plus to D0 and on
 * to ground, build with BATTERY_PIN=1. D0 (GPIO 1) is of the first converter. */
#ifndef BATTERY_PIN
#define BATTERY_PIN -1
#endif
#define BATTERY_DIVIDER_PERMILLE 2000

#define LIGHT 21 /* shared with the card's select line: not used while the card is, so there is none to show itself with */
#define LIGHT_FREE 0

#endif
