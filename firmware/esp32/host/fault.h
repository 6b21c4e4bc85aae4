/* What goes wrong, and when: a schedule `what@ms[:number],…` in milliseconds since the start.
 *   drop@MS        the link is closed
 *   midcut@MS      the link is closed in the middle of the next piece of a record
 *   stall@MS:FOR   nothing moves on the link for FOR ms, and it is not closed (half open)
 *   slow@MS:FOR    at most 1 KiB a call moves for FOR ms
 *   eio@MS:N       the next N writes on the card fail
 *   short@MS:N     the next N writes on the card end after their first block, and fail
 *   power@MS       the power is cut before the next write: what was not synced is lost or torn; exit status 42
 *   enospc@MS:N    the next N writes on the card find no room
 *   kvwipe@0       the key-value store is empty at the start
 *   acklose@MS:FOR, ackdup@MS:FOR, acklate@MS:FOR
 *                  for FOR ms every other acknowledgement is lost, each comes twice, or all come at the end, backwards
 *   years@MS:N     from now on the gateway's clock seems N years (± 100) off */
#ifndef HOST_FAULT_H
#define HOST_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#define FAULTS_MAX 64

typedef enum {
    FAULT_DROP,
    FAULT_MIDCUT,
    FAULT_STALL,
    FAULT_SLOW,
    FAULT_EIO,
    FAULT_SHORT,
    FAULT_POWER,
    FAULT_KVWIPE,
    FAULT_ENOSPC,
    FAULT_ACKLOSE,
    FAULT_ACKDUP,
    FAULT_ACKLATE,
    FAULT_YEARS,
    FAULT_KINDS
} fault_kind;

typedef struct {
    struct {
        fault_kind kind;
        uint64_t at_us, number;
        bool used;
    } list[FAULTS_MAX];
    unsigned count;
    uint64_t seed;
} faults;

/* False: the schedule cannot be read. */
bool faults_parse(faults *f, const char *text, uint64_t seed);

/* One that is due now, once. */
bool faults_take(faults *f, fault_kind kind, uint64_t now_us, uint64_t *number);

/* Whether one that lasts is on. */
bool faults_during(const faults *f, fault_kind kind, uint64_t now_us);

uint64_t faults_random(faults *f);

#endif
