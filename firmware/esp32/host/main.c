/* hearthcam-sim: the camera's own core as a Linux program, a real device on a real broker. See usage below. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "host.h"
#include "sha256.h"

static const char USAGE[] =
    "hearthcam-sim --broker HOST:PORT --card DIR [options]\n"
    "  --id ID          the device's id (porch); with --devices N: ID-1 … ID-N, and DIR/ID-n\n"
    "  --user U --password P\n"
    "  --frames DIR     pictures, *.jpg in the order of their names, over and over\n"
    "  --wav FILE       sound, PCM16 mono 16 kHz, over and over\n"
    "  --count N        pictures to take (100)     --interval MS  between them (1000)\n"
    "  --telemetry MS   between telemetry records, 0 for none (60000)\n"
    "  --card-mib N     size of a new card (64)    --segment N    blocks of 512 bytes a segment (4096)\n"
    "  --devices N      so many cameras in this process (1)\n"
    "  --fault SCHEDULE what@ms[:number],…: drop midcut stall slow eio short power kvwipe\n"
    "  --seed N         of the faults (1)\n"
    "  --stay           go on after everything is acknowledged\n"
    "Says `committed KIND BOOT SEQUENCE SHA256 DEVICE` for each record, and at the end a line of JSON. Exit status: 0 "
    "all is with\n"
    "the gateway, 1 failed, 2 wrong usage, 42 the power was cut.\n";

typedef struct {
    const char *broker, *id, *user, *password, *frames, *wav, *card, *fault;
    uint32_t count, interval_ms, telemetry_ms, card_mib, segment, devices;
    uint64_t seed;
    bool stay;
} settings;

typedef struct {
    hl_device device;
    host_card card;
    host_kv kv;
    host_net net;
    host_camera camera;
    host_microphone microphone;
    faults faults;
    char id[64], folder[512];
    bool done;
} unit;

static volatile sig_atomic_t stopping;

static void on_signal(int number) {
    (void)number;
    stopping = 1;
}

static bool read_settings(settings *s, int argc, char **argv) {
    const struct {
        const char *name;
        const char **text;
        uint32_t *number;
    } OPTIONS[] = {
        {"--broker", &s->broker, NULL},
        {"--id", &s->id, NULL},
        {"--user", &s->user, NULL},
        {"--password", &s->password, NULL},
        {"--frames", &s->frames, NULL},
        {"--wav", &s->wav, NULL},
        {"--card", &s->card, NULL},
        {"--fault", &s->fault, NULL},
        {"--count", NULL, &s->count},
        {"--interval", NULL, &s->interval_ms},
        {"--telemetry", NULL, &s->telemetry_ms},
        {"--card-mib", NULL, &s->card_mib},
        {"--segment", NULL, &s->segment},
        {"--devices", NULL, &s->devices},
    };
    *s = (settings){.id = "porch",
                    .fault = "",
                    .count = 100,
                    .interval_ms = 1000,
                    .telemetry_ms = 60000,
                    .card_mib = 64,
                    .devices = 1,
                    .seed = 1};
    for (int i = 1; i < argc; i++) {
        size_t k = 0;
        if (!strcmp(argv[i], "--stay")) {
            s->stay = true;
            continue;
        }
        if (i + 1 == argc) return false;
        if (!strcmp(argv[i], "--seed")) {
            s->seed = strtoull(argv[++i], NULL, 10);
            continue;
        }
        while (k < sizeof OPTIONS / sizeof OPTIONS[0] && strcmp(argv[i], OPTIONS[k].name)) k++;
        if (k == sizeof OPTIONS / sizeof OPTIONS[0]) return false;
        i++;
        if (OPTIONS[k].text) *OPTIONS[k].text = argv[i];
        if (OPTIONS[k].number) *OPTIONS[k].number = (uint32_t)strtoul(argv[i], NULL, 10);
    }
    return s->broker && s->card && s->devices > 0 && s->interval_ms > 0 && s->card_mib > 0 && s->card_mib <= 65536;
}

static void say_committed(void *self, const hl_header *header, const uint8_t *body) {
    unit *u = self;
    uint8_t digest[HL_SHA256_BYTES];
    hl_sha256 sha;
    hl_sha256_begin(&sha);
    hl_sha256_add(&sha, body, header->body_bytes);
    hl_sha256_end(&sha, digest);
    printf("committed %d ", (int)header->kind);
    for (size_t i = 0; i < HL_BOOT_BYTES; i++) printf("%02x", header->boot_id[i]);
    printf(" %llu ", (unsigned long long)header->sequence);
    for (size_t i = 0; i < sizeof digest; i++) printf("%02x", digest[i]);
    printf(" %s\n", u->id);
}

static bool begin(unit *u, const settings *s, uint32_t n, const hl_clock *clock, const hl_random *random) {
    if (s->devices > 1) {
        (void)snprintf(u->id, sizeof u->id, "%.40s-%u", s->id, (unsigned)n + 1);
        (void)snprintf(u->folder, sizeof u->folder, "%.400s/%s", s->card, u->id);
    } else {
        (void)snprintf(u->id, sizeof u->id, "%.40s", s->id);
        (void)snprintf(u->folder, sizeof u->folder, "%.500s", s->card);
    }
    if (!faults_parse(&u->faults, s->fault, s->seed + n)) {
        fprintf(stderr, "the schedule of faults cannot be read: %s\n", s->fault);
        return false;
    }
    if (!host_card_open(&u->card, u->folder, s->card_mib, &u->faults, clock)) return false;
    if (!host_kv_open(&u->kv, u->folder, faults_take(&u->faults, FAULT_KVWIPE, 0, NULL))) return false;
    if (!host_net_begin(&u->net, s->broker, &u->faults, clock)) return false;
    if (s->frames && !host_camera_open(&u->camera, s->frames, u->id)) return false;
    if (s->wav && !host_microphone_open(&u->microphone, s->wav, clock)) return false;
    hl_device_config config = {
        .uplink = {.net = &u->net.net,
                   .clock = clock,
                   .random = random,
                   .device = u->id,
                   .user = s->user,
                   .password = s->password ? s->password : "",
                   .firmware = "hearthcam-0.1.0",
                   .board = "simulated",
                   .keep_alive_s = 20},
        .card = &u->card.card,
        .kv = &u->kv.kv,
        .camera = s->frames && s->count ? &u->camera.camera : NULL,
        .microphone = s->wav && s->count ? &u->microphone.microphone : NULL,
        .segment_blocks = s->segment,
        .interval_ms = s->interval_ms,
        .telemetry_ms = s->count ? s->telemetry_ms : 0,
    };
    hl_code code = hl_device_begin(&u->device, &config);
    if (code != HL_OK) fprintf(stderr, "%s: %s\n", u->folder, hl_code_name(code));
    u->device.committed = say_committed;
    u->device.committed_self = u;
    return code == HL_OK;
}

/* A word that may stand in JSON. */
static const char *plain(char *word) {
    for (char *c = word; *c; c++)
        if (*c < ' ' || *c == '"' || *c == '\\') *c = '?';
    return word;
}

