/* The records that were sent or told to wait, and which one goes next: the window, the pauses, live before backlog 3
 * to 1, and what the gateway says it has. No stream and no JSON here; time is given. */
#ifndef HL_FLIGHTS_H
#define HL_FLIGHTS_H

#include "spool.h"

#define HL_FLIGHTS 64
#define HL_HAVE 32
#define HL_HELD 16
#define HL_LIVE_PER_BACKLOG 3

typedef enum { HL_BACKLOG, HL_LIVE } hl_lane;

typedef struct {
    uint64_t address, sequence, due_us; /* due: when it is sent again, flying or waiting */
    uint8_t boot_id[HL_BOOT_BYTES];
    uint8_t lane;
    bool flying, held;
    unsigned tries;
} hl_flight;

typedef struct {
    uint8_t boot_id[HL_BOOT_BYTES];
    hl_range range;
} hl_have;

typedef struct {
    hl_spool *spool;
    const hl_random *random;
    hl_flight flights[HL_FLIGHTS];
    unsigned count, credit;
    hl_have have[HL_HAVE]; /* told in answer to a hello, of records not sent since */
    unsigned have_count;
    uint64_t next[2]; /* by lane: the address from which it goes on */
    uint64_t live_from;
    uint64_t run_end[2]; /* by lane: the end of the blocks last passed over because they do not read */
    unsigned since_backlog;
    uint32_t sent, again, freed, skipped; /* records */
} hl_flights;

void hl_flights_begin(hl_flights *f, hl_spool *spool, const hl_random *random);

/* The way is open (`split`: what waits now is backlog) or was lost: nothing is in flight, the window is 1. */
void hl_flights_restart(hl_flights *f, bool split);

/* A hello is about to be said: what was told before it counts no more. */
void hl_flights_forget(hl_flights *f);

/* The record to send now, and it counts as sent; false if the window is full or nothing waits. */
bool hl_flights_pick(hl_flights *f, uint64_t now_us, hl_found *found);

/* The card does not read this record, which was about to be sent: it waits, also over a restart, and the others go on. */
void hl_flights_hold(hl_flights *f, const hl_found *found, uint64_t now_us);

/* The gateway holds these. */
void hl_flights_stored(hl_flights *f, const uint8_t boot_id[HL_BOOT_BYTES], hl_range range);

/* A flight by name; NULL if it is none. */
hl_flight *hl_flights_find(hl_flights *f, const uint8_t boot_id[HL_BOOT_BYTES], uint64_t sequence);

/* It waits no longer (it went into quarantine). */
void hl_flights_done(hl_flights *f, hl_flight *flight);

/* Not before `retry_ms`, and not before its own pause. */
void hl_flights_later(hl_flights *f, hl_flight *flight, uint64_t retry_ms, uint64_t now_us);

/* 5 s, doubled with each try up to 300 s, ± 20 %. */
uint64_t hl_pause_us(const hl_random *random, unsigned tries);

/* Tell the spool what is free. */
void hl_flights_settle(hl_flights *f);

#endif
