/* A camera as a whole: takes pictures and sound, writes them on the card, tells how it fares, does what it is told and
 * lets the uplink work. The same for every board; a board brings the hal. */
#ifndef HL_DEVICE_H
#define HL_DEVICE_H

#include "command.h"
#include "motion.h"
#include "ota.h"
#include "settings.h"
#include "uplink.h"

#define HL_SEGMENT_BLOCKS 4096 /* 2 MiB */
#define HL_MIN_SEGMENTS 4

typedef struct {
    hl_uplink_config uplink; /* spool and quarantine are filled in */
    const hl_card *card;
    const hl_kv *kv;
    const hl_camera *camera;         /* NULL: none */
    const hl_microphone *microphone; /* NULL: none */
    const hl_system *system;         /* NULL: it cannot restart, sleep or show itself */
    const hl_web *web;               /* NULL, or no firmware: no updates */
    const hl_firmware *firmware;
    uint32_t segment_blocks; /* 0: HL_SEGMENT_BLOCKS */
    uint32_t interval_ms;    /* between pictures, whatever the settings say; 0: as the settings say */
    uint32_t telemetry_ms;   /* between telemetry records, 0: none */
    uint32_t awake_ms;       /* at most, then deep sleep until the next picture; 0: it stays awake */
    bool plain;              /* fetch by plain HTTP, for trying out on one machine */
} hl_device_config;

/* Told after each record of the camera (not anchors, not gaps) is committed, with its sequence; may be NULL. */
typedef void (*hl_committed)(void *self, const hl_header *header, const uint8_t *body);

typedef enum { HL_STAY, HL_RESTART, HL_SLEEP, HL_FORGET } hl_departure;

typedef struct {
    hl_device_config config;
    hl_commands commands;
    hl_ota ota;
    hl_done *updating;      /* the command that the update is for */
    hl_departure departure; /* to do once what waits has been said */
    uint64_t depart_us;     /* or by then */
    bool urgent;            /* a telemetry record is wanted now */
    hl_spool spool, quarantine;
    hl_gap failed; /* the main log's */
    hl_uplink uplink;
    hl_settings settings;
    hl_motion motion;
    uint64_t kept_us; /* when a picture was last kept */
    uint8_t io[HL_IO_BYTES];
    uint64_t picture_us, telemetry_us; /* when the next one is due */
    uint32_t pictures, still, sounds, bad_frames, bad_in_a_row, lost;
    hl_committed committed;
    void *committed_self;
} hl_device;

/* Open the card and get ready. HL_CARD_ERROR, HL_BAD_LENGTH (card too small, or bad id). */
hl_code hl_device_begin(hl_device *d, const hl_device_config *config);

/* Do what is due. */
void hl_device_step(hl_device *d);

/* Take no more pictures or sound; what is on the card is still sent. */
void hl_device_stop_taking(hl_device *d);

void hl_device_end(hl_device *d);

/* One picture now, whatever motion and interval say; "" or why not (orders.c). */
const char *hl_device_snapshot(hl_device *d);

/* Orders: what is read on `dn/cmd`, and what follows from it in each step. */
bool hl_device_command(void *self, const char *text, size_t n);
void hl_device_orders(hl_device *d, uint64_t now_us);

#endif