static void report(unit *u) {
    hl_device *d = &u->device;
    const hl_flights *f = &d->uplink.flights;
    printf("{\"device\":\"%s\",\"done\":%s,\"pictures\":%u,\"sounds\":%u,\"lost\":%u,\"bad_frames\":%u,\"sent\":%u,"
           "\"again\":%u,"
           "\"freed\":%u,\"skipped\":%u,\"quarantined\":%u,\"nacks\":%u,\"code\":\"%s\",\"connects\":%u,\"drops\":%u,"
           "\"card_faults\":%u,"
           "\"bad_messages\":%u,\"recovered\":%u,\"torn\":%u}\n",
           u->id, u->done ? "true" : "false", d->pictures, d->sounds, d->lost, d->bad_frames, f->sent, f->again,
           f->freed, f->skipped, d->uplink.quarantined, d->uplink.nacks, plain(d->uplink.last_code), d->uplink.connects,
           d->spool.drops, d->spool.faults, d->uplink.bad_messages, d->spool.recovered, d->spool.torn);
}

/* Whether this one has nothing left to do. */
static bool step(unit *u, const settings *s) {
    hl_device *d = &u->device;
    if (d->config.camera && u->camera.taken >= s->count) hl_device_stop_taking(d);
    hl_device_step(d);
    if (d->config.camera || (d->config.microphone && !s->frames)) return false;
    u->done = hl_uplink_idle(&d->uplink);
    return u->done && !s->stay;
}

static void wait_for(unit *units, uint32_t n, int pause_ms) {
    struct pollfd *polls = calloc(n, sizeof *polls);
    if (!polls) abort();
    for (uint32_t i = 0; i < n; i++) {
        const hl_mqtt *m = &units[i].device.uplink.mqtt;
        polls[i].fd = units[i].net.fd;
        polls[i].events = (short)(POLLIN | (hl_mqtt_busy(m) || m->state == HL_MQTT_OPENING ? POLLOUT : 0));
    }
    (void)poll(polls, n, pause_ms);
    free(polls);
}

int main(int argc, char **argv) {
    settings s;
    uint64_t started_us;
    if (!read_settings(&s, argc, argv)) {
        fputs(USAGE, stderr);
        return 2;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)signal(SIGTERM, on_signal);
    (void)signal(SIGINT, on_signal);
    hl_clock clock = host_clock(&started_us);
    hl_random random = host_random();
    unit *units = calloc(s.devices, sizeof *units);
    if (!units) return 1;
    for (uint32_t i = 0; i < s.devices; i++)
        if (!begin(&units[i], &s, i, &clock, &random)) return 1;
    bool done = false;
    while (!done && !stopping) {
        wait_for(units, s.devices, s.interval_ms < 5 ? (int)s.interval_ms : 5);
        done = true;
        for (uint32_t i = 0; i < s.devices; i++) done = step(&units[i], &s) && done;
    }
    for (uint32_t i = 0; i < s.devices; i++) {
        hl_device_end(&units[i].device);
        report(&units[i]);
    }
    return done ? 0 : 1;
}
