#include "motion.h"

enum { CELL = 14 * 16, CELLS = 5, LEAST_PART = 16, SPREADS = 4 };

static uint32_t apart(uint32_t a, uint32_t b) { return a > b ? a - b : b - a; }

/* Sizes beyond four mean deviations, and at least a sixteenth, from the running mean. */
static bool size_moved(hl_motion *m, uint32_t jpeg_bytes) {
    uint32_t size = (jpeg_bytes < 1u << 24 ? jpeg_bytes : 1u << 24) * 16, off = apart(size, m->size_mean);
    bool moved = m->frames && off > m->size_mean / LEAST_PART && off > SPREADS * m->size_spread;
    if (!m->frames) {
        m->size_mean = size;
        return true;
    }
    uint32_t pull = moved ? 2 : 8; /* what has come to stay is soon no longer motion */
    m->size_mean = size > m->size_mean ? m->size_mean + off / pull : m->size_mean - off / pull;
    m->size_spread = m->size_spread - m->size_spread / 8 + (moved ? m->size_spread : off) / 8;
    return moved;
}

static bool luma_moved(hl_motion *m, const uint8_t luma[HL_LUMA]) {
    int32_t shift = 0;
    unsigned cells = 0;
    if (m->has_background)
        for (unsigned i = 0; i < HL_LUMA; i++) shift += (int32_t)luma[i] * 16 - m->background[i];
    shift /= HL_LUMA; /* of the light as a whole */
    for (unsigned i = 0; i < HL_LUMA; i++) {
        int32_t now = (int32_t)luma[i] * 16, off = now - shift - m->background[i];
        if (m->has_background && (off > CELL || off < -CELL)) cells++;
    }
    bool moved = cells >= CELLS;
    for (unsigned i = 0; i < HL_LUMA; i++) {
        int32_t now = (int32_t)luma[i] * 16, before = m->background[i];
        m->background[i] = (uint16_t)(m->has_background ? before + (now - before) / (moved ? 2 : 4) : now);
    }
    m->has_background = true;
    return moved;
}

bool hl_motion_look(hl_motion *m, uint32_t jpeg_bytes, const uint8_t luma[HL_LUMA]) {
    bool moved = size_moved(m, jpeg_bytes);
    if (luma) moved = luma_moved(m, luma) || !m->frames; /* where there is luma, it decides */
    m->frames++;
    return moved;
}
