/* The gateway's orders (`dn/cmd`): read and checked as a whole, and remembered so that each is done once, whatever is
 * repeated and whenever the power goes. What was begun and never finished is answered `interrupted`. */
#ifndef HL_COMMAND_H
#define HL_COMMAND_H

#include "hal.h"

#define HL_COMMAND_BYTES 1024
#define HL_COMMAND_ID 16
#define HL_COMMANDS 8
#define HL_VERDICT_BYTES 24

typedef struct {
    char id[HL_COMMAND_ID + 1]; /* hexadecimal */
    char name[HL_VERDICT_BYTES];
    const char *args; /* an object, within the text that was read; NULL: none */
    size_t args_bytes;
    uint64_t expires_us, ttl_ms;
} hl_command;

/* False: it is no command, and nothing is to be done or said. */
bool hl_command_read(const char *text, size_t n, hl_command *command);

typedef struct {
    char id[HL_COMMAND_ID + 1];
    char code[HL_VERDICT_BYTES]; /* "": done */
    bool settled, unsaid;        /* its end is known; it is still to be told */
} hl_done;

/* The last ones, the newest at `next - 1`. */
typedef struct {
    hl_done done[HL_COMMANDS];
    uint8_t next;
} hl_commands;

/* What the key-value store knows; what was not settled has been interrupted. */
void hl_commands_load(hl_commands *c, const hl_kv *kv);

/* NULL: not among the last ones. */
hl_done *hl_commands_find(hl_commands *c, const char *id);

/* Write down that it begins. NULL: the store did not take it, and then it must not be done. */
hl_done *hl_commands_begin(hl_commands *c, const hl_kv *kv, const char *id);

/* How it ended. */
void hl_commands_settle(hl_commands *c, const hl_kv *kv, hl_done *done, const char *code);

#endif
