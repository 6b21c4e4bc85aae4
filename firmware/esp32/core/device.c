#include "device.h"

#include <string.h>

#include "cbor.h"
#include "jpeg.h"
#include "le.h"

enum { RESET_AFTER = 5, RATE_HZ = 16000, SAMPLES = 16000, META_BYTES = 128 };

#define KEY_BOOT "boot"
#define KEY_SEQUENCE "seq"

_Static_assert(sizeof(void *) > 4 || sizeof(hl_device) <= 24 * 1024,
               "a board has 24 KiB for this, besides its frame buffers");

static uint64_t now_of(const hl_device *d) { return d->config.uplink.clock->mono_us(d->config.uplink.clock->self); }

/* What the key-value store knows; 0 if it was wiped. The card knows too, and the higher of both counts. */
static uint64_t recall(const hl_kv *kv, const char *key) {
    uint8_t b[8];
    return kv && kv->get(kv->self, key, b, sizeof b) == (int)sizeof b ? hl_get64(b) : 0;
}

static void remember(const hl_kv *kv, const char *key, uint64_t value) {
    uint8_t b[8];
    hl_put64(b, value);
    if (kv) (void)kv->put(kv->self, key, b, sizeof b); /* a second memory: without it the card's stands alone */
}

static hl_code open_card(hl_device *d) {
    const hl_device_config *c = &d->config;
    uint32_t segment = c->segment_blocks ? c->segment_blocks : HL_SEGMENT_BLOCKS;
    uint32_t quarantine =
        16 +
        segment * (c->card->blocks / segment / 16 > HL_MIN_SEGMENTS ? c->card->blocks / segment / 16 : HL_MIN_SEGMENTS);
    hl_boot boot = {(uint32_t)recall(c->kv, KEY_BOOT) + 1, {0}};
    if (c->card->blocks < 2 * quarantine) return HL_BAD_LENGTH;
    c->uplink.random->fill(c->uplink.random->self, boot.id, sizeof boot.id);
    hl_spool_config main_log = {c->card,
                                c->uplink.clock,
                                c->uplink.random,
                                0,
                                c->card->blocks - quarantine,
                                segment,
                                d->io,
                                recall(c->kv, KEY_SEQUENCE),
                                NULL,
                                "card-full",
                                &d->failed};
    hl_code code = hl_spool_open(&d->spool, &main_log, &boot);
    if (code != HL_OK) return code;
    hl_spool_config second = main_log;
    second.base = main_log.blocks;
    second.blocks = quarantine;
    second.least_sequence = 0;
    second.gaps_to = &d->spool;
    second.why = "quarantine-full";
    second.failed = NULL;
    remember(c->kv, KEY_BOOT, d->spool.boot.counter);
    return hl_spool_open(&d->quarantine, &second, &d->spool.boot);
}

static void set_quality(hl_device *d) {
    const hl_camera *camera = d->config.camera;
    if (camera && camera->quality) camera->quality(camera->self, d->settings.quality);
}

static bool on_settings(void *self, const char *text, size_t n) {
    hl_device *d = self;
    hl_settings before = d->settings;
    if (!hl_settings_read(&d->settings, text, n)) return false;
    if (!memcmp(&before, &d->settings, sizeof before)) return true; /* retained: said at every connection */
    (void)hl_settings_save(&d->settings, d->config.kv); /* if it is not kept, the next connection says it again */
    if (d->settings.quality != before.quality) set_quality(d);
    if (d->settings.interval_ms != before.interval_ms) d->picture_us = now_of(d);
    return true;
}

static void on_health(void *self, hl_health *health) {
    const hl_system *system = ((hl_device *)self)->config.system;
    if (system && system->health) system->health(system->self, health);
}

