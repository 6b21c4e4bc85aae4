/* A house in memory for the uplink's tests: a device on a memory card, a broker, and behind it a gateway that keeps a
 * ledger, answers hello and the time, and can be told to misbehave. Everything is global: a test begins with fresh(). */
#ifndef HL_FAKE_HOUSE_H
#define HL_FAKE_HOUSE_H

#include "device.h"
#include "fake_broker.h"
#include "memory_card.h"
#include "test.h"

enum { LEDGER = 1024, SEGMENT = 24, WITHHELD = 64 };

typedef struct {
    uint8_t boot[HL_BOOT_BYTES];
    uint64_t sequence;
    uint32_t crc;
    hl_kind kind;
} name;

/* What the gateway has, and whether it was of the device's own boot ('l') or an earlier one ('b'). */
extern name ledger[LEDGER];
extern char lanes[LEDGER];
extern unsigned stored;

/* What the device said that it had on its card. */
extern name committed[LEDGER];
extern unsigned committed_count;

/* Counted by the gateway: messages taken, of which it had some already (`again`) or with other bytes (`conflicts`). */
extern unsigned hellos, received, conflicts, again, unheard, in_flight, most_in_flight;

/* How it behaves. */
extern unsigned credit, lose_every, repeat_every, hold_back;
extern const char *refuse_with, *retry_ms; /* nacks instead, if not NULL */
extern int answers, knows_time, online;
extern name withheld[WITHHELD]; /* acknowledgements held back */
extern unsigned withheld_count;

extern uint64_t now_us, utc_base;
extern fake_broker broker;
extern memory_card card;
extern hl_device device;
extern const hl_kv KV;
extern unsigned bad_frames_to_come, resets, quality_set;

void fresh(uint32_t interval_ms);
bool boot_device(uint32_t interval_ms);
void forget_kv(void);
void on_committed(void *self, const hl_header *header, const uint8_t *body);

/* A second of silence whenever one has gone by; *self: samples taken. */
int take_sound(void *self, const uint8_t **pcm, size_t samples, uint64_t *first);

/* Let time go by, a millisecond a step. */
void go(unsigned ms);
void say_state(bool is_online, bool retained);
void connect_online(void);
void acknowledge(const name *n);
name *in_ledger(const uint8_t *boot, uint64_t sequence);
unsigned stored_of(hl_kind kind);
void all_is_stored_once(void);

#endif
