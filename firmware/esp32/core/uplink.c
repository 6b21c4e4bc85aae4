#include "uplink.h"

#include <stdio.h>
#include <string.h>

#include "hex.h"

#define ROOT "hearthlog/v1/"
#define GATEWAY_STATUS ROOT "gateway/status"
#define STATUS_EVERY_US 60000000ull
#define ASK_EVERY_US 600000000ull
#define ASK_AGAIN_US 5000000ull
#define FIRST_RECONNECT_US 500000ull
#define LAST_RECONNECT_US 30000000ull
#define LAST_REFUSED_US 300000000ull /* the broker does not know it: only a person can help */
#define OFFLINE "{\"state\":\"offline\"}"

enum { TOPIC_BYTES = 64, MESSAGE_BYTES = 1792 };

static uint64_t now_of(const hl_uplink *u) { return u->config.clock->mono_us(u->config.clock->self); }

static const char *topic_of(const hl_uplink *u, const char *voice, char topic[TOPIC_BYTES]) {
    (void)snprintf(topic, TOPIC_BYTES, ROOT "%s/%s", u->config.device, voice);
    return topic;
}

/* What the card still holds, by boot: as far as one walk of bounded length sees. */
typedef struct {
    uint8_t boot_id[HL_BOOT_BYTES];
    hl_range range;
} held;

static unsigned find_held(hl_uplink *u, held *boots) {
    hl_spool *s = u->config.spool;
    unsigned count = 0, walked = 0;
    hl_found found;
    for (unsigned i = 0; i < s->span_count; i++)
        for (uint64_t at = s->spans[i].from; at < s->spans[i].to; at = found.next) {
            if (hl_spool_next(s, at, &found) != HL_OK || found.address >= s->spans[i].to) break;
            held *last = count ? &boots[count - 1] : NULL;
            if (last && !memcmp(last->boot_id, found.header.boot_id, HL_BOOT_BYTES)) {
                last->range.last = found.header.sequence;
            } else if (count == HL_HELLO_BOOTS) {
                return count;
            } else {
                memcpy(boots[count].boot_id, found.header.boot_id, HL_BOOT_BYTES);
                boots[count++].range = (hl_range){found.header.sequence, found.header.sequence};
            }
            if (++walked == HL_HELLO_SCAN) return count;
        }
    return count;
}

static void say_hello(hl_uplink *u) {
    char text[MESSAGE_BYTES], topic[TOPIC_BYTES], boot[2 * HL_BOOT_BYTES + 1];
    held boots[HL_HELLO_BOOTS];
    unsigned count = find_held(u, boots);
    hl_hex_write(u->config.spool->boot.id, HL_BOOT_BYTES, boot);
    int n = snprintf(text, sizeof text,
                     "{\"firmware\":\"%.40s\",\"board\":\"%.40s\",\"boot\":\"%s\",\"mono_us\":%llu,\"spool\":[",
                     u->config.firmware, u->config.board, boot, (unsigned long long)now_of(u));
    for (unsigned i = 0; i < count; i++) { /* 16 of at most 75 characters: they fit */
        hl_hex_write(boots[i].boot_id, HL_BOOT_BYTES, boot);
        n += snprintf(text + n, sizeof text - (size_t)n, "%s{\"boot\":\"%s\",\"first\":%llu,\"last\":%llu}",
                      i ? "," : "", boot, (unsigned long long)boots[i].range.first,
                      (unsigned long long)boots[i].range.last);
    }
    (void)snprintf(text + n, sizeof text - (size_t)n, "]}");
    if (!hl_mqtt_publish(&u->mqtt, topic_of(u, "up/hello", topic), text, 1, false)) return;
    u->hello_due = false;
    hl_flights_forget(&u->flights);
}

