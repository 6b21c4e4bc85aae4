/* Whether bytes are one whole JPEG (ITU-T T.81, annex B), by its markers: no pixel is decoded. A camera's driver gives
 * frames without an end, or two in one buffer; they are seen here, before the card, with the gateway's own codes. */
#ifndef HL_JPEG_H
#define HL_JPEG_H

#include <stddef.h>
#include <stdint.h>

#include "code.h"

/* HL_OK, HL_EMPTY, HL_BAD_JPEG, HL_TRUNCATED, HL_TRAILING_DATA, HL_UNSUPPORTED_IMAGE, HL_BAD_DIMENSIONS,
 * HL_TOO_MANY_PIXELS or HL_TOO_MANY_SCANS. Zero bytes may follow the end. */
hl_code hl_jpeg_check(const uint8_t *data, size_t n);

#endif
