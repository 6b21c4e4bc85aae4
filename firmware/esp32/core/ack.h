/* The gateway's words on `dn/`: acknowledgements, its status, the time. Bounded JSON, checked whole before any of it
 * counts: what is not right as a whole changes nothing. */
#ifndef HL_ACK_H
#define HL_ACK_H

#include "notes.h"
#include "record.h"

#define HL_ACK_RANGES 64
#define HL_CODE_BYTES 41
#define HL_FOR_EVER (-1)

typedef struct {
    uint8_t boot_id[HL_BOOT_BYTES];
    unsigned credit;
} hl_ack;

/* Called for each part of a good acknowledgement. `retry_ms` HL_FOR_EVER: never again. */
typedef struct {
    void *self;
    void (*range)(void *self, const hl_ack *ack, hl_range range);
    void (*nack)(void *self, const hl_ack *ack, uint64_t sequence, const char *code, int64_t retry_ms);
} hl_ack_visitor;

/* Read `dn/ack`; false if it is not one, and then nothing has been called. */
bool hl_ack_read(const char *text, size_t n, hl_ack *ack, const hl_ack_visitor *visitor);

/* `gateway/status`: whether it is online. */
bool hl_status_read(const char *text, size_t n, bool *online);

/* `dn/time`. `known` false: the gateway does not know the time itself. */
typedef struct {
    uint64_t t0_us, utc_us;
    bool known;
} hl_time_answer;

bool hl_time_read(const char *text, size_t n, hl_time_answer *answer);

#endif
