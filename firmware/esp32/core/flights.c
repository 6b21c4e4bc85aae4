#include "flights.h"

#include <string.h>

#include "le.h"

#define FIRST_PAUSE_US 5000000ull
#define LAST_PAUSE_US 300000000ull

void hl_flights_begin(hl_flights *f, hl_spool *spool, const hl_random *random) {
    memset(f, 0, sizeof *f);
    f->spool = spool;
    f->random = random;
    hl_flights_restart(f, true);
}

void hl_flights_forget(hl_flights *f) { f->have_count = 0; }

void hl_flights_restart(hl_flights *f, bool split) {
    unsigned kept = 0;
    hl_flights_settle(f);
    for (unsigned i = 0; i < f->count; i++)
        if (f->flights[i].held) f->flights[kept++] = f->flights[i];
    f->count = kept;
    f->credit = 1;
    f->since_backlog = 0;
    if (split) f->live_from = hl_spool_split(f->spool);
    for (unsigned i = 0; i < f->count; i++) /* what was live when it was held may be backlog by now */
        f->flights[i].lane = f->flights[i].address < f->live_from ? HL_BACKLOG : HL_LIVE;
    f->next[HL_BACKLOG] = f->spool->spans[0].from;
    f->next[HL_LIVE] = f->spool->spans[f->spool->span_count - 1].from;
}

uint64_t hl_pause_us(const hl_random *random, unsigned tries) {
    uint8_t dice[2];
    uint64_t pause = FIRST_PAUSE_US << (tries < 7 ? (tries ? tries - 1 : 0) : 6);
    if (pause > LAST_PAUSE_US) pause = LAST_PAUSE_US;
    random->fill(random->self, dice, sizeof dice);
    pause = pause / 10 * 8 + pause / 10 * 4 * hl_get16(dice) / 65535;
    return pause > LAST_PAUSE_US ? LAST_PAUSE_US : pause < FIRST_PAUSE_US ? FIRST_PAUSE_US : pause;
}

static bool is_stored(const hl_flights *f, const hl_header *header) {
    for (unsigned i = 0; i < f->have_count; i++) {
        const hl_have *have = &f->have[i];
        if (header->sequence >= have->range.first && header->sequence <= have->range.last &&
            !memcmp(have->boot_id, header->boot_id, HL_BOOT_BYTES))
            return true;
    }
    return false;
}

/* The card does not read at `at`: go on behind it, and hold what may be there, so that it is not freed. */
static void pass_over(hl_flights *f, hl_lane lane, uint64_t at, uint64_t now_us) {
    unsigned held = 0;
    bool known = at == f->run_end[lane];
    for (unsigned i = 0; i < f->count; i++) {
        held += f->flights[i].held;
        known = known || (f->flights[i].held && f->flights[i].address == at);
    }
    if (!known) {
        if (held == HL_HELD || f->count == HL_FLIGHTS) return; /* the card as a whole does not read: wait */
        f->flights[f->count++] = (hl_flight){.address = at,
                                             .sequence = UINT64_MAX,
                                             .lane = (uint8_t)lane,
                                             .held = true,
                                             .due_us = now_us + LAST_PAUSE_US};
    }
    f->next[lane] = f->run_end[lane] = at + 1;
}

/* The next record of a lane from where it stands; the backlog jumps over what is acknowledged. */
static bool look(hl_flights *f, hl_lane lane, hl_found *found, uint64_t now_us) {
    const hl_spool *s = f->spool;
    uint64_t at = f->next[lane];
    if (lane == HL_LIVE) {
        hl_code code = hl_spool_next(f->spool, at, found);
        if (code == HL_CARD_ERROR) pass_over(f, lane, at, now_us);
        return code == HL_OK;
    }
    for (unsigned i = 0; i + 1 < s->span_count; i++) {
        if (s->spans[i].to <= at) continue;
        if (at < s->spans[i].from) at = s->spans[i].from;
        hl_code code = hl_spool_next(f->spool, at, found);
        if (code == HL_CARD_ERROR) {
            pass_over(f, lane, at, now_us);
            return false;
        }
        if (code == HL_OK && found->address < s->spans[i].to) return true;
        at = f->next[lane] = s->spans[i].to;
    }
    return false;
}

/* The same, past all that the gateway has said it holds, and all that is held here. */
static bool look_past_stored(hl_flights *f, hl_lane lane, hl_found *found, uint64_t now_us) {
    while (look(f, lane, found, now_us)) {
        bool stored = is_stored(f, &found->header);
        if (!stored && !hl_flights_find(f, found->header.boot_id, found->header.sequence)) return true;
        f->next[lane] = found->next;
        f->skipped += stored;
    }
    return false;
}

static hl_flight *due(hl_flights *f, uint64_t now_us) {
    hl_flight *best = NULL;
    for (unsigned i = 0; i < f->count; i++) {
        hl_flight *one = &f->flights[i];
        if (one->flying && one->due_us <= now_us) one->flying = false; /* no answer: it was lost */
        if (!one->flying && one->due_us <= now_us && (!best || one->due_us < best->due_us)) best = one;
    }
    return best;
}