static bool say_status(hl_uplink *u, uint64_t now_us, uint32_t wakes_in_s) {
    char text[512], topic[TOPIC_BYTES], err[32] = "null", more[96] = "";
    uint64_t utc_us, err_us;
    hl_health health = {0, 0};
    size_t n = 0;
    if (u->config.health) u->config.health(u->config.self, &health);
    if (hl_timesync_utc(&u->time, now_us, &utc_us, &err_us))
        (void)snprintf(err, sizeof err, "%llu", (unsigned long long)err_us);
    if (wakes_in_s) n = (size_t)snprintf(more, sizeof more, ",\"wakes_in_s\":%lu", (unsigned long)wakes_in_s);
    if (health.battery_mv)
        n += (size_t)snprintf(more + n, sizeof more - n, ",\"battery_mv\":%lu", (unsigned long)health.battery_mv);
    if (health.rssi_dbm) (void)snprintf(more + n, sizeof more - n, ",\"rssi_dbm\":%ld", (long)health.rssi_dbm);
    (void)snprintf(text, sizeof text,
                   "{\"state\":\"%s\",\"firmware\":\"%.40s\",\"board\":\"%.40s\",\"spool_fill_permille\":%u,"
                   "\"quarantined\":%lu,\"drops\":%lu,\"card_faults\":%lu,\"clock_err_us\":%s%s}",
                   wakes_in_s ? "asleep" : "online", u->config.firmware, u->config.board,
                   hl_spool_fill(u->config.spool), (unsigned long)u->quarantined, (unsigned long)u->config.spool->drops,
                   (unsigned long)u->config.spool->faults, err, more);
    if (!hl_mqtt_publish(&u->mqtt, topic_of(u, "up/status", topic), text, 1, true)) return false;
    u->status_us = now_us + STATUS_EVERY_US;
    return true;
}

bool hl_uplink_good_night(hl_uplink *u, uint32_t wakes_in_s) {
    u->asleep = say_status(u, now_of(u), wakes_in_s);
    return u->asleep;
}

bool hl_uplink_answer(hl_uplink *u, const char *id, const char *code) {
    char text[96], topic[TOPIC_BYTES];
    (void)snprintf(text, sizeof text, "{\"id\":\"%.16s\",\"ok\":%s,\"code\":\"%.31s\"}", id, *code ? "false" : "true",
                   code);
    return hl_mqtt_publish(&u->mqtt, topic_of(u, "up/result", topic), text, 1, false);
}

static void ask_time(hl_uplink *u, uint64_t now_us) {
    char text[64], topic[TOPIC_BYTES];
    if (hl_mqtt_busy(&u->mqtt)) return; /* behind a picture the answer would be worth little */
    (void)snprintf(text, sizeof text, "{\"time\":{\"t0_us\":%llu}}", (unsigned long long)now_us);
    if (!hl_mqtt_publish(&u->mqtt, topic_of(u, "up/event", topic), text, 1, false)) return;
    hl_timesync_ask(&u->time, now_us);
    u->ask_us = now_us + (u->time.known ? ASK_EVERY_US : ASK_AGAIN_US);
}

static void on_connected(void *self) {
    hl_uplink *u = self;
    u->connects++;
    u->greeted = u->subscribed = u->online = u->heard_status = false;
    u->hello_due = true;
    u->status_us = u->ask_us = 0;
    hl_flights_restart(&u->flights, false);
}

static void on_lost(void *self, const char *why) {
    hl_uplink *u = self;
    uint8_t dice = 0;
    uint64_t pause = FIRST_RECONNECT_US << (u->failures < 10 ? u->failures : 10);
    uint64_t most = strcmp(why, HL_MQTT_REFUSED) ? LAST_RECONNECT_US : LAST_REFUSED_US;
    if (pause > most) pause = most;
    u->config.random->fill(u->config.random->self, &dice, 1);
    u->reconnect_us = now_of(u) + pause / 2 + pause * dice / 256;
    u->failures++;
    u->lost_why = why;
    u->online = false;
    if (u->unreadable) hl_flights_hold(&u->flights, &u->streaming, now_of(u));
    u->unreadable = false;
    hl_flights_restart(&u->flights, false);
}

static void on_status(hl_uplink *u, const char *text, size_t n, bool retained) {
    bool online = false, first = !u->heard_status;
    if (!hl_status_read(text, n, &online)) {
        u->bad_messages++;
        return;
    }
    bool again =
        !retained || !first || u->online; /* the first, retained one is the state at connect: hello is said then */
    u->heard_status = true;
    if (!online) {
        u->online = false;
        hl_flights_restart(&u->flights, false);
    } else if (!u->online || again) {
        u->online = true;
        hl_flights_restart(&u->flights, true);
        u->hello_due = u->hello_due || again;
        u->ask_us = 0;
        u->failures = 0;
    }
}

static void on_range(void *self, const hl_ack *ack, hl_range range) {
    hl_uplink *u = self;
    hl_flights_stored(&u->flights, ack->boot_id, range);
}

