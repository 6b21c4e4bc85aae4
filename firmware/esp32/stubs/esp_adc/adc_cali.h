#pragma once
typedef struct adc_cali_scheme_t *adc_cali_handle_t;
