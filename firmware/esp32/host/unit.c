#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sha256.h"

static uint64_t now_of(const unit *u) { return u->clock.mono_us(u->clock.self); }

static void say_committed(void *self, const hl_header *header, const uint8_t *body) {
    unit *u = self;
    uint8_t digest[HL_SHA256_BYTES];
    hl_sha256 sha;
    if (u->waiting_count < UNIT_WAITING) {
        u->waiting[u->waiting_count].sequence = header->sequence;
        u->waiting[u->waiting_count++].at_us = now_of(u);
    }
    if (u->settings->quiet) return;
    hl_sha256_begin(&sha);
    hl_sha256_add(&sha, body, header->body_bytes);
    hl_sha256_end(&sha, digest);
    printf("committed %d ", (int)header->kind);
    for (size_t i = 0; i < HL_BOOT_BYTES; i++) printf("%02x", header->boot_id[i]);
    printf(" %llu ", (unsigned long long)header->sequence);
    for (size_t i = 0; i < sizeof digest; i++) printf("%02x", digest[i]);
    printf(" %s\n", u->id);
}

/* How late live records are, from the card to the gateway's word, while the gateway is there. */
static void look_at_waiting(unit *u) {
    const hl_flights *f = &u->device.uplink.flights;
    for (unsigned i = 0; i < u->waiting_count;) {
        bool there = false;
        for (unsigned k = 0; k < f->count; k++) there = there || f->flights[k].sequence == u->waiting[i].sequence;
        hl_found found;
        if (!there && hl_spool_next(f->spool, f->next[HL_LIVE], &found) == HL_OK &&
            found.header.sequence <= u->waiting[i].sequence)
            there = true; /* not sent yet */
        if (!u->device.uplink.online || u->device.uplink.hello_due) u->waiting[i].at_us = now_of(u);
        uint64_t late_us = now_of(u) - u->waiting[i].at_us;
        if (late_us > u->live_worst_us) u->live_worst_us = late_us;
        if (there) {
            i++;
            continue;
        }
        u->late_ms[late_us / 1000 < UNIT_LATE_MS ? late_us / 1000 : UNIT_LATE_MS - 1]++;
        u->waiting[i] = u->waiting[--u->waiting_count];
    }
}

static void on_restart(void *self) { ((unit *)self)->restart = true; }

static void on_sleep(void *self, uint64_t us) {
    unit *u = self;
    u->asleep = true;
    u->sleeps++;
    u->wakes_us = now_of(u) + us;
}

static int on_identify(void *self) {
    unit *u = self;
    u->identified++;
    printf("identified %s\n", u->id);
    return 0;
}

static void on_health(void *self, hl_health *health) {
    (void)self;
    *health = (hl_health){4050, -55};
}

static bool open_folder(unit *u) {
    const settings *s = u->settings;
    if (!host_card_open(&u->card, u->folder, s->card_mib, &u->faults, &u->clock)) return false;
    if (!host_kv_open(&u->kv, u->folder, faults_take(&u->faults, FAULT_KVWIPE, 0, NULL))) return false;
    if (!host_flash_open(&u->flash, u->folder, s->key)) {
        fprintf(stderr, "%s: no key for firmware\n", u->folder);
        return false;
    }
    host_flash_boot(&u->flash, s->firmware);
    return true;
}

static bool open_streams(unit *u) {
    const settings *s = u->settings;
    uint8_t ca[HL_CA_BYTES];
    char address[128];
    bool paired = !s->broker && hl_credential_load(&u->credential, &u->kv.kv);
    size_t n = paired ? hl_credential_ca(&u->credential, &u->kv.kv, ca) : 0;
    (void)snprintf(address, sizeof address, "%s:%u", u->credential.host, (unsigned)u->credential.port);
    if (!host_net_begin(&u->net,
                        paired      ? address
                        : s->broker ? s->broker
                                    : "127.0.0.1:1883",
                        &u->faults, &u->clock) ||
        !host_net_begin(&u->web, "127.0.0.1:8480", &u->faults, &u->clock))
        return false;
    if (paired && u->credential.tls) host_net_trust(&u->net, ca, n);
    if (n) host_net_trust(&u->web, ca, n);
    if (paired) (void)snprintf(u->id, sizeof u->id, "%s", u->credential.device);
    return paired || s->broker || s->pair;
}

