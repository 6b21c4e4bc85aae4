/* What time it is: UTC learnt from the gateway, with the interval that holds the truth. Asked by `up/event`, answered
 * on `dn/time`; half the round trip is the error, and it grows with the crystal's drift. */
#ifndef HL_TIMESYNC_H
#define HL_TIMESYNC_H

#include "ack.h"

#define HL_DRIFT_PPM 50

typedef struct {
    bool known, asked, anchored;
    uint64_t t0_us;                        /* of the question that is open */
    uint64_t mono_us, utc_us;              /* read together */
    uint64_t err_us;                       /* then */
    uint64_t anchored_us, anchored_err_us; /* when an anchor was last written, since boot, and how good it was */
} hl_timesync;

/* A question is asked at `now_us`; its t0 is that. */
void hl_timesync_ask(hl_timesync *t, uint64_t now_us);

/* An answer has come. True if the clock is better known than before. Answers nobody asked for, that took longer than
 * a minute, or of a gateway that does not know either, change nothing. */
bool hl_timesync_answer(hl_timesync *t, const hl_time_answer *answer, uint64_t now_us);

/* UTC at an instant of this boot; false while it is not known. */
bool hl_timesync_utc(const hl_timesync *t, uint64_t mono_us, uint64_t *utc_us, uint64_t *err_us);

/* Whether a time anchor should be written: the first of a boot, one twice as good, or one an hour. Then it is `out`,
 * and counts as written. */
bool hl_timesync_anchor(hl_timesync *t, const uint8_t boot_id[HL_BOOT_BYTES], uint64_t now_us, hl_anchor *out);

#endif
