/* What comes from the broker, spoilt on its way (acks.c). */
#ifndef HOST_ACKS_H
#define HOST_ACKS_H

#include "fault.h"
#include "mqtt.h"

#define HOST_HELD 64

typedef struct {
    hl_mqtt_events events;
    faults *faults;
    const hl_clock *clock;
    int64_t years;
    unsigned held;
    char topic[128], text[HOST_HELD][1024];
    size_t bytes[HOST_HELD];
} host_acks;

/* Stand between a client and its events, which are replaced. */
void host_acks_begin(host_acks *a, hl_mqtt_events *events, faults *f, const hl_clock *clock);

/* Deliver what was held back when its time has come. */
void host_acks_step(host_acks *a);

#endif
