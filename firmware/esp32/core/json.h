/* A pull reader of the gateway's small JSON (RFC 8259): nothing is stored, nothing nests deeper than HL_JSON_DEPTH.
 * Every call checks; once something is wrong `bad` stays set and all calls answer false. */
#ifndef HL_JSON_H
#define HL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HL_JSON_DEPTH 8

typedef struct {
    const char *at, *end;
    bool bad;
} hl_json;

/* Step into `{` or `[`. */
bool hl_json_open(hl_json *j, char bracket);

/* Inside an object: the next key, with its colon passed; false behind the closing brace. `*n` counts, from 0. */
bool hl_json_key(hl_json *j, unsigned *n, char *key, size_t size);

/* Inside an array: whether another item comes; false behind the closing bracket. */
bool hl_json_item(hl_json *j, unsigned *n);

/* A whole number. */
bool hl_json_int(hl_json *j, int64_t *value);
bool hl_json_bool(hl_json *j, bool *value);

/* If null comes, pass over it. */
bool hl_json_null(hl_json *j);

/* A string; what does not fit into `size` (with the final zero) is cut off, but checked. Escaped characters beyond
 * ASCII become '?': no word of the protocol has one. */
bool hl_json_text(hl_json *j, char *out, size_t size);

/* Pass over any one value. */
bool hl_json_skip(hl_json *j);

/* Whether all was good and nothing follows. */
bool hl_json_end(hl_json *j);

#endif
