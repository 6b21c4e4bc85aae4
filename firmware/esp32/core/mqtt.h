/* A small MQTT 3.1.1 client (OASIS) over an injected stream: clean session, will, keep-alive, QoS 0 and 1 both ways,
 * and one QoS 0 publication at a time whose payload is fetched in pieces of 4 KiB as the stream takes them, so that a
 * record goes from the card to the air without ever being in memory. Nothing blocks: `hl_mqtt_step` does what can be
 * done now. A publication at QoS 1 is not sent again: what is sent so is said anew at each connection. */
#ifndef HL_MQTT_H
#define HL_MQTT_H

#include "hal.h"

#define HL_MQTT_TX 2304
#define HL_MQTT_RX 6144
#define HL_MQTT_PIECE 4096
#define HL_MQTT_TOPIC 128
#define HL_MQTT_REFUSED "refused" /* why, when the broker did not let it in */

typedef struct {
    const char *client_id, *user, *password; /* user NULL: none */
    const char *will_topic, *will;           /* retained, QoS 1 */
    uint16_t keep_alive_s;
} hl_mqtt_options;

typedef struct {
    void *self;
    void (*connected)(void *self);
    void (*message)(void *self, const char *topic, const char *payload, size_t n, bool retained);
    void (*lost)(void *self, const char *why);
} hl_mqtt_events;

/* `n` bytes of a payload from `offset`; false: they are no more, and the connection is given up. */
typedef bool (*hl_mqtt_source)(void *self, uint32_t offset, void *out, uint32_t n);

typedef enum { HL_MQTT_CLOSED, HL_MQTT_OPENING, HL_MQTT_GREETING, HL_MQTT_UP } hl_mqtt_state;

typedef struct {
    const hl_net *net;
    const hl_mqtt_options *options;
    hl_mqtt_events events;
    hl_mqtt_state state;
    uint64_t since_us, sent_us, heard_us, moved_us, now_us;
    bool pinged;
    uint16_t last_id;
    uint32_t ignored; /* packets that were too big or made no sense here */
    uint32_t acknowledged, subscribed, refused;

    uint8_t tx[HL_MQTT_TX];
    size_t tx_used, tx_sent;

    uint8_t piece[HL_MQTT_PIECE]; /* of the publication that streams */
    size_t piece_used, piece_sent;
    hl_mqtt_source source;
    void *source_self;
    uint32_t stream_bytes, stream_at; /* of its payload */
    bool streaming, started;

    uint8_t rx[HL_MQTT_RX];
    uint32_t rx_have, rx_want;
    uint8_t rx_type, rx_length_bytes;
    bool rx_in_body;
} hl_mqtt;

void hl_mqtt_begin(hl_mqtt *m, const hl_net *net, const hl_mqtt_options *options, const hl_mqtt_events *events);

/* Open the stream and say CONNECT on it; `events.connected` or `events.lost` tells how it went. */
void hl_mqtt_open(hl_mqtt *m, uint64_t now_us);

/* Move what can be moved. */
void hl_mqtt_step(hl_mqtt *m, uint64_t now_us);

/* False: not connected, or no room now. */
bool hl_mqtt_subscribe(hl_mqtt *m, const char *topic, unsigned qos);
bool hl_mqtt_publish(hl_mqtt *m, const char *topic, const char *payload, unsigned qos, bool retain);
bool hl_mqtt_stream(hl_mqtt *m, const char *topic, uint32_t bytes, hl_mqtt_source source, void *self);

/* Whether a publication is on its way out. */
bool hl_mqtt_busy(const hl_mqtt *m);

/* Say goodbye, so that the will is not published, or not. */
void hl_mqtt_close(hl_mqtt *m, bool politely);

#endif
