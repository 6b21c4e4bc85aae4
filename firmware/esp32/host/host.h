/* The hal on Linux: a card in a file, a key-value store of files, TCP and TLS, firmware in files, the monotonic clock, the kernel's randomness,
 * pictures from a folder, sound from a WAV. All of it can be told to fail (fault.h). */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include "credential.h"
#include "fault.h"
#include "hal.h"

/* Exit status after a simulated power cut. */
#define EXIT_POWER_CUT 42
#define HOST_PENDING 4096

typedef struct {
    hl_card card;
    int fd;
    faults *faults;
    const hl_clock *clock;
    uint32_t pending_block[HOST_PENDING]; /* what was written and not synced stays in memory: a kill loses it */
    uint8_t (*pending)[HL_BLOCK];
    unsigned pending_count;
} host_card;

/* `DIR/card.img` of `mib` MiB, made if it is not there. False: an error, said on stderr. */
bool host_card_open(host_card *c, const char *folder, uint32_t mib, faults *f, const hl_clock *clock);

typedef struct {
    hl_kv kv;
    char folder[512];
} host_kv;

bool host_kv_open(host_kv *k, const char *folder, bool wiped);

/* A stream, over TLS unless it trusts HL_TRUST_PLAIN. What it was told of a CA stays for the next time. */
typedef struct {
    hl_web web;
    char host[128], port[8];
    int fd;
    faults *faults;
    const hl_clock *clock;
    struct ssl_st *ssl;
    hl_trust trust;
    uint8_t ca[HL_CA_BYTES];
    size_t ca_bytes;
} host_net;

/* Plain TCP to `address` until it is aimed elsewhere, or told whom to trust. */
bool host_net_begin(host_net *n, const char *address, faults *f, const hl_clock *clock);

/* From now on over TLS, believing this CA alone. */
void host_net_trust(host_net *n, const uint8_t *ca, size_t ca_bytes);

typedef struct {
    hl_firmware firmware;
    char folder[512], version[24];
    unsigned runs, next; /* slots */
    bool trial, restart; /* restart: it was rolled back */
    int fd;
    struct evp_pkey_st *key;
} host_flash;

/* `release_key`: a PEM file with the public half, or NULL: no update is good. */
bool host_flash_open(host_flash *f, const char *folder, const char *release_key);

/* What happens at a start; `own` is the version if the slot that runs was never written. */
void host_flash_boot(host_flash *f, const char *own);

/* Microseconds since `host_clock` was called. */
hl_clock host_clock(uint64_t *started_us);
hl_random host_random(void);

typedef struct {
    hl_camera camera;
    char **files;
    size_t count, next;
    uint8_t *data;
    unsigned long taken, resets;
    const char *mark; /* written into each picture, with its number, as a comment: no two are the same */
} host_camera;

bool host_camera_open(host_camera *c, const char *folder, const char *mark);

typedef struct {
    hl_microphone microphone;
    const hl_clock *clock;
    uint8_t *pcm, *out;
    size_t samples;
    uint64_t taken;
} host_microphone;

/* PCM16 mono at 16 kHz, played over and over. */
bool host_microphone_open(host_microphone *m, const char *file, const hl_clock *clock);

#endif
