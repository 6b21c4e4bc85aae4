/* What the core needs of a board. Nothing in core/ calls anything else: no heap, no threads, no clock of its own.
 * Each is a table of functions with a `self` that is passed back. A board, the simulator and the tests each bring
 * their own; all calls come from one thread. */
#ifndef HL_HAL_H
#define HL_HAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HL_BLOCK 512

/* The card as blocks of 512 bytes; no file system lies between. Reading, writing and sync return 0, or less than 0
 * for an error. What was written may be lost, torn or reordered by a power cut until `sync` has returned 0. */
typedef struct {
    void *self;
    uint32_t blocks;
    int (*read)(void *self, uint32_t block, uint32_t count, void *data);
    int (*write)(void *self, uint32_t block, uint32_t count, const void *data);
    int (*sync)(void *self);
} hl_card;

/* Small values that outlive a reboot (NVS). `get` returns the length, less than 0 if there is none or it is longer
 * than `size`. `put` returns 0 once the value is durable: old or new after a power cut, never a mixture; a value of no
 * bytes is as good as none. */
typedef struct {
    void *self;
    int (*get)(void *self, const char *key, void *data, size_t size);
    int (*put)(void *self, const char *key, const void *data, size_t n);
} hl_kv;

/* Microseconds since boot; never goes back. */
typedef struct {
    void *self;
    uint64_t (*mono_us)(void *self);
} hl_clock;

/* Bytes that nobody can guess. */
typedef struct {
    void *self;
    void (*fill)(void *self, void *data, size_t n);
} hl_random;

/* One stream to the broker (TCP or TLS), never blocking. `open` begins; `ready` is 1 once it stands, 0 while it does
 * not yet, less than 0 when it failed. `send` and `receive` return bytes moved, 0 for "not now", less than 0 when the
 * stream is gone. */
typedef struct {
    void *self;
    int (*open)(void *self);
    int (*ready)(void *self);
    int (*send)(void *self, const void *data, size_t n);
    int (*receive)(void *self, void *data, size_t n);
    void (*close)(void *self);
} hl_net;

/* Whom a stream of the web believes: whoever answers (to fetch the CA that a fingerprint then decides about), a CA given
 * with the call, the CA that was stored at pairing, or nobody because it is plain HTTP on this very machine. */
typedef enum { HL_TRUST_ANYONE, HL_TRUST_GIVEN, HL_TRUST_STORED, HL_TRUST_PLAIN } hl_trust;

/* A stream to a host that is told, for HTTPS. `aim` says where `net.open` goes: `host` is a name or an address with its
 * port, an IPv6 address in brackets; `ca` is DER and stays valid until the stream is closed. A certificate's dates and
 * names are not checked: the CA vouches for one box. Less than 0: it cannot be aimed there. */
typedef struct {
    hl_net net;
    int (*aim)(void *self, const char *host, hl_trust trust, const uint8_t *ca, size_t ca_bytes);
} hl_web;

/* The firmware's two slots. `begin` makes room for an image of `size` bytes in the slot that does not run, `write` puts
 * its next bytes, `activate` has it started at the next restart. An image that was started so is on trial until
 * `confirm`; `roll_back` starts the one before and does not return on a board. `verify`: whether a DER signature by the
 * release key (ECDSA P-256) is of this SHA-256. 0 is done, less than 0 an error. */
typedef struct {
    void *self;
    uint32_t room;
    int (*begin)(void *self, uint32_t size);
    int (*write)(void *self, uint32_t offset, const void *data, size_t n);
    int (*activate)(void *self);
    bool (*on_trial)(void *self);
    int (*confirm)(void *self);
    void (*roll_back)(void *self);
    bool (*verify)(void *self, const uint8_t digest[32], const uint8_t *signature, size_t n);
} hl_firmware;

/* What a board knows of itself; 0 is "not known" for both. */
typedef struct {
    uint32_t battery_mv;
    int32_t rssi_dbm;
} hl_health;

/* The board: `restart` and `sleep` (deep, and then a new start) do not return on a board; `identify` shows where it is
 * for 5 s, less than 0 if it has nothing to show it with. Any may be NULL. */
typedef struct {
    void *self;
    void (*restart)(void *self);
    void (*sleep)(void *self, uint64_t us);
    int (*identify)(void *self);
    void (*health)(void *self, hl_health *health);
} hl_system;

/* A picture as the sensor gave it: `take` returns 0 with a JPEG that stays valid until the next call, less than 0 when
 * there is none; `reset` starts the sensor anew. `luma`, NULL if the board has none, gives the same picture as 16 × 12
 * cells and returns 0; `quality` (4 to 63, less is better), NULL if it cannot be set, is told when it changes. */
typedef struct {
    void *self;
    int (*take)(void *self, const uint8_t **jpeg, size_t *n);
    void (*reset)(void *self);
    int (*luma)(void *self, uint8_t *cells);
    void (*quality)(void *self, unsigned quality);
} hl_camera;

/* Sound, PCM16 mono. `take` returns 0 with `samples` of it once that many have come in, 1 for "not yet", less than 0
 * for an error. `first` is the index of the first of them since boot. */
typedef struct {
    void *self;
    int (*take)(void *self, const uint8_t **pcm, size_t samples, uint64_t *first);
} hl_microphone;

#endif
