#include "mqtt.h"

#include <string.h>

enum {
    CONNECT = 0x10,
    CONNACK = 0x20,
    PUBLISH = 0x30,
    PUBACK = 0x40,
    SUBSCRIBE = 0x82,
    SUBACK = 0x90,
    PINGREQ = 0xc0,
    PINGRESP = 0xd0,
    DISCONNECT = 0xe0,
};

#define OPEN_US 10000000u  /* to stand, and to be greeted */
#define STALL_US 20000000u /* without one byte of what waits going out */

static void lose(hl_mqtt *m, const char *why) {
    if (m->state == HL_MQTT_CLOSED) return;
    m->net->close(m->net->self);
    m->state = HL_MQTT_CLOSED;
    m->streaming = m->started = false;
    m->tx_used = m->tx_sent = 0;
    m->events.lost(m->events.self, why);
}

void hl_mqtt_begin(hl_mqtt *m, const hl_net *net, const hl_mqtt_options *options, const hl_mqtt_events *events) {
    memset(m, 0, sizeof *m);
    m->net = net;
    m->options = options;
    m->events = *events;
}

/* A packet under construction at the end of `tx`; `full` if it did not fit, and then it is taken back. */
typedef struct {
    hl_mqtt *m;
    size_t start;
    bool full;
} packet;

static void put(packet *p, const void *data, size_t n) {
    if (p->full || n > HL_MQTT_TX - p->m->tx_used) {
        p->full = true;
        return;
    }
    if (n) memcpy(p->m->tx + p->m->tx_used, data, n);
    p->m->tx_used += n;
}

