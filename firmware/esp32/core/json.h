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

/* Where a reader is within an object; begin with zeros. `seen`: which names came, as `hl_json_field` tells them. */
typedef struct {
    unsigned n, seen;
} hl_json_fields;

/* Inside an object: which of `names` ("one\0two\0") comes next, its colon passed: 1 for the first, 2, 4 and so on.
 * What has another name is passed over. 0 behind the closing brace, or when something is wrong; a name that comes twice
 * is. */
unsigned hl_json_field(hl_json *j, hl_json_fields *fields, const char *names);

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