static bool begin_device(unit *u) {
    const settings *s = u->settings;
    bool paired = u->credential.generation > 0;
    hl_device_config config = {
        .uplink = {.net = &u->net.web.net,
                   .clock = &u->clock,
                   .random = &u->random,
                   .device = u->id,
                   .client_id = paired ? u->credential.client_id : s->client_id,
                   .user = paired ? u->credential.device : s->user,
                   .password = paired        ? u->credential.password
                               : s->password ? s->password
                                             : "",
                   .firmware = u->flash.version,
                   .board = s->board,
                   .keep_alive_s = 20},
        .card = &u->card.card,
        .kv = &u->kv.kv,
        .camera = s->frames && u->camera.taken < s->count ? &u->camera.camera : NULL,
        .microphone = s->wav && s->count ? &u->microphone.microphone : NULL,
        .system = &u->system,
        .web = &u->web.web,
        .firmware = &u->flash.firmware,
        .segment_blocks = s->segment,
        .interval_ms = s->interval_ms,
        .telemetry_ms = s->count ? s->telemetry_ms : 0,
        .awake_ms = s->awake_ms,
        .plain = !u->credential.ca_bytes,
    };
    hl_code code = hl_device_begin(&u->device, &config);
    for (int i = 0; i < 50 && code == HL_CARD_ERROR; i++) { /* a board starts again, and looks again */
        usleep(20000);
        code = hl_device_begin(&u->device, &config);
    }
    if (code != HL_OK) fprintf(stderr, "%s: %s\n", u->folder, hl_code_name(code));
    u->device.committed = say_committed;
    u->device.committed_self = u;
    host_acks_begin(&u->acks, &u->device.uplink.mqtt.events, &u->faults, &u->clock);
    return code == HL_OK;
}

/* Records that wait from before, of made-up sound: they are backlog from the moment the gateway is there. */
static bool make_backlog(unit *u, uint32_t records, uint32_t bytes) {
    uint8_t *body = calloc(1, bytes);
    bool good = body != NULL;
    for (uint32_t i = 0; good && i < records; i++) {
        hl_header header = {.kind = HL_AUDIO, .mono_us = now_of(u), .body_bytes = bytes & ~1u};
        u->random.fill(u->random.self, body, bytes);
        good = hl_spool_append(&u->device.spool, &header, NULL, body) == HL_OK;
    }
    free(body);
    return good;
}

bool unit_begin(unit *u, const settings *s, uint32_t n) {
    u->settings = s;
    u->clock = host_clock(&u->started_us);
    u->random = host_random();
    u->system = (hl_system){u, on_restart, on_sleep, on_identify, on_health};
    (void)snprintf(u->id, sizeof u->id, s->devices > 1 ? "%.40s-%u" : "%.40s", s->id, (unsigned)n + 1);
    (void)snprintf(u->folder, sizeof u->folder, s->devices > 1 ? "%.400s/%s" : "%.400s", s->card, u->id);
    if (!faults_parse(&u->faults, s->fault, s->seed + n)) {
        fprintf(stderr, "the schedule of faults cannot be read: %s\n", s->fault);
        return false;
    }
    if (!open_folder(u)) return false;
    if (s->frames && !host_camera_open(&u->camera, s->frames, u->id)) return false;
    if (s->wav && !host_microphone_open(&u->microphone, s->wav, &u->clock)) return false;
    if (s->pair && !unit_pair(u)) return false;
    if (!open_streams(u)) {
        fprintf(stderr, "%s: neither paired nor told a broker\n", u->folder);
        return false;
    }
    if (!begin_device(u)) return false;
    u->device.picture_us = (uint64_t)n * s->interval_ms * 1000 / s->devices; /* nobody presses 50 buttons at once */
    return (!s->backlog || make_backlog(u, s->backlog, s->backlog_bytes));
}

