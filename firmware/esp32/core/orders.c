/* What the gateway orders, done: each command once, its end told until the answer is out; updates; restarts and deep
 * sleep, which wait until what is to be said has been said. */
#include <string.h>

#include "credential.h"
#include "device.h"

#define PARTING_US 5000000u /* to say the last words in */
#define SLEEP_AGAIN_S 10    /* less than this is not worth a sleep */

static uint64_t now_of(const hl_device *d) { return d->config.uplink.clock->mono_us(d->config.uplink.clock->self); }

static void depart(hl_device *d, hl_departure how) {
    d->departure = how;
    d->depart_us = now_of(d) + PARTING_US;
}

static bool is_expired(const hl_device *d, const hl_command *command) {
    uint64_t utc_us, err_us;
    if (hl_timesync_utc(&d->uplink.time, now_of(d), &utc_us, &err_us)) return utc_us > command->expires_us;
    return !command->ttl_ms;
}

/* "" done, NULL: its end comes later, else why not. */
static const char *obey(hl_device *d, const hl_command *command, hl_done *done) {
    const hl_system *system = d->config.system;
    if (is_expired(d, command)) return "expired";
    if (!strcmp(command->name, "snapshot")) return hl_device_snapshot(d);
    if (!strcmp(command->name, "identify") && system && system->identify)
        return system->identify(system->self) < 0 ? "no-light" : "";
    if (!strcmp(command->name, "restart") && system && system->restart) {
        depart(d, HL_RESTART);
        return "";
    }
    if (!strcmp(command->name, "forget") && d->config.kv) {
        depart(d, HL_FORGET);
        return "";
    }
    if (!strcmp(command->name, "update") && command->args) {
        const char *code = hl_ota_begin(&d->ota, command->args, command->args_bytes);
        if (*code) return code;
        d->updating = done;
        return NULL;
    }
    return "unknown-command";
}

bool hl_device_command(void *self, const char *text, size_t n) {
    hl_device *d = self;
    hl_command command;
    if (!hl_command_read(text, n, &command)) return false;
    hl_done *done = hl_commands_find(&d->commands, command.id);
    if (done) { /* it was heard before: done once, told each time */
        done->unsaid = done->settled;
        return true;
    }
    done = hl_commands_begin(&d->commands, d->config.kv, command.id);
    if (!done) return true; /* it could not be remembered: not done, so that it may come again */
    const char *code = obey(d, &command, done);
    if (code) hl_commands_settle(&d->commands, d->config.kv, done, code);
    return true;
}

static void answer(hl_device *d) {
    for (size_t i = 0; i < HL_COMMANDS; i++) {
        hl_done *done = &d->commands.done[i];
        if (done->unsaid) done->unsaid = !hl_uplink_answer(&d->uplink, done->id, done->code);
    }
}

static void update(hl_device *d, uint64_t now_us) {
    hl_ota_state state = hl_ota_step(&d->ota, now_us);
    hl_ota_watch(&d->ota, d->uplink.flights.freed > 0, now_us);
    if (!d->updating || state == HL_OTA_FETCHING) return;
    hl_commands_settle(&d->commands, d->config.kv, d->updating, state == HL_OTA_READY ? "" : d->ota.code);
    d->updating = NULL;
    if (state == HL_OTA_READY) depart(d, HL_RESTART);
}

/* How long it may sleep now, in seconds; 0: something is still to be done. */
static uint32_t may_sleep(hl_device *d, uint64_t now_us) {
    uint64_t until = d->picture_us;
    bool over = now_us >= (uint64_t)d->config.awake_ms * 1000;
    if (!d->config.awake_ms || !d->config.system || !d->config.system->sleep || d->departure != HL_STAY) return 0;
    if (d->ota.state == HL_OTA_FETCHING || d->ota.trial || (!over && !hl_uplink_idle(&d->uplink))) return 0;
    if (!over && (!d->uplink.online || d->uplink.hello_due)) return 0; /* commands come with the connection */
    return until > now_us + SLEEP_AGAIN_S * 1000000ull ? (uint32_t)((until - now_us) / 1000000) : 0;
}

static void doze(hl_device *d, uint64_t now_us) {
    uint32_t seconds = may_sleep(d, now_us);
    if (!seconds) return;
    (void)hl_uplink_good_night(&d->uplink, seconds); /* without a connection the last will has told already */
    depart(d, HL_SLEEP);
}

static void leave(hl_device *d, uint64_t now_us) {
    const hl_system *system = d->config.system;
    hl_departure how = d->departure;
    if (hl_mqtt_busy(&d->uplink.mqtt) && d->uplink.mqtt.state == HL_MQTT_UP && now_us < d->depart_us) return;
    uint64_t next_us = d->picture_us > now_us ? d->picture_us - now_us : 0;
    d->departure = HL_STAY;
    hl_device_end(d);
    if (how == HL_FORGET) hl_credential_forget(d->config.kv);
    if (how == HL_SLEEP)
        system->sleep(system->self, next_us);
    else if (system && system->restart)
        system->restart(system->self);
}

void hl_device_orders(hl_device *d, uint64_t now_us) {
    answer(d);
    update(d, now_us);
    answer(d);
    doze(d, now_us);
    if (d->departure != HL_STAY) leave(d, now_us);
}
