#include "code.h"

static const char *const NAMES[HL_CODES] = {
    "ok",           "bad-length",     "bad-magic",         "bad-header-crc", "bad-sequence",    "bad-time",
    "too-big",      "bad-version",    "bad-kind",          "bad-flags",      "bad-crc",         "bad-hash",
    "bad-meta",     "empty",          "bad-jpeg",          "truncated",      "trailing-data",   "unsupported-image",
    "bad-dimensions", "too-many-pixels", "too-many-scans", "bad-pcm",        "bad-telemetry",   "bad-anchor",
    "bad-gap",      "bad-cbor",       "bad-json",          "end",            "card-error",      "card-full",
};

const char *hl_code_name(hl_code code) { return code < HL_CODES ? NAMES[code] : "unknown"; }
