/* The battery's voltage, where somebody soldered a divider from it to a pin of the first converter (the second one stands
 * still while Wi-Fi is on). BATTERY_PIN -1: the board has none, and none is told. */
#include "board.h"
#include "hal_esp.h"

#if BATTERY_PIN >= 0

#include <esp_adc/adc_cali.h>
#include <esp_adc/adc_cali_scheme.h>
#include <esp_adc/adc_oneshot.h>

enum { SAMPLES = 16, LEAST_MV = 500 }; /* less is a wire that hangs in the air */

static adc_oneshot_unit_handle_t unit;
static adc_cali_handle_t calibration;
static adc_channel_t channel;
static bool tried;

static bool begin(void) {
    const adc_oneshot_chan_cfg_t chosen = {.atten = ADC_ATTEN_DB_12, .bitwidth = ADC_BITWIDTH_DEFAULT};
    adc_oneshot_unit_init_cfg_t wanted = {.unit_id = ADC_UNIT_1};
    adc_unit_t of = ADC_UNIT_1;
    if (tried) return calibration;
    tried = true;
    if (adc_oneshot_io_to_channel(BATTERY_PIN, &of, &channel) != ESP_OK || of != ADC_UNIT_1) return false;
    const adc_cali_curve_fitting_config_t curve = {
        .unit_id = of, .chan = channel, .atten = chosen.atten, .bitwidth = chosen.bitwidth};
    return adc_oneshot_new_unit(&wanted, &unit) == ESP_OK &&
           adc_oneshot_config_channel(unit, channel, &chosen) == ESP_OK &&
           adc_cali_create_scheme_curve_fitting(&curve, &calibration) == ESP_OK;
}

uint32_t hal_esp_battery_mv(void) {
    uint32_t sum = 0;
    if (!begin()) return 0;
    for (int i = 0; i < SAMPLES; i++) {
        int mv = 0;
        if (adc_oneshot_get_calibrated_result(unit, calibration, channel, &mv) != ESP_OK || mv < 0) return 0;
        sum += (uint32_t)mv;
    }
    uint32_t mv = (uint32_t)((uint64_t)sum * BATTERY_DIVIDER_PERMILLE / 1000 / SAMPLES);
    return mv < LEAST_MV ? 0 : mv;
}

#else

uint32_t hal_esp_battery_mv(void) { return 0; }

#endif
