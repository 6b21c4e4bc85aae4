/* Whether something moved: by the size of the JPEG, which costs nothing, and by a small grid of luma where the board
 * gives one. Both follow slow changes of the light; a change of all cells alike (a cloud, a lamp) is light, not motion. */
#ifndef HL_MOTION_H
#define HL_MOTION_H

#include <stdbool.h>
#include <stdint.h>

#define HL_LUMA_WIDTH 16
#define HL_LUMA_HEIGHT 12
#define HL_LUMA (HL_LUMA_WIDTH * HL_LUMA_HEIGHT)

typedef struct {
    uint32_t frames;
    uint32_t size_mean, size_spread; /* bytes × 16; the spread is a mean absolute deviation */
    uint16_t background[HL_LUMA];    /* luma × 16 */
    bool has_background;
} hl_motion;

/* Look at one frame: its bytes, and its luma or NULL. True for the first frame, and when something moved. */
bool hl_motion_look(hl_motion *m, uint32_t jpeg_bytes, const uint8_t luma[HL_LUMA]);

#endif
