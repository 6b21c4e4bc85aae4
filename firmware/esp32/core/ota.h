/* New firmware over the air: a manifest that the release key signed (docs/wire.md), fetched in pieces into the slot that
 * does not run, hashed as it is written, started on trial; it stays only after one record was acknowledged.
 * Whatever happens meanwhile, the slot that runs is not touched, and the other one is started only when its whole
 * image has the signed size and hash. */
#ifndef HL_OTA_H
#define HL_OTA_H

#include "http.h"
#include "sha256.h"

#define HL_BOARD_BYTES 33
#define HL_SIGNATURE_BYTES 72
#define HL_TRIAL_BOOTS 3
#define HL_TRIAL_US 600000000ull

typedef struct {
    uint16_t part[3];
} hl_version;

/* `MAJOR.MINOR.PATCH`, each below 65,536, no leading zeros. */
bool hl_version_read(const char *text, hl_version *version);

typedef struct {
    char host[64], path[96], board[HL_BOARD_BYTES];
    hl_version version;
    uint32_t size;
    uint8_t sha256[HL_SHA256_BYTES], signature[HL_SIGNATURE_BYTES];
    size_t signature_bytes;
    bool allow_downgrade; /* not among what is signed: an owner asks for it */
} hl_manifest;

/* `args` of the command; false: it is not one. */
bool hl_manifest_read(const char *args, size_t n, hl_manifest *manifest);

typedef struct {
    const hl_firmware *firmware;
    const hl_web *web;
    const hl_kv *kv;
    const char *board, *version, *password;
    bool plain; /* plain HTTP, for trying out on one machine */
} hl_ota_config;

typedef enum { HL_OTA_IDLE, HL_OTA_FETCHING, HL_OTA_READY, HL_OTA_FAILED } hl_ota_state;

typedef struct {
    hl_ota_config config;
    hl_ota_state state;
    const char *code; /* why it failed, in the wire's words */
    hl_manifest manifest;
    hl_http http;
    hl_sha256 sha;
    uint32_t at, skip; /* written so far; bytes that come again */
    unsigned tries;    /* without a byte written in between */
    uint64_t due_us;
    bool asked, trial;
    uint64_t trial_us; /* since when */
} hl_ota;

/* At the start: whether the image that runs is on trial, and the end of that if it was started too often. */
void hl_ota_wake(hl_ota *o, const hl_ota_config *config, uint64_t now_us);

/* `acknowledged`: a record of this start is with the gateway. Confirms, or goes back when it takes too long. */
void hl_ota_watch(hl_ota *o, bool acknowledged, uint64_t now_us);

/* Check the manifest and begin; "" or why not. */
const char *hl_ota_begin(hl_ota *o, const char *args, size_t n);

/* HL_OTA_READY: the new image is started at the next restart. HL_OTA_FAILED: `code` says why. */
hl_ota_state hl_ota_step(hl_ota *o, uint64_t now_us);

#endif