hl_code hl_device_begin(hl_device *d, const hl_device_config *config) {
    memset(d, 0, sizeof *d);
    d->config = *config;
    hl_code code = open_card(d);
    if (code != HL_OK) return code;
    d->config.uplink.spool = &d->spool;
    d->config.uplink.quarantine = &d->quarantine;
    d->config.uplink.configured = on_settings;
    d->config.uplink.commanded = hl_device_command;
    d->config.uplink.health = on_health;
    d->config.uplink.self = d;
    hl_commands_load(&d->commands, config->kv);
    hl_ota_config ota = {
        config->firmware,        config->web,  config->kv, config->uplink.board, config->uplink.firmware,
        config->uplink.password, config->plain};
    hl_ota_wake(&d->ota, &ota, now_of(d));
    d->urgent = d->ota.trial; /* one acknowledged record keeps the new firmware: it need not wait for a picture */
    hl_settings_load(&d->settings, config->kv);
    set_quality(d);
    return hl_uplink_begin(&d->uplink, &d->config.uplink);
}

static bool keep(hl_device *d, hl_header *header, const uint8_t *meta, const uint8_t *body) {
    uint64_t reserved = d->spool.reserved;
    hl_code code = hl_spool_append(&d->spool, header, meta, body);
    if (d->spool.reserved != reserved) remember(d->config.kv, KEY_SEQUENCE, d->spool.reserved);
    if (code != HL_OK) {
        d->lost++;
        return false;
    }
    if (d->committed) d->committed(d->committed_self, header, body);
    return true;
}

static unsigned clock_pairs(const hl_device *d, uint64_t at_us, uint64_t *utc_us, uint64_t *err_us) {
    return hl_timesync_utc(&d->uplink.time, at_us, utc_us, err_us) ? 2 : 0;
}

/* The meta of a capture: the clock if it is known, and what is special to sound. */
static uint32_t write_meta(const hl_device *d, uint64_t at_us, const uint64_t *first_sample, uint8_t meta[META_BYTES]) {
    hl_cbor_writer w = {meta, META_BYTES, 0, false};
    uint64_t utc_us = 0, err_us = 0;
    unsigned pairs = clock_pairs(d, at_us, &utc_us, &err_us);
    if (!pairs && !first_sample) return 0;
    hl_cbor_map(&w, pairs + (first_sample ? 2 : 0));
    if (pairs) {
        hl_cbor_text(&w, "utc_us");
        hl_cbor_uint(&w, utc_us);
        hl_cbor_text(&w, "utc_err_us");
        hl_cbor_uint(&w, err_us);
    }
    if (first_sample) {
        hl_cbor_text(&w, "rate_hz");
        hl_cbor_uint(&w, RATE_HZ);
        hl_cbor_text(&w, "first_sample");
        hl_cbor_uint(&w, *first_sample);
    }
    return w.full ? 0 : (uint32_t)w.used;
}

/* Whether a picture is worth keeping: always without motion detection, else when something moved or it is time. */
static bool worth_keeping(hl_device *d, uint32_t bytes, uint64_t now_us) {
    const hl_camera *camera = d->config.camera;
    uint8_t cells[HL_LUMA];
    if (!d->settings.motion) return true;
    bool has_luma = camera->luma && camera->luma(camera->self, cells) == 0;
    if (hl_motion_look(&d->motion, bytes, has_luma ? cells : NULL)) return true;
    return d->settings.still_s && now_us - d->kept_us >= (uint64_t)d->settings.still_s * 1000000;
}

/* Whether its owner wants nothing taken now. Quiet hours count once the time is known. */
static bool asleep(const hl_device *d, uint64_t now_us) {
    uint64_t utc_us, err_us;
    if (d->settings.privacy) return true;
    return hl_timesync_utc(&d->uplink.time, now_us, &utc_us, &err_us) && hl_settings_quiet(&d->settings, utc_us);
}

static const char *take_picture(hl_device *d, uint64_t now_us, bool wanted) {
    const hl_camera *camera = d->config.camera;
    const uint8_t *jpeg = NULL;
    uint8_t meta[META_BYTES];
    size_t n = 0;
    if (camera->take(camera->self, &jpeg, &n) < 0 || n > HL_MAX_RECORD_BYTES || hl_jpeg_check(jpeg, n) != HL_OK) {
        d->bad_frames++;
        if (++d->bad_in_a_row % RESET_AFTER == 0) camera->reset(camera->self);
        return "no-picture";
    }
    hl_header header = {.kind = HL_JPEG, .mono_us = now_us, .body_bytes = (uint32_t)n};
    d->bad_in_a_row = 0;
    if (!worth_keeping(d, (uint32_t)n, now_us) && !wanted) {
        d->still++;
        return "";
    }
    d->kept_us = now_us;
    header.meta_bytes = write_meta(d, now_us, NULL, meta);
    if (!keep(d, &header, meta, jpeg)) return "card-error";
    d->pictures++;
    return "";
}

