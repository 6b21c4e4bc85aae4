/* Acknowledgements that are lost, repeated or late, and a gateway whose clock is years off: between the broker's words
 * and the core that hears them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ack.h"
#include "acks.h"

#define YEAR_US 31557600000000ll

static void deliver(host_acks *a, const char *topic, const char *payload, size_t n, bool retained) {
    a->events.message(a->events.self, topic, payload, n, retained);
}

static void connected(void *self) {
    host_acks *a = self;
    a->held = 0;
    a->events.connected(a->events.self);
}

static void lost(void *self, const char *why) {
    host_acks *a = self;
    a->held = 0;
    a->events.lost(a->events.self, why);
}

static void on_time(host_acks *a, const char *topic, const char *payload, size_t n, int64_t years) {
    char text[128];
    hl_time_answer answer;
    if (!hl_time_read(payload, n, &answer) || !answer.known) {
        deliver(a, topic, payload, n, false);
        return;
    }
    int length = snprintf(text, sizeof text, "{\"t0_us\":%llu,\"utc_us\":%lld,\"synced\":true}",
                          (unsigned long long)answer.t0_us, (long long)answer.utc_us + years * YEAR_US);
    deliver(a, topic, text, (size_t)length, false);
}

static void message(void *self, const char *topic, const char *payload, size_t n, bool retained) {
    host_acks *a = self;
    uint64_t now_us = a->clock->mono_us(a->clock->self);
    size_t length = strlen(topic);
    bool is_ack = length > 7 && !strcmp(topic + length - 7, "/dn/ack");
    if (length > 8 && !strcmp(topic + length - 8, "/dn/time")) {
        uint64_t years = 0;
        if (faults_take(a->faults, FAULT_YEARS, now_us, &years)) a->years = (int64_t)years;
        if (a->years && a->years >= -100 && a->years <= 100) {
            on_time(a, topic, payload, n, a->years);
            return;
        }
    }
    if (is_ack && faults_during(a->faults, FAULT_ACKLOSE, now_us) && faults_random(a->faults) % 2) return;
    if (is_ack && faults_during(a->faults, FAULT_ACKLATE, now_us) && a->held < HOST_HELD && n < sizeof a->text[0]) {
        memcpy(a->text[a->held], payload, n);
        a->bytes[a->held++] = n;
        (void)snprintf(a->topic, sizeof a->topic, "%s", topic);
        return;
    }
    deliver(a, topic, payload, n, retained);
    if (is_ack && faults_during(a->faults, FAULT_ACKDUP, now_us)) deliver(a, topic, payload, n, retained);
}

void host_acks_step(host_acks *a) {
    if (faults_during(a->faults, FAULT_ACKLATE, a->clock->mono_us(a->clock->self))) return;
    while (a->held) {
        a->held--;
        deliver(a, a->topic, a->text[a->held], a->bytes[a->held], false);
    }
}

void host_acks_begin(host_acks *a, hl_mqtt_events *events, faults *f, const hl_clock *clock) {
    memset(a, 0, sizeof *a);
    a->events = *events;
    a->faults = f;
    a->clock = clock;
    *events = (hl_mqtt_events){a, connected, message, lost};
}
