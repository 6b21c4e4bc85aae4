/* The way from the card to the gateway: stays connected, says hello, sends what waits within the gateway's credit,
 * frees it on the gateway's own acknowledgement and on nothing else, moves what is refused for ever into quarantine,
 * holds everything while the gateway is offline, and learns the time. */
#ifndef HL_UPLINK_H
#define HL_UPLINK_H

#include "flights.h"
#include "mqtt.h"
#include "timesync.h"

#define HL_HELLO_BOOTS 16
#define HL_HELLO_SCAN 512
#define HL_MAX_CREDIT 64

typedef struct {
    hl_spool *spool, *quarantine;
    const hl_net *net;
    const hl_clock *clock;
    const hl_random *random;
    const char *device;    /* its id: [a-z0-9][a-z0-9-]{2,31} */
    const char *client_id; /* NULL: hearthcam-<device> */
    const char *user, *password;
    const char *firmware, *board;
    uint16_t keep_alive_s;
    /* `dn/cfg` has come; false if it is not what it should be. NULL: there are no settings. */
    bool (*configured)(void *self, const char *text, size_t n);
    /* `dn/cmd` has come; false if it is no command. NULL: none is taken. */
    bool (*commanded)(void *self, const char *text, size_t n);
    void (*health)(void *self, hl_health *health); /* NULL: it knows nothing of itself */
    void *self;                                    /* of the three above */
} hl_uplink_config;

typedef struct {
    hl_uplink_config config;
    hl_mqtt mqtt;
    hl_mqtt_options options;
    hl_flights flights;
    hl_timesync time;
    hl_found streaming;
    char client_id[48], will_topic[64];
    bool greeted, online, heard_status, hello_due, subscribed, asleep, unreadable;
    unsigned failures;
    uint64_t reconnect_us, status_us, ask_us;
    uint32_t connects, acks, nacks, quarantined, bad_messages;
    const char *lost_why;
    char last_code[HL_CODE_BYTES]; /* of the last nack */
} hl_uplink;

/* HL_BAD_LENGTH: a device id that the wire does not allow. */
hl_code hl_uplink_begin(hl_uplink *u, const hl_uplink_config *config);

/* Do what can be done now; call it again soon. */
void hl_uplink_step(hl_uplink *u);

/* Tell how a command ended (`code` "": well). False: not now. */
bool hl_uplink_answer(hl_uplink *u, const char *id, const char *code);

/* Tell that it sleeps from now on, and for how long. False: not now. */
bool hl_uplink_good_night(hl_uplink *u, uint32_t wakes_in_s);

/* Whether nothing waits: no record that the gateway does not hold, none in flight. */
bool hl_uplink_idle(hl_uplink *u);

/* Say offline and goodbye, and write the cursor down. */
void hl_uplink_end(hl_uplink *u);

#endif
