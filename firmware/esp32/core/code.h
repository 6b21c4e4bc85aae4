/* Why something was refused: one list for records, acknowledgements and the card, with the wire's own words. */
#ifndef HL_CODE_H
#define HL_CODE_H

typedef enum {
    HL_OK = 0,
    HL_BAD_LENGTH,
    HL_BAD_MAGIC,
    HL_BAD_HEADER_CRC,
    HL_BAD_SEQUENCE,
    HL_BAD_TIME,
    HL_TOO_BIG,
    HL_BAD_VERSION,
    HL_BAD_KIND,
    HL_BAD_FLAGS,
    HL_BAD_CRC,
    HL_BAD_HASH,
    HL_BAD_META,
    HL_EMPTY,
    HL_BAD_JPEG,
    HL_TRUNCATED,
    HL_TRAILING_DATA,
    HL_UNSUPPORTED_IMAGE,
    HL_BAD_DIMENSIONS,
    HL_TOO_MANY_PIXELS,
    HL_TOO_MANY_SCANS,
    HL_BAD_PCM,
    HL_BAD_TELEMETRY,
    HL_BAD_ANCHOR,
    HL_BAD_GAP,
    HL_BAD_CBOR,
    HL_BAD_JSON,
    HL_END,        /* nothing (more) there */
    HL_CARD_ERROR, /* the card did not read or write */
    HL_CARD_FULL,
    HL_CODES
} hl_code;

/* The word for a code, as in docs/wire.md. */
const char *hl_code_name(hl_code code);

#endif