/* Into quarantine, once: a power cut between the copy and the cursor may bring it here again. */
static hl_code quarantine(hl_uplink *u, const hl_flight *flight, const char *code) {
    hl_found found, other;
    hl_spool *q = u->config.quarantine;
    hl_code result = hl_spool_next(u->config.spool, flight->address, &found);
    if (result != HL_OK || found.address != flight->address) return result == HL_CARD_ERROR ? result : HL_END;
    for (uint64_t at = q->spans[0].from; hl_spool_next(q, at, &other) == HL_OK; at = other.next)
        if (other.header.sequence == flight->sequence && !memcmp(other.header.boot_id, flight->boot_id, HL_BOOT_BYTES))
            return HL_OK;
    return hl_spool_copy(q, u->config.spool, &found, code);
}

static void on_nack(void *self, const hl_ack *ack, uint64_t sequence, const char *code, int64_t retry_ms) {
    hl_uplink *u = self;
    hl_flight *flight = hl_flights_find(&u->flights, ack->boot_id, sequence);
    if (!flight) return;
    u->nacks++;
    memcpy(u->last_code, code, strlen(code) + 1);
    if (retry_ms != HL_FOR_EVER) {
        hl_flights_later(&u->flights, flight, (uint64_t)retry_ms, now_of(u));
        return;
    }
    hl_code result = quarantine(u, flight, code);
    if (result == HL_OK || result == HL_END) {
        u->quarantined += result == HL_OK;
        hl_flights_done(&u->flights, flight);
    } else { /* the card did not take it: the record stays where it is */
        hl_flights_later(&u->flights, flight, 300000, now_of(u));
    }
}

static void on_ack(hl_uplink *u, const char *text, size_t n) {
    hl_ack_visitor visitor = {u, on_range, on_nack};
    hl_ack ack;
    if (!hl_ack_read(text, n, &ack, &visitor)) {
        u->bad_messages++;
        return;
    }
    u->acks++;
    u->flights.credit = ack.credit < 1 ? 1 : ack.credit > HL_MAX_CREDIT ? HL_MAX_CREDIT : ack.credit;
    hl_flights_settle(&u->flights);
}

static void append_anchor(hl_uplink *u, uint64_t now_us) {
    uint8_t body[96];
    hl_anchor anchor;
    hl_timesync before = u->time;
    hl_header header = {.kind = HL_ANCHOR, .mono_us = now_us};
    if (!hl_timesync_anchor(&u->time, u->config.spool->boot.id, now_us, &anchor)) return;
    header.body_bytes = (uint32_t)hl_anchor_encode(&anchor, body, sizeof body);
    if (hl_spool_append(u->config.spool, &header, NULL, body) != HL_OK) u->time = before; /* with the next answer */
}

static void on_time(hl_uplink *u, const char *text, size_t n) {
    hl_time_answer answer;
    uint64_t now_us = now_of(u);
    if (!hl_time_read(text, n, &answer)) {
        u->bad_messages++;
    } else if (hl_timesync_answer(&u->time, &answer, now_us)) {
        u->ask_us = now_us + ASK_EVERY_US;
        append_anchor(u, now_us);
    }
}

static void on_message(void *self, const char *topic, const char *payload, size_t n, bool retained) {
    hl_uplink *u = self;
    char own[TOPIC_BYTES];
    if (!strcmp(topic, GATEWAY_STATUS))
        on_status(u, payload, n, retained);
    else if (!strcmp(topic, topic_of(u, "dn/ack", own)) && !retained)
        on_ack(u, payload, n);
    else if (!strcmp(topic, topic_of(u, "dn/time", own)) && !retained)
        on_time(u, payload, n);
    else if (!strcmp(topic, topic_of(u, "dn/cfg", own)) && u->config.configured)
        u->bad_messages += !u->config.configured(u->config.self, payload, n);
    else if (!strcmp(topic, topic_of(u, "dn/cmd", own)) && u->config.commanded && !retained)
        u->bad_messages += !u->config.commanded(u->config.self, payload, n);
    else
        u->bad_messages++;
}

static bool good_id(const char *id) {
    size_t n = strlen(id);
    if (n < 3 || n > 32 || id[0] == '-' || !strcmp(id, "gateway")) return false;
    for (size_t i = 0; i < n; i++)
        if (!((id[i] >= 'a' && id[i] <= 'z') || (id[i] >= '0' && id[i] <= '9') || id[i] == '-')) return false;
    return true;
}