static void put16(packet *p, size_t value) {
    uint8_t b[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    put(p, b, 2);
}

static void put_text(packet *p, const char *text) {
    put16(p, strlen(text));
    put(p, text, strlen(text));
}

static size_t encode_length(uint8_t *out, size_t length) {
    size_t n = 0;
    do {
        out[n] = (uint8_t)(length % 128);
        length /= 128;
        if (length) out[n] |= 0x80;
        n++;
    } while (length);
    return n;
}

static packet open_packet(hl_mqtt *m, unsigned type, size_t length) {
    if (m->tx_sent) { /* room in front is room */
        m->tx_used -= m->tx_sent;
        memmove(m->tx, m->tx + m->tx_sent, m->tx_used);
        m->tx_sent = 0;
    }
    packet p = {m, m->tx_used, false};
    uint8_t head[5] = {(uint8_t)type};
    size_t n = 1 + encode_length(head + 1, length);
    put(&p, head, n);
    return p;
}

static bool close_packet(packet *p) {
    if (p->full) p->m->tx_used = p->start;
    return !p->full;
}

static uint16_t next_id(hl_mqtt *m) { return ++m->last_id ? m->last_id : ++m->last_id; }

static void say_connect(hl_mqtt *m) {
    const hl_mqtt_options *o = m->options;
    size_t length = 10 + 2 + strlen(o->client_id) + 2 + strlen(o->will_topic) + 2 + strlen(o->will);
    unsigned flags = 0x02 | 0x04 | 0x08 | 0x20; /* clean, will at QoS 1, retained */
    if (o->user) {
        flags |= 0xc0;
        length += 2 + strlen(o->user) + 2 + strlen(o->password);
    }
    packet p = open_packet(m, CONNECT, length);
    uint8_t fixed[4] = {4, (uint8_t)flags, (uint8_t)(o->keep_alive_s >> 8), (uint8_t)o->keep_alive_s};
    put_text(&p, "MQTT");
    put(&p, fixed, sizeof fixed);
    put_text(&p, o->client_id);
    put_text(&p, o->will_topic);
    put_text(&p, o->will);
    if (o->user) {
        put_text(&p, o->user);
        put_text(&p, o->password);
    }
    if (!close_packet(&p)) lose(m, "options are too long");
}

void hl_mqtt_open(hl_mqtt *m, uint64_t now_us) {
    m->state = HL_MQTT_OPENING;
    m->now_us = m->since_us = m->sent_us = m->heard_us = m->moved_us = now_us;
    m->pinged = m->streaming = m->started = m->rx_in_body = false;
    m->tx_used = m->tx_sent = 0;
    m->rx_have = m->rx_length_bytes = 0;
    m->rx_type = 0;
    if (m->net->open(m->net->self) < 0) lose(m, "cannot open");
}

bool hl_mqtt_subscribe(hl_mqtt *m, const char *topic, unsigned qos) {
    uint8_t wanted = (uint8_t)qos;
    if (m->state != HL_MQTT_UP) return false;
    packet p = open_packet(m, SUBSCRIBE, 2 + 2 + strlen(topic) + 1);
    put16(&p, next_id(m));
    put_text(&p, topic);
    put(&p, &wanted, 1);
    return close_packet(&p);
}

bool hl_mqtt_publish(hl_mqtt *m, const char *topic, const char *payload, unsigned qos, bool retain) {
    if (m->state != HL_MQTT_UP) return false;
    size_t n = strlen(payload);
    packet p = open_packet(m, PUBLISH | qos << 1 | (retain ? 1u : 0u), 2 + strlen(topic) + (qos ? 2 : 0) + n);
    put_text(&p, topic);
    if (qos) put16(&p, next_id(m));
    put(&p, payload, n);
    return close_packet(&p);
}

bool hl_mqtt_stream(hl_mqtt *m, const char *topic, uint32_t bytes, hl_mqtt_source source, void *self) {
    size_t n = strlen(topic), at = 1;
    if (m->state != HL_MQTT_UP || m->streaming || n > HL_MQTT_TOPIC) return false;
    m->piece[0] = PUBLISH;
    at += encode_length(m->piece + 1, 2 + n + bytes);
    m->piece[at++] = (uint8_t)(n >> 8);
    m->piece[at++] = (uint8_t)n;
    memcpy(m->piece + at, topic, n);
    m->piece_used = at + n;
    m->piece_sent = 0;
    m->source = source;
    m->source_self = self;
    m->stream_bytes = bytes;
    m->stream_at = 0;
    m->streaming = true;
    m->started = false;
    return true;
}

bool hl_mqtt_busy(const hl_mqtt *m) { return m->streaming || m->tx_used > m->tx_sent; }

/* Send from `data + *sent` up to `used`; true once all is out. */
static bool send_some(hl_mqtt *m, const uint8_t *data, size_t *sent, size_t used) {
    while (*sent < used) {
        int n = m->net->send(m->net->self, data + *sent, used - *sent);
        if (n < 0) {
            lose(m, "cannot send");
            return false;
        }
        if (n == 0) return false;
        *sent += (size_t)n;
        m->sent_us = m->moved_us = m->now_us;
    }
    return true;
}

static void send_stream(hl_mqtt *m) {
    while (m->streaming) {
        m->started = true;
        if (!send_some(m, m->piece, &m->piece_sent, m->piece_used)) return;
        uint32_t left = m->stream_bytes - m->stream_at, n = left < HL_MQTT_PIECE ? left : HL_MQTT_PIECE;
        m->piece_sent = m->piece_used = 0;
        if (!n) {
            m->streaming = m->started = false;
        } else if (!m->source(m->source_self, m->stream_at, m->piece, n)) {
            lose(m, "the record is gone");
        } else {
            m->piece_used = n;
            m->stream_at += n;
        }
    }
}

static void send_what_waits(hl_mqtt *m) {
    if (!hl_mqtt_busy(m)) {
        m->moved_us = m->now_us;
        return;
    }
    if (m->started) send_stream(m); /* a packet is never cut by another */
    if (m->state == HL_MQTT_CLOSED || m->started) return;
    if (!send_some(m, m->tx, &m->tx_sent, m->tx_used)) return;
    m->tx_used = m->tx_sent = 0;
    if (m->streaming) send_stream(m);
}

static void take_publish(hl_mqtt *m) {
    char topic[HL_MQTT_TOPIC + 1];
    unsigned qos = (m->rx_type >> 1) & 3;
    size_t n = m->rx_want < 2 ? 0 : (size_t)m->rx[0] << 8 | m->rx[1], at = 2 + n + (qos ? 2 : 0);
    if (m->rx_want < 2 || at > m->rx_want || qos > 1) {
        lose(m, "a publication that makes no sense");
        return;
    }
    if (qos) {
        packet p = open_packet(m, PUBACK, 2);
        put(&p, m->rx + 2 + n, 2);
        if (!close_packet(&p)) { /* no room to acknowledge it, so it is not taken either */
            m->ignored++;
            return;
        }
    }
    if (n > HL_MQTT_TOPIC || memchr(m->rx + 2, 0, n)) {
        m->ignored++;
        return;
    }
    memcpy(topic, m->rx + 2, n);
    topic[n] = 0;
    m->events.message(m->events.self, topic, (const char *)m->rx + at, m->rx_want - at, m->rx_type & 1);
}

static void take_packet(hl_mqtt *m) {
    unsigned type = m->rx_type & 0xf0;
    if (m->state == HL_MQTT_GREETING) {
        if (type != CONNACK || m->rx_want != 2 || m->rx[1]) {
            lose(m, type == CONNACK && m->rx_want == 2 ? HL_MQTT_REFUSED : "not MQTT");
            return;
        }
        m->state = HL_MQTT_UP;
        m->events.connected(m->events.self);
    } else if (type == PUBLISH) {
        take_publish(m);
    } else if (type == PUBACK) {
        m->acknowledged++;
    } else if (type == SUBACK) {
        m->subscribed++;
        if (m->rx_want != 3 || m->rx[2] > 2) m->refused++;
    } else if (type == PINGRESP) {
        m->pinged = false;
    } else {
        m->ignored++;
    }
}

/* One byte of a fixed header, or many of a body. Bytes used. */
static size_t take_bytes(hl_mqtt *m, const uint8_t *data, size_t n) {
    if (!m->rx_in_body) {
        if (!m->rx_type) {
            m->rx_type = data[0];
            m->rx_length_bytes = 0;
            m->rx_want = m->rx_have = 0;
            if (!data[0]) lose(m, "not MQTT");
            return 1;
        }
        m->rx_want |= (uint32_t)(data[0] & 0x7f) << (7 * m->rx_length_bytes++);
        if (data[0] & 0x80) {
            if (m->rx_length_bytes == 4) lose(m, "not MQTT");
            return 1;
        }
        m->rx_in_body = true;
        n = 0;
    }
    size_t take = m->rx_want - m->rx_have < n ? m->rx_want - m->rx_have : n;
    if (m->rx_want <= HL_MQTT_RX && take) memcpy(m->rx + m->rx_have, data, take);
    m->rx_have += (uint32_t)take;
    if (m->rx_have == m->rx_want) {
        if (m->rx_want <= HL_MQTT_RX)
            take_packet(m);
        else
            m->ignored++; /* longer than anything that is said here: passed over */
        m->rx_in_body = false;
        m->rx_type = 0;
    }
    return n ? take : 1;
}

static void receive_some(hl_mqtt *m) {
    uint8_t b[512];
    for (int rounds = 0; rounds < 64 && m->state != HL_MQTT_CLOSED; rounds++) {
        int n = m->net->receive(m->net->self, b, sizeof b);
        if (n < 0) lose(m, "the stream ended");
        if (n <= 0) return;
        m->heard_us = m->now_us;
        for (size_t at = 0; at < (size_t)n && m->state != HL_MQTT_CLOSED;) at += take_bytes(m, b + at, (size_t)n - at);
    }
}

/* A link that is half open is found by its silence: a ping at half the keep-alive, given up at one and a half. */
static void keep_alive(hl_mqtt *m) {
    uint64_t keep_us = (uint64_t)m->options->keep_alive_s * 1000000;
    uint64_t quiet = m->sent_us < m->heard_us ? m->sent_us : m->heard_us;
    if (m->now_us - m->moved_us > STALL_US) {
        lose(m, "stalled");
    } else if (m->now_us - m->heard_us > keep_us + keep_us / 2) {
        lose(m, "silent");
    } else if (!m->pinged && m->now_us - quiet > keep_us / 2) {
        packet p = open_packet(m, PINGREQ, 0);
        m->pinged = close_packet(&p);
    }
}

void hl_mqtt_step(hl_mqtt *m, uint64_t now_us) {
    m->now_us = now_us;
    if (m->state == HL_MQTT_CLOSED) return;
    if (m->state == HL_MQTT_OPENING) {
        int ready = m->net->ready(m->net->self);
        if (ready < 0) lose(m, "cannot connect");
        if (ready > 0) {
            m->state = HL_MQTT_GREETING;
            say_connect(m);
        }
    }
    if (m->state != HL_MQTT_UP && m->state != HL_MQTT_CLOSED && now_us - m->since_us > OPEN_US) lose(m, "no answer");
    if (m->state < HL_MQTT_GREETING) return;
    receive_some(m);
    if (m->state == HL_MQTT_UP) keep_alive(m);
    if (m->state != HL_MQTT_CLOSED) send_what_waits(m);
}

void hl_mqtt_close(hl_mqtt *m, bool politely) {
    if (politely && m->state == HL_MQTT_UP && !m->started) {
        packet p = open_packet(m, DISCONNECT, 0);
        (void)close_packet(&p);
        send_what_waits(m);
    }
    lose(m, "closed");
}
