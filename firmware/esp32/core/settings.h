/* What the gateway sets on a camera (`dn/cfg`), kept in two slots of the key-value store, each with a CRC: a power cut
 * while one is written leaves the other. A message counts as a whole or not at all; keys that are not known here are
 * passed over, those that are absent keep their value.
 *   {"every_s": 1 to 86400, "quality": 4 to 63 (less is better), "motion": true,
 *    "still_s": 0 to 86400, "privacy": false, "quiet": [from, to] minutes of the UTC day, or null} */
#ifndef HL_SETTINGS_H
#define HL_SETTINGS_H

#include "hal.h"

#define HL_SETTINGS_BYTES 32

typedef struct {
    uint32_t generation;
    uint32_t interval_ms; /* between pictures: 1 s to a day */
    uint32_t still_s;     /* with motion: keep one this often though nothing moves, 0 never */
    uint8_t quality;
    bool motion;                           /* keep only what moves */
    bool privacy;                          /* take nothing */
    uint16_t quiet_from_min, quiet_to_min; /* of the UTC day; alike: none */
} hl_settings;

void hl_settings_default(hl_settings *s);

/* The newer of the two slots that is whole; the defaults if neither is. */
void hl_settings_load(hl_settings *s, const hl_kv *kv);

/* Into the slot that does not hold the newest. False: the store did not take it. */
bool hl_settings_save(hl_settings *s, const hl_kv *kv);

/* Take `dn/cfg`. False: it is not what it should be, and nothing has changed. */
bool hl_settings_read(hl_settings *s, const char *text, size_t n);

/* Whether the day's quiet stretch holds this instant. */
bool hl_settings_quiet(const hl_settings *s, uint64_t utc_us);

#endif
