/* What a camera needs before it is one: a Wi-Fi to join and the text of a pairing. */
#ifndef SETUP_H
#define SETUP_H

#include "pair.h"

typedef struct {
    char name[33], password[65];
} setup_wifi;

bool setup_load(setup_wifi *wifi, const hl_kv *kv);

/* Ask for what is missing, by serial line and by a page on an access point of its own, until the camera is paired.
 * `pair` is working memory. Ends in a restart. `patience_ms`: one that is paired already tries what it was told for so
 * long, without a page, and is what it was again; 0: it is not paired. */
void setup_run(const hl_kv *kv, hl_pair *pair, const hl_pair_config *config, uint32_t patience_ms);

/* While it is a camera: what was typed on its serial line. The text of a pairing, which whoever put it out and wants it
 * back types there; NULL: none. A Wi-Fi is kept and joined. The line alone: whoever has it has the board in their hand,
 * and what waits on its card goes to the house that it is paired with. */
const char *setup_heard(const hl_kv *kv, const hl_pair_config *config);

/* wifi.c */
bool wifi_begin(void);
bool wifi_join(const setup_wifi *wifi); /* from now on, again and again */
bool wifi_joined(void);
bool wifi_open_access_point(const char *name);

/* console.c: bytes on the serial line; `console_read` gives 0 when there are none. */
bool console_begin(void);
size_t console_read(uint8_t *data, size_t n);
void console_write(const uint8_t *data, size_t n);

#endif