static unsigned flying(const hl_flights *f) {
    unsigned n = 0;
    for (unsigned i = 0; i < f->count; i++) n += f->flights[i].flying;
    return n;
}

static void launch(hl_flights *f, hl_flight *flight, uint64_t now_us) {
    flight->flying = true;
    flight->held = false;
    flight->tries++;
    flight->due_us = now_us + hl_pause_us(f->random, flight->tries);
    f->sent++;
    if (flight->tries > 1) f->again++;
}

bool hl_flights_pick(hl_flights *f, uint64_t now_us, hl_found *found) {
    hl_flight *again;
    while ((again = due(f, now_us)) != NULL) {
        if (flying(f) >= f->credit) return false;
        hl_code code = hl_spool_next(f->spool, again->address, found);
        if (code == HL_CARD_ERROR) {
            again->due_us = now_us + LAST_PAUSE_US;
            continue;
        }
        if (code == HL_OK && found->address == again->address) {
            again->sequence = found->header.sequence;
            memcpy(again->boot_id, found->header.boot_id, HL_BOOT_BYTES);
            launch(f, again, now_us);
            return true;
        }
        hl_flights_done(f, again); /* dropped with its segment: a gap names it */
    }
    if (flying(f) >= f->credit || f->count == HL_FLIGHTS) return false;
    hl_lane lane = HL_LIVE;
    if (f->since_backlog >= HL_LIVE_PER_BACKLOG && look_past_stored(f, HL_BACKLOG, found, now_us))
        lane = HL_BACKLOG;
    else if (!look_past_stored(f, HL_LIVE, found, now_us)) {
        if (!look_past_stored(f, HL_BACKLOG, found, now_us)) return false;
        lane = HL_BACKLOG;
    }
    f->since_backlog = lane == HL_BACKLOG ? 0 : f->since_backlog + 1;
    f->next[lane] = found->next;
    hl_flight *flight = &f->flights[f->count++];
    *flight = (hl_flight){.address = found->address, .sequence = found->header.sequence, .lane = (uint8_t)lane};
    memcpy(flight->boot_id, found->header.boot_id, HL_BOOT_BYTES);
    launch(f, flight, now_us);
    return true;
}

void hl_flights_done(hl_flights *f, hl_flight *flight) { *flight = f->flights[--f->count]; }

void hl_flights_stored(hl_flights *f, const uint8_t boot_id[HL_BOOT_BYTES], hl_range range) {
    uint64_t freed = 0;
    for (unsigned i = f->count; i-- > 0;) {
        hl_flight *one = &f->flights[i];
        if (one->sequence < range.first || one->sequence > range.last || memcmp(one->boot_id, boot_id, HL_BOOT_BYTES))
            continue;
        hl_flights_done(f, one);
        f->freed++;
        freed++;
    }
    if (freed == range.last - range.first + 1 || f->have_count == HL_HAVE) return;
    hl_have *have = &f->have[f->have_count++];
    memcpy(have->boot_id, boot_id, HL_BOOT_BYTES);
    have->range = range;
}

hl_flight *hl_flights_find(hl_flights *f, const uint8_t boot_id[HL_BOOT_BYTES], uint64_t sequence) {
    for (unsigned i = 0; i < f->count; i++)
        if (f->flights[i].sequence == sequence && !memcmp(f->flights[i].boot_id, boot_id, HL_BOOT_BYTES))
            return &f->flights[i];
    return NULL;
}

void hl_flights_hold(hl_flights *f, const hl_found *found, uint64_t now_us) {
    hl_flight *flight = hl_flights_find(f, found->header.boot_id, found->header.sequence);
    unsigned held = 0;
    for (unsigned i = 0; i < f->count; i++) held += f->flights[i].held;
    if (!flight || held == HL_HELD) return;
    flight->flying = false;
    flight->held = true;
    flight->due_us = now_us + LAST_PAUSE_US;
}

void hl_flights_later(hl_flights *f, hl_flight *flight, uint64_t retry_ms, uint64_t now_us) {
    uint64_t pause = hl_pause_us(f->random, flight->tries);
    flight->flying = false;
    flight->due_us = now_us + (retry_ms * 1000 > pause ? retry_ms * 1000 : pause);
}

void hl_flights_settle(hl_flights *f) {
    uint64_t low[2] = {f->next[HL_BACKLOG], f->next[HL_LIVE]};
    for (unsigned i = 0; i < f->count; i++) {
        const hl_flight *one = &f->flights[i];
        if (one->address < low[one->lane]) low[one->lane] = one->address;
    }
    hl_spool_free(f->spool, 0, low[HL_BACKLOG]);
    hl_spool_free(f->spool, f->live_from, low[HL_LIVE]);
}
