/* A web server in memory, at the other end of a hl_web, and a firmware with two slots. */
#ifndef HL_FAKE_WEB_H
#define HL_FAKE_WEB_H

#include "hal.h"

enum { FAKE_ANSWER = 1 << 15, FAKE_IMAGE = 20000 };

typedef struct fake_web {
    hl_web web;
    char request[2048], host[80];
    uint8_t out[FAKE_ANSWER];
    size_t used, out_used, out_at, at_once, break_after; /* break_after: bytes of an answer, 0 never */
    hl_trust trust;
    size_t ca_bytes;
    bool open, refuse, slow, silent, breaks; /* cannot be opened; never stands; does not answer; does not take */
    unsigned requests, opens;
    /* A whole request has come: fill in `out`. */
    void (*answer)(struct fake_web *w);
    void *context;
} fake_web;

void fake_web_begin(fake_web *w, void (*answer)(fake_web *w));
void fake_web_say(fake_web *w, const void *data, size_t n);

/* A head, and text as its body. */
void fake_web_text(fake_web *w, unsigned status, const char *text);

typedef struct {
    hl_firmware firmware;
    uint8_t slots[2][FAKE_IMAGE];
    unsigned runs, next; /* slots */
    bool trial, fails_to_activate, fails_to_begin, fails_to_confirm;
    unsigned operations, fail_at, confirmed, rolled_back;
    /* Called before each change of the flash. */
    void (*before)(void *context);
} fake_firmware;

void fake_firmware_begin(fake_firmware *f);

/* What a boot loader does: an image that was on trial and never confirmed is given up. */
void fake_firmware_boot(fake_firmware *f);

/* `args` of an update of this image. */
void fake_manifest(char *out, const uint8_t *image, size_t n, const char *version);

#endif
