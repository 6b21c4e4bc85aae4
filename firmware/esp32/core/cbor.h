/* The small CBOR of the wire (RFC 8949, the subset of docs/wire.md): a bounded writer and a strict reader.
 * Integers of 64 bits, finite floats, text, byte strings, arrays, maps with text keys, booleans, null; definite
 * lengths only; no tags; no key twice; at most 4 levels and 1,024 items; nothing after the value. */
#ifndef HL_CBOR_H
#define HL_CBOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HL_CBOR_DEPTH 4
#define HL_CBOR_ITEMS 1024

/* Writes into `data`; once something does not fit, `full` stays set and nothing more is written. */
typedef struct {
    uint8_t *data;
    size_t size, used;
    bool full;
} hl_cbor_writer;

void hl_cbor_map(hl_cbor_writer *w, size_t pairs);
void hl_cbor_array(hl_cbor_writer *w, size_t items);
void hl_cbor_uint(hl_cbor_writer *w, uint64_t value);
void hl_cbor_int(hl_cbor_writer *w, int64_t value);
void hl_cbor_text(hl_cbor_writer *w, const char *text);
void hl_cbor_bytes(hl_cbor_writer *w, const void *data, size_t n);

typedef enum {
    HL_CBOR_UINT,   /* number */
    HL_CBOR_NINT,   /* -1 - number */
    HL_CBOR_BYTES,  /* data, number bytes */
    HL_CBOR_TEXT,   /* data, number bytes of UTF-8 */
    HL_CBOR_ARRAY,  /* number items follow */
    HL_CBOR_MAP,    /* number pairs follow */
    HL_CBOR_SIMPLE, /* false, true, null */
    HL_CBOR_FLOAT,
} hl_cbor_type;

typedef struct {
    hl_cbor_type type;
    uint64_t number;
    const uint8_t *data;
} hl_cbor_item;

typedef struct {
    const uint8_t *data;
    size_t size, at;
} hl_cbor_reader;

/* Whether `data` holds one value of the subset and nothing else. Ask first; then the reader's calls cannot fail
 * within it. */
bool hl_cbor_check(const uint8_t *data, size_t size);

/* The next item; an array's or map's content follows it. False at the end or for what is not in the subset. */
bool hl_cbor_next(hl_cbor_reader *r, hl_cbor_item *item);

/* Whether a text item is this word. */
bool hl_cbor_is(const hl_cbor_item *item, const char *word);

/* UTF-8 characters in `n` bytes, or -1 if it is not UTF-8. */
int hl_utf8_length(const uint8_t *p, size_t n);

#endif