const char *hl_device_snapshot(hl_device *d) {
    uint64_t now_us = now_of(d);
    if (!d->config.camera) return "no-camera";
    return asleep(d, now_us) ? "private" : take_picture(d, now_us, true);
}

static void take_sound(hl_device *d, uint64_t now_us) {
    const hl_microphone *microphone = d->config.microphone;
    const uint8_t *pcm = NULL;
    uint8_t meta[META_BYTES];
    uint64_t first = 0;
    if (microphone->take(microphone->self, &pcm, SAMPLES, &first) != 0) return;
    hl_header header = {.kind = HL_AUDIO, .mono_us = now_us, .body_bytes = 2 * SAMPLES};
    header.meta_bytes = write_meta(d, now_us, &first, meta);
    d->sounds += keep(d, &header, meta, pcm);
}

static void take_telemetry(hl_device *d, uint64_t now_us) {
    uint8_t body[256];
    hl_cbor_writer w = {body, sizeof body, 0, false};
    hl_header header = {.kind = HL_TELEMETRY, .mono_us = now_us};
    hl_health health = {0, 0};
    on_health(d, &health);
    hl_cbor_map(&w, 5u + (health.battery_mv != 0) + (health.rssi_dbm != 0));
    if (health.battery_mv) {
        hl_cbor_text(&w, "battery_mv");
        hl_cbor_uint(&w, health.battery_mv);
    }
    if (health.rssi_dbm) {
        hl_cbor_text(&w, "rssi_dbm");
        hl_cbor_int(&w, health.rssi_dbm);
    }
    hl_cbor_text(&w, "spool_fill_permille");
    hl_cbor_uint(&w, hl_spool_fill(&d->spool));
    hl_cbor_text(&w, "bad_frames");
    hl_cbor_uint(&w, d->bad_frames);
    hl_cbor_text(&w, "card_faults");
    hl_cbor_uint(&w, d->spool.faults);
    hl_cbor_text(&w, "resent");
    hl_cbor_uint(&w, d->uplink.flights.again);
    hl_cbor_text(&w, "reconnects");
    hl_cbor_uint(&w, d->uplink.connects);
    header.body_bytes = (uint32_t)w.used;
    (void)keep(d, &header, NULL, body);
}

/* The next time on a beat of `every_ms`; beats that were missed are not made up for. */
static uint64_t next_beat(uint64_t due_us, uint64_t now_us, uint32_t every_ms) {
    uint64_t next = due_us + (uint64_t)every_ms * 1000;
    return next > now_us ? next : now_us + (uint64_t)every_ms * 1000;
}

void hl_device_step(hl_device *d) {
    uint64_t now_us = now_of(d);
    bool silent = asleep(d, now_us);
    if (d->config.camera && now_us >= d->picture_us) {
        d->picture_us =
            next_beat(d->picture_us, now_us, d->config.interval_ms ? d->config.interval_ms : d->settings.interval_ms);
        if (!silent) (void)take_picture(d, now_us, false);
    }
    if (d->config.microphone && !silent) take_sound(d, now_us);
    if ((d->config.telemetry_ms && now_us >= d->telemetry_us) || d->urgent) {
        d->urgent = false;
        d->telemetry_us = next_beat(d->telemetry_us, now_us, d->config.telemetry_ms);
        take_telemetry(d, now_us);
    }
    hl_uplink_step(&d->uplink);
    hl_device_orders(d, now_us);
}

void hl_device_stop_taking(hl_device *d) {
    d->config.camera = NULL;
    d->config.microphone = NULL;
    d->config.telemetry_ms = 0;
}

void hl_device_end(hl_device *d) { hl_uplink_end(&d->uplink); }