hl_code hl_uplink_begin(hl_uplink *u, const hl_uplink_config *config) {
    memset(u, 0, sizeof *u);
    u->config = *config;
    u->lost_why = "";
    if (!good_id(config->device)) return HL_BAD_LENGTH;
    (void)snprintf(u->client_id, sizeof u->client_id, "%s%s", config->client_id ? "" : "hearthcam-",
                   config->client_id ? config->client_id : config->device);
    (void)topic_of(u, "up/status", u->will_topic);
    u->options =
        (hl_mqtt_options){u->client_id, config->user, config->password, u->will_topic, OFFLINE, config->keep_alive_s};
    hl_mqtt_begin(&u->mqtt, config->net, &u->options, &(hl_mqtt_events){u, on_connected, on_message, on_lost});
    hl_flights_begin(&u->flights, config->spool, config->random);
    return HL_OK;
}

/* Subscriptions, status and hello, in this order, as room comes. */
static void greet(hl_uplink *u, uint64_t now_us) {
    static const struct {
        const char *voice;
        unsigned qos;
    } HEARD[] = {{"dn/ack", 0}, {"dn/time", 0}, {"dn/cfg", 1}, {"dn/cmd", 1}};
    char topic[TOPIC_BYTES];
    if (!u->subscribed) {
        for (size_t i = 0; i < sizeof HEARD / sizeof HEARD[0]; i++)
            if (!hl_mqtt_subscribe(&u->mqtt, topic_of(u, HEARD[i].voice, topic), HEARD[i].qos)) return;
        if (!hl_mqtt_subscribe(&u->mqtt, GATEWAY_STATUS, 1)) return;
        u->subscribed = true;
        (void)say_status(u, now_us, 0);
    }
    u->greeted = true;
}

static bool read_record(void *self, uint32_t offset, void *out, uint32_t n) {
    hl_uplink *u = self;
    hl_code code = hl_spool_read(u->config.spool, &u->streaming, offset, out, n);
    u->unreadable = code == HL_CARD_ERROR;
    return code == HL_OK;
}

/* A record counts as sent when its last byte is: on a thin link that takes longer than its pause. */
static void hold_streaming(hl_uplink *u, uint64_t now_us) {
    hl_flight *flight = hl_flights_find(&u->flights, u->streaming.header.boot_id, u->streaming.header.sequence);
    if (flight && flight->flying && flight->due_us < now_us + 5000000) flight->due_us = now_us + 5000000;
}

void hl_uplink_step(hl_uplink *u) {
    uint64_t now_us = now_of(u);
    char topic[TOPIC_BYTES];
    if (u->mqtt.state == HL_MQTT_CLOSED && now_us >= u->reconnect_us) hl_mqtt_open(&u->mqtt, now_us);
    hl_mqtt_step(&u->mqtt, now_us);
    if (u->mqtt.state != HL_MQTT_UP) return;
    if (!u->greeted) greet(u, now_us);
    if (!u->greeted) return;
    if (u->hello_due) say_hello(u);
    if (now_us >= u->status_us) (void)say_status(u, now_us, 0);
    if (u->mqtt.streaming) hold_streaming(u, now_us);
    if (!u->online || u->hello_due) return;
    if (now_us >= u->ask_us) ask_time(u, now_us);
    while (u->mqtt.state == HL_MQTT_UP && !u->mqtt.streaming && hl_flights_pick(&u->flights, now_us, &u->streaming)) {
        (void)hl_mqtt_stream(&u->mqtt, topic_of(u, "up/rec", topic), u->streaming.bytes, read_record, u);
        hl_mqtt_step(&u->mqtt, now_us);
    }
    hl_flights_settle(&u->flights);
}

bool hl_uplink_idle(hl_uplink *u) {
    hl_found found;
    hl_flights_settle(&u->flights);
    const hl_spool *s = u->config.spool;
    for (unsigned i = 0; i < s->span_count; i++)
        if (hl_spool_next(u->config.spool, s->spans[i].from, &found) == HL_OK && found.address < s->spans[i].to)
            return false;
    return u->flights.count == 0;
}

void hl_uplink_end(hl_uplink *u) {
    char topic[TOPIC_BYTES];
    if (!u->asleep) (void)hl_mqtt_publish(&u->mqtt, topic_of(u, "up/status", topic), OFFLINE, 1, true);
    hl_mqtt_close(&u->mqtt, true);
    hl_flights_settle(&u->flights);
    (void)hl_spool_save(u->config.spool);
}
