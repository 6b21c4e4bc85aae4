/* hearthcam-sim: the camera's own core as a Linux program, a real device on a real broker. See usage below. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

static const char USAGE[] =
    "hearthcam-sim (--broker HOST:PORT | --pair TEXT | paired before) --card DIR [options]\n"
    "  --pair TEXT      hearthlog:pair?c=…&h=…&f=…: become a device of that gateway, over TLS from then on\n"
    "  --hardware H --board B --firmware V   what it calls itself (sim-1, simulated, 0.1.0)\n"
    "  --key FILE       PEM with the public half of the release key: take updates that it signed, into DIR/flash\n"
    "  --id ID          the device's id (porch); with --devices N: ID-1 … ID-N, and DIR/ID-n\n"
    "  --user U --password P --client-id C\n"
    "  --frames DIR     pictures, *.jpg in the order of their names, over and over\n"
    "  --wav FILE       sound, PCM16 mono 16 kHz, over and over\n"
    "  --count N        pictures to take (100)     --interval MS  between them (1000)\n"
    "  --telemetry MS   between telemetry records, 0 for none (60000)\n"
    "  --awake MS       at most, then deep sleep until the next picture (0: it stays awake)\n"
    "  --backlog N      records on the card from before, of --backlog-bytes B (6000)\n"
    "  --card-mib N     size of a new card (64)    --segment N    blocks of 512 bytes a segment (4096)\n"
    "  --devices N      so many cameras in this process (1)\n"
    "  --fault SCHEDULE what@ms[:number],…: drop midcut stall slow eio enospc short power kvwipe acklose ackdup\n"
    "                   acklate years\n"
    "  --seed N         of the faults (1)\n"
    "  --stay           go on after everything is acknowledged\n"
    "  --quiet          do not name each record\n"
    "Says `committed KIND BOOT SEQUENCE SHA256 DEVICE` for each record, and at the end a line of JSON. Exit status: 0 "
    "all is with\n"
    "the gateway, 1 failed, 2 wrong usage, 42 the power was cut.\n";

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
        bool *flag;
    } OPTIONS[] = {
        {"--broker", &s->broker, NULL, NULL},
        {"--pair", &s->pair, NULL, NULL},
        {"--hardware", &s->hardware, NULL, NULL},
        {"--board", &s->board, NULL, NULL},
        {"--firmware", &s->firmware, NULL, NULL},
        {"--key", &s->key, NULL, NULL},
        {"--id", &s->id, NULL, NULL},
        {"--user", &s->user, NULL, NULL},
        {"--password", &s->password, NULL, NULL},
        {"--client-id", &s->client_id, NULL, NULL},
        {"--frames", &s->frames, NULL, NULL},
        {"--wav", &s->wav, NULL, NULL},
        {"--card", &s->card, NULL, NULL},
        {"--fault", &s->fault, NULL, NULL},
        {"--count", NULL, &s->count, NULL},
        {"--interval", NULL, &s->interval_ms, NULL},
        {"--telemetry", NULL, &s->telemetry_ms, NULL},
        {"--awake", NULL, &s->awake_ms, NULL},
        {"--backlog", NULL, &s->backlog, NULL},
        {"--backlog-bytes", NULL, &s->backlog_bytes, NULL},
        {"--card-mib", NULL, &s->card_mib, NULL},
        {"--segment", NULL, &s->segment, NULL},
        {"--devices", NULL, &s->devices, NULL},
        {"--stay", NULL, NULL, &s->stay},
        {"--quiet", NULL, NULL, &s->quiet},
    };
    *s = (settings){.id = "porch",
                    .fault = "",
                    .hardware = "sim-1",
                    .board = "simulated",
                    .firmware = "0.1.0",
                    .count = 100,
                    .interval_ms = 1000,
                    .telemetry_ms = 60000,
                    .card_mib = 64,
                    .devices = 1,
                    .backlog_bytes = 6000,
                    .seed = 1};
    for (int i = 1; i < argc; i++) {
        size_t k = 0;
        if (!strcmp(argv[i], "--seed") && i + 1 < argc) {
            s->seed = strtoull(argv[++i], NULL, 10);
            continue;
        }
        while (k < sizeof OPTIONS / sizeof OPTIONS[0] && strcmp(argv[i], OPTIONS[k].name)) k++;
        if (k == sizeof OPTIONS / sizeof OPTIONS[0] || (!OPTIONS[k].flag && i + 1 == argc)) return false;
        if (OPTIONS[k].flag) {
            *OPTIONS[k].flag = true;
            continue;
        }
        i++;
        if (OPTIONS[k].text) *OPTIONS[k].text = argv[i];
        if (OPTIONS[k].number) *OPTIONS[k].number = (uint32_t)strtoul(argv[i], NULL, 10);
    }
    return s->card && s->devices > 0 && s->interval_ms > 0 && s->card_mib > 0 && s->card_mib <= 65536 &&
           (s->devices == 1 || !s->pair);
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

/* How long live records took from the card to the gateway's word. */
static void say_lateness(const unit *units, uint32_t n) {
    static uint64_t sums[UNIT_LATE_MS];
    uint64_t count = 0, worst_us = 0, seen = 0, p50 = 0, p99 = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (units[i].live_worst_us > worst_us) worst_us = units[i].live_worst_us;
        for (unsigned ms = 0; ms < UNIT_LATE_MS; ms++) {
            sums[ms] += units[i].late_ms[ms];
            count += units[i].late_ms[ms];
        }
    }
    for (unsigned ms = 0; ms < UNIT_LATE_MS; ms++) {
        if (seen * 2 < count) p50 = ms;
        if (seen * 100 < count * 99) p99 = ms;
        seen += sums[ms];
    }
    printf("live records %llu p50_ms %llu p99_ms %llu worst_ms %llu\n", (unsigned long long)count,
           (unsigned long long)p50, (unsigned long long)p99, (unsigned long long)worst_us / 1000);
}

int main(int argc, char **argv) {
    settings s;
    if (!read_settings(&s, argc, argv)) {
        fputs(USAGE, stderr);
        return 2;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)signal(SIGTERM, on_signal);
    (void)signal(SIGINT, on_signal);
    (void)signal(SIGPIPE, SIG_IGN);
    unit *units = calloc(s.devices, sizeof *units);
    if (!units) return 1;
    for (uint32_t i = 0; i < s.devices; i++)
        if (!unit_begin(&units[i], &s, i)) return 1;
    bool done = false;
    while (!done && !stopping) {
        wait_for(units, s.devices, s.interval_ms < 5 ? (int)s.interval_ms : 5);
        done = true;
        for (uint32_t i = 0; i < s.devices; i++) done = unit_step(&units[i]) && done;
    }
    say_lateness(units, s.devices);
    for (uint32_t i = 0; i < s.devices; i++) unit_end(&units[i]);
    return done ? 0 : 1;
}
