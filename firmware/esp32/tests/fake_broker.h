/* A broker's end of an MQTT stream, in memory: enough of 3.1.1 to greet, take subscriptions and publications, and to
 * say things. Checks that what the client sends is well formed. */
#ifndef HL_FAKE_BROKER_H
#define HL_FAKE_BROKER_H

#include "hal.h"

enum { FAKE_IN = 1 << 17, FAKE_OUT = 1 << 16 };

typedef struct fake_broker {
    hl_net net;
    uint8_t in[FAKE_IN], out[FAKE_OUT];
    size_t in_used, out_used;
    size_t at_once;                /* bytes that one call moves */
    bool open, refuse, deaf;       /* deaf: takes nothing and says nothing, the link stays */
    bool breaks, full, slow, dumb; /* sending fails; takes nothing; never stands; takes all and says nothing */
    unsigned opens, subscriptions, pings;
    char will[128];
    /* A publication has come. */
    void (*published)(struct fake_broker *b, const char *topic, const uint8_t *payload, size_t n, unsigned qos,
                      bool retained);
    void *context;
} fake_broker;

void fake_begin(fake_broker *b);

/* Read what the client has sent so far. */
void fake_step(fake_broker *b);
void fake_say(fake_broker *b, const char *topic, const char *payload, bool retained, unsigned qos);
void fake_drop(fake_broker *b);

#endif