bool unit_pair(unit *u) {
    const settings *s = u->settings;
    hl_pair_config config = {&u->web.web, &u->kv.kv, &u->random, s->hardware, s->board, u->flash.version, true};
    if (!host_net_begin(&u->web, "127.0.0.1:8480", &u->faults, &u->clock)) return false;
    hl_pair_wake(&u->pair, &config);
    if (u->pair.state == HL_PAIR_IDLE || u->pair.state == HL_PAIR_FAILED) hl_pair_begin(&u->pair, s->pair);
    hl_pair_state state;
    while ((state = hl_pair_step(&u->pair, now_of(u))) == HL_PAIR_FETCHING || state == HL_PAIR_ASKING) usleep(2000);
    if (state != HL_PAIR_DONE) {
        fprintf(stderr, "not paired: %s\n", u->pair.code);
        return false;
    }
    printf("paired %s\n", u->pair.credential.device);
    return true;
}

/* A new start of the same board: after a restart, a roll back or a sleep. */
static bool start_again(unit *u) {
    u->restarts += !u->asleep;
    u->asleep = u->restart = false;
    u->waiting_count = 0;
    memset(&u->credential, 0, sizeof u->credential);
    u->clock = host_clock(&u->started_us);
    host_flash_boot(&u->flash, u->settings->firmware);
    printf("started %s %s\n", u->id, u->flash.version);
    if (open_streams(u) && begin_device(u)) return true;
    u->device.config.camera = NULL; /* it was told to forget: nothing is left to do until it is paired again */
    u->wakes_us = UINT64_MAX;
    u->asleep = true;
    return false;
}

/* A word that may stand in JSON. */
static const char *plain(char *word) {
    for (char *c = word; *c; c++)
        if (*c < ' ' || *c == '"' || *c == '\\') *c = '?';
    return word;
}

void unit_end(unit *u) {
    hl_device *d = &u->device;
    const hl_flights *f = &d->uplink.flights;
    if (!u->asleep) hl_device_end(d);
    printf("{\"device\":\"%s\",\"done\":%s,\"pictures\":%u,\"sounds\":%u,\"lost\":%u,\"bad_frames\":%u,\"sent\":%u,"
           "\"again\":%u,\"freed\":%u,\"skipped\":%u,\"quarantined\":%u,\"nacks\":%u,\"code\":\"%s\",\"connects\":%u,"
           "\"drops\":%u,\"card_faults\":%u,\"bad_messages\":%u,\"recovered\":%u,\"torn\":%u,\"restarts\":%u,"
           "\"sleeps\":%u,\"firmware\":\"%s\"}\n",
           u->id, u->done ? "true" : "false", d->pictures, d->sounds, d->lost, d->bad_frames, f->sent, f->again,
           f->freed, f->skipped, d->uplink.quarantined, d->uplink.nacks, plain(d->uplink.last_code), d->uplink.connects,
           d->spool.drops, d->spool.faults, d->uplink.bad_messages, d->spool.recovered, d->spool.torn, u->restarts,
           u->sleeps, u->flash.version);
}

bool unit_step(unit *u) {
    hl_device *d = &u->device;
    if (u->asleep) {
        if (now_of(u) < u->wakes_us) return u->done || u->wakes_us == UINT64_MAX;
        if (!start_again(u)) return true;
    }
    if (d->config.camera && u->camera.taken >= u->settings->count) hl_device_stop_taking(d);
    hl_device_step(d);
    host_acks_step(&u->acks);
    look_at_waiting(u);
    if ((u->restart || u->flash.restart) && !start_again(u)) return true;
    if (d->config.camera || (d->config.microphone && !u->settings->frames)) return false;
    u->done = hl_uplink_idle(&d->uplink);
    return u->done && !u->settings->stay && d->ota.state != HL_OTA_FETCHING && d->departure == HL_STAY;
}
