/* One simulated camera: the core with everything that stands behind it. */
#ifndef HOST_UNIT_H
#define HOST_UNIT_H

#include "acks.h"
#include "device.h"
#include "host.h"
#include "pair.h"

typedef struct {
    const char *broker, *id, *user, *password, *client_id, *frames, *wav, *card, *fault, *pair, *hardware, *board,
        *firmware, *key;
    uint32_t count, interval_ms, telemetry_ms, card_mib, segment, devices, awake_ms, backlog, backlog_bytes;
    uint64_t seed;
    bool stay, quiet;
} settings;

#define UNIT_WAITING 256
#define UNIT_LATE_MS 4096

typedef struct {
    hl_device device;
    hl_pair pair;
    hl_credential credential;
    host_card card;
    host_kv kv;
    host_net net, web;
    host_flash flash;
    host_camera camera;
    host_microphone microphone;
    host_acks acks;
    hl_system system;
    faults faults;
    hl_clock clock;
    hl_random random;
    const settings *settings;
    uint64_t started_us, wakes_us; /* wakes: 0 while it is awake */
    char id[64], folder[512];
    bool done, restart, asleep;
    uint32_t identified, restarts, sleeps;
    /* Live records and when they were committed, until each is acknowledged. */
    struct {
        uint64_t sequence, at_us;
    } waiting[UNIT_WAITING];
    unsigned waiting_count;
    uint64_t live_worst_us;
    uint32_t late_ms[UNIT_LATE_MS]; /* how many live records took so long; the last one: or longer */
} unit;

/* False: an error, said on stderr. */
bool unit_begin(unit *u, const settings *s, uint32_t n);

/* What its `--pair` asks for, before anything else. False: it was refused, said on stderr. */
bool unit_pair(unit *u);

/* Whether this one has nothing left to do. */
bool unit_step(unit *u);

void unit_end(unit *u);

#endif
