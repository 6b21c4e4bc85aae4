/* Improv Wi-Fi over a serial line, version 1 (improv-wifi.com/serial): packets read a byte at a time, answers written.
 * A line that begins with `hearthlog:` is the text of a pairing, typed or pasted on the same line. No hardware here. */
#ifndef IMPROV_H
#define IMPROV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IMPROV_READY = 2, IMPROV_PROVISIONING = 3, IMPROV_PROVISIONED = 4 };
enum { IMPROV_NO_ERROR = 0, IMPROV_INVALID = 1, IMPROV_UNKNOWN = 2, IMPROV_UNABLE = 3 };
enum { IMPROV_WIFI = 1, IMPROV_STATE = 2, IMPROV_INFO = 3 };
enum { IMPROV_PACKET = 9 + 255 + 2 };

typedef struct {
    uint8_t state;       /* one of the first enum */
    const char *info[4]; /* firmware, version, board, name */
    /* Wi-Fi was told: try it. */
    void (*wifi)(void *self, const char *name, const char *password);
    /* A line was typed that begins with `hearthlog:`. */
    void (*text)(void *self, const char *line);
    void (*write)(void *self, const uint8_t *data, size_t n);
    void *self;
    uint8_t packet[IMPROV_PACKET];
    size_t have;
    char line[200];
    size_t line_used;
} improv;

void improv_take(improv *i, uint8_t byte);

/* Tell the state, after it has changed; or that what was asked for did not work. */
void improv_tell(improv *i, uint8_t state);
void improv_fail(improv *i, uint8_t error);

/* The answer to IMPROV_WIFI once it stands; `url` may be "". */
void improv_joined(improv *i, const char *url);

#endif
