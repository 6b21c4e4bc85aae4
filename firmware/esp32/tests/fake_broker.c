#include "fake_broker.h"

#include "test.h"

static int net_open(void *self) {
    fake_broker *b = self;
    b->opens++;
    b->open = !b->refuse;
    b->in_used = b->out_used = 0;
    return b->refuse ? -1 : 0;
}

static int net_ready(void *self) {
    const fake_broker *b = self;
    return b->slow ? 0 : b->open ? 1 : -1;
}

static int net_send(void *self, const void *data, size_t n) {
    fake_broker *b = self;
    if (!b->open || b->breaks) return -1;
    if (b->deaf || b->full) return 0;
    if (n > b->at_once) n = b->at_once;
    if (n > FAKE_IN - b->in_used) n = FAKE_IN - b->in_used;
    memcpy(b->in + b->in_used, data, n);
    b->in_used += n;
    return (int)n;
}

static int net_receive(void *self, void *data, size_t n) {
    fake_broker *b = self;
    if (!b->open) return -1;
    if (b->deaf || b->dumb) return 0;
    if (n > b->at_once) n = b->at_once;
    if (n > b->out_used) n = b->out_used;
    memcpy(data, b->out, n);
    memmove(b->out, b->out + n, b->out_used - n);
    b->out_used -= n;
    return (int)n;
}

static void net_close(void *self) { ((fake_broker *)self)->open = false; }

void fake_begin(fake_broker *b) {
    memset(b, 0, sizeof *b);
    b->at_once = 100000;
    b->net = (hl_net){b, net_open, net_ready, net_send, net_receive, net_close};
}

void fake_drop(fake_broker *b) {
    b->open = false;
    b->in_used = 0;
}

static void answer(fake_broker *b, const void *data, size_t n) {
    if (n > FAKE_OUT - b->out_used) return;
    memcpy(b->out + b->out_used, data, n);
    b->out_used += n;
}

void fake_say(fake_broker *b, const char *topic, const char *payload, bool retained, unsigned qos) {
    uint8_t head[8] = {(uint8_t)(0x30 | qos << 1 | (retained ? 1 : 0))};
    size_t topic_n = strlen(topic), n = strlen(payload), length = 2 + topic_n + (qos ? 2 : 0) + n, at = 1;
    if (!b->open || b->out_used + length + 8 > FAKE_OUT) return;
    do {
        head[at] = (uint8_t)(length % 128);
        length /= 128;
        if (length) head[at] |= 0x80;
        at++;
    } while (length);
    head[at++] = (uint8_t)(topic_n >> 8);
    head[at++] = (uint8_t)topic_n;
    answer(b, head, at);
    answer(b, topic, topic_n);
    if (qos) answer(b, "\0\7", 2);
    answer(b, payload, n);
}

static void take_publish(fake_broker *b, unsigned type, const uint8_t *p, size_t n) {
    char topic[160];
    unsigned qos = (type >> 1) & 3;
    size_t topic_n = (size_t)p[0] << 8 | p[1], at = 2 + topic_n + (qos ? 2 : 0);
    CHECK(n >= at && topic_n < sizeof topic && qos < 2);
    memcpy(topic, p + 2, topic_n);
    topic[topic_n] = 0;
    if (qos) {
        uint8_t puback[4] = {0x40, 2, p[2 + topic_n], p[3 + topic_n]};
        answer(b, puback, 4);
    }
    if (b->published) b->published(b, topic, p + at, n - at, qos, type & 1);
}

static void take(fake_broker *b, unsigned type, const uint8_t *p, size_t n) {
    switch (type & 0xf0) {
    case 0x10: {
        CHECK(n > 12 && !memcmp(p, "\0\4MQTT\4", 7));
        size_t id = (size_t)p[10] << 8 | p[11], will_at = 12 + id + 2 + ((size_t)p[12 + id] << 8 | p[13 + id]);
        CHECK(p[7] & 0x04 && will_at + 2 <= n);
        size_t will = (size_t)p[will_at] << 8 | p[will_at + 1];
        CHECK(will < sizeof b->will && will_at + 2 + will <= n);
        memcpy(b->will, p + will_at + 2, will);
        b->will[will] = 0;
        answer(b, "\x20\2\0\0", 4);
        break;
    }
    case 0x30:
        take_publish(b, type, p, n);
        break;
    case 0x80: {
        uint8_t suback[5] = {0x90, 3, p[0], p[1], p[n - 1]};
        CHECK(type == 0x82);
        b->subscriptions++;
        answer(b, suback, 5);
        break;
    }
    case 0xc0:
        b->pings++;
        answer(b, "\xd0\0", 2);
        break;
    default:
        CHECK((type & 0xf0) == 0x40 || type == 0xe0);
    }
}

void fake_step(fake_broker *b) {
    size_t at = 0;
    for (;;) { /* what was sent before a goodbye is heard */
        size_t length = 0, n = 0;
        do {
            if (at + 1 + n >= b->in_used) goto out;
            length |= (size_t)(b->in[at + 1 + n] & 0x7f) << (7 * n);
        } while (b->in[at + 1 + n++] & 0x80 && n < 4);
        if (at + 1 + n + length > b->in_used) break;
        take(b, b->in[at], b->in + at + 1 + n, length);
        at += 1 + n + length;
    }
out:
    memmove(b->in, b->in + at, b->in_used - at);
    b->in_used -= at;
}
