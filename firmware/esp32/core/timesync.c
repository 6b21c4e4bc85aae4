#include "timesync.h"

#include <string.h>

#define MINUTE_US 60000000ull
#define ANCHOR_EVERY_US (60 * MINUTE_US)

void hl_timesync_ask(hl_timesync *t, uint64_t now_us) {
    t->asked = true;
    t->t0_us = now_us;
}

static uint64_t error_at(const hl_timesync *t, uint64_t mono_us) {
    uint64_t apart = mono_us > t->mono_us ? mono_us - t->mono_us : t->mono_us - mono_us;
    return t->err_us + apart / 1000000 * HL_DRIFT_PPM;
}

bool hl_timesync_answer(hl_timesync *t, const hl_time_answer *answer, uint64_t now_us) {
    if (!t->asked || answer->t0_us != t->t0_us || now_us < t->t0_us) return false;
    uint64_t half = (now_us - t->t0_us) / 2 + 1;
    t->asked = false;
    if (!answer->known || half > MINUTE_US / 2) return false;
    if (t->known && half >= error_at(t, now_us)) return false;
    t->known = true;
    t->mono_us = t->t0_us + half;
    t->utc_us = answer->utc_us;
    t->err_us = half;
    return true;
}

bool hl_timesync_utc(const hl_timesync *t, uint64_t mono_us, uint64_t *utc_us, uint64_t *err_us) {
    if (!t->known) return false;
    if (mono_us < t->mono_us && t->mono_us - mono_us > t->utc_us) return false;
    *utc_us = t->utc_us + mono_us - t->mono_us;
    *err_us = error_at(t, mono_us);
    return *utc_us <= HL_LATEST_UTC_US && *err_us <= HL_LATEST_UTC_US;
}

bool hl_timesync_anchor(hl_timesync *t, const uint8_t boot_id[HL_BOOT_BYTES], uint64_t now_us, hl_anchor *out) {
    if (!t->known) return false;
    if (t->anchored && now_us - t->anchored_us < ANCHOR_EVERY_US && t->err_us * 2 > t->anchored_err_us) return false;
    t->anchored = true;
    t->anchored_us = now_us;
    t->anchored_err_us = t->err_us;
    memcpy(out->boot_id, boot_id, HL_BOOT_BYTES);
    out->mono_us = t->mono_us;
    out->utc_us = t->utc_us;
    out->err_us = t->err_us;
    return true;
}
