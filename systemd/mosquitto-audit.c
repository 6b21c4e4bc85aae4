/* Mosquitto's dynamic security denies without a word: a camera that publishes or subscribes where it may not is seen
 * in the debug log only, which tells of every message besides. This plugin is asked after it, and so only where no rule
 * allows anything: it notes who wanted what, and leaves the answer as it is. The broker tells the gateway of notices.
 *
 * docs/install.md says how it is built. */
#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define EVERY_S 10
#define A_SECOND 5 /* lines at most, whatever is asked */

static mosquitto_plugin_id_t *self;
static char last[256];
static time_t last_at, second;
static unsigned lines;

static int on_check(int event, void *data, void *user) {
    const struct mosquitto_evt_acl_check *check = data;
    const char *id, *what, *place;
    char line[256];
    time_t now = time(NULL);
    (void)event, (void)user;
    if (check->access != MOSQ_ACL_WRITE && check->access != MOSQ_ACL_SUBSCRIBE) return MOSQ_ERR_PLUGIN_DEFER;
    id = mosquitto_client_username(check->client);
    place = mosquitto_client_address(check->client);
    what = check->access == MOSQ_ACL_WRITE ? "publish" : "subscribe";
    (void)snprintf(line, sizeof line, "%s %.64s %.45s", what, id ? id : "-", place ? place : "-");
    if (now - last_at < EVERY_S && !strcmp(line, last)) return MOSQ_ERR_PLUGIN_DEFER; /* a flood is one line */
    if (now != second) second = now, lines = 0;
    if (++lines > A_SECOND) return MOSQ_ERR_PLUGIN_DEFER;
    memcpy(last, line, sizeof last);
    last_at = now;
    mosquitto_log_printf(MOSQ_LOG_NOTICE, "hearthlog-audit: denied %s %.64s", line, check->topic);
    return MOSQ_ERR_PLUGIN_DEFER;
}

int mosquitto_plugin_version(int count, const int *versions) {
    for (int i = 0; i < count; i++)
        if (versions[i] == 5) return 5;
    return -1;
}

int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier, void **user, struct mosquitto_opt *options, int count) {
    (void)user, (void)options, (void)count;
    self = identifier;
    return mosquitto_callback_register(self, MOSQ_EVT_ACL_CHECK, on_check, NULL, NULL);
}

int mosquitto_plugin_cleanup(void *user, struct mosquitto_opt *options, int count) {
    (void)user, (void)options, (void)count;
    return mosquitto_callback_unregister(self, MOSQ_EVT_ACL_CHECK, on_check, NULL);
}
