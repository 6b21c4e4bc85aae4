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
 * than `size`. `put` returns 0 once the value is durable: old or new after a power cut, never a mixture. */
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
