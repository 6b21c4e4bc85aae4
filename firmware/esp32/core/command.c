#include "command.h"

#include <string.h>

#include "crc32.h"
#include "json.h"
#include "le.h"

enum { ID = 1, CMD = 2, EXPIRES = 4, TTL = 8, ARGS = 16, ENTRY = HL_COMMAND_ID + HL_VERDICT_BYTES + 1 };
enum { STORED = 2 + HL_COMMANDS * ENTRY + 4, VERSION = 1 };

#define KEY "cmds"

static bool is_id(const char *text) {
    size_t n = 0;
    for (; text[n]; n++)
        if (!((text[n] >= '0' && text[n] <= '9') || (text[n] >= 'a' && text[n] <= 'f'))) return false;
    return n == HL_COMMAND_ID;
}

static bool read_count(hl_json *j, uint64_t *value) {
    int64_t number = 0;
    if (!hl_json_int(j, &number) || number < 0) return false;
    *value = (uint64_t)number;
    return true;
}

static bool read_args(hl_json *j, hl_command *command) {
    hl_json look = *j;
    if (!hl_json_open(&look, '{')) return false;
    command->args = look.at - 1;
    if (!hl_json_skip(j)) return false;
    command->args_bytes = (size_t)(j->at - command->args);
    return true;
}

bool hl_command_read(const char *text, size_t length, hl_command *command) {
    hl_json j = {text, text + length, false};
    hl_json_fields f = {0, 0};
    char id[HL_COMMAND_ID + 2] = "";
    unsigned which;
    *command = (hl_command){.args = NULL};
    if (length > HL_COMMAND_BYTES || !hl_json_open(&j, '{')) return false;
    while ((which = hl_json_field(&j, &f, "id\0cmd\0expires_us\0ttl_ms\0args\0"))) {
        bool good = which == ID        ? hl_json_text(&j, id, sizeof id) && is_id(id)
                    : which == CMD     ? hl_json_text(&j, command->name, sizeof command->name) && command->name[0]
                    : which == EXPIRES ? read_count(&j, &command->expires_us)
                    : which == TTL     ? read_count(&j, &command->ttl_ms)
                                       : read_args(&j, command);
        if (!good) return false;
    }
    memcpy(command->id, id, sizeof command->id);
    return hl_json_end(&j) && (f.seen | ARGS) == 2 * ARGS - 1;
}

static bool save(const hl_commands *c, const hl_kv *kv) {
    uint8_t b[STORED] = {VERSION, c->next};
    for (size_t i = 0; i < HL_COMMANDS; i++) {
        uint8_t *p = b + 2 + i * ENTRY;
        memcpy(p, c->done[i].id, HL_COMMAND_ID);
        memcpy(p + HL_COMMAND_ID, c->done[i].code, HL_VERDICT_BYTES);
        p[ENTRY - 1] = c->done[i].settled;
    }
    hl_put32(b + STORED - 4, hl_crc32(0, b, STORED - 4));
    return kv && kv->put(kv->self, KEY, b, sizeof b) >= 0;
}

static void set_code(hl_done *done, const char *code) {
    memset(done->code, 0, sizeof done->code);
    strncpy(done->code, code, sizeof done->code - 1);
}

void hl_commands_load(hl_commands *c, const hl_kv *kv) {
    uint8_t b[STORED];
    memset(c, 0, sizeof *c);
    if (!kv || kv->get(kv->self, KEY, b, sizeof b) != (int)sizeof b) return;
    if (b[0] != VERSION || b[1] >= HL_COMMANDS || hl_get32(b + STORED - 4) != hl_crc32(0, b, STORED - 4)) return;
    c->next = b[1];
    for (size_t i = 0; i < HL_COMMANDS; i++) {
        const uint8_t *p = b + 2 + i * ENTRY;
        hl_done *done = &c->done[i];
        memcpy(done->id, p, HL_COMMAND_ID);
        memcpy(done->code, p + HL_COMMAND_ID, HL_VERDICT_BYTES - 1);
        done->settled = p[ENTRY - 1];
        if (done->id[0] && !done->settled) { /* whoever asks again is told */
            set_code(done, "interrupted");
            done->settled = true;
        }
    }
}

hl_done *hl_commands_find(hl_commands *c, const char *id) {
    for (size_t i = 0; i < HL_COMMANDS; i++)
        if (!strcmp(c->done[i].id, id)) return &c->done[i];
    return NULL;
}

hl_done *hl_commands_begin(hl_commands *c, const hl_kv *kv, const char *id) {
    hl_commands before = *c;
    hl_done *done = &c->done[c->next];
    memset(done, 0, sizeof *done);
    strcpy(done->id, id);
    c->next = (uint8_t)((c->next + 1) % HL_COMMANDS);
    if (save(c, kv)) return done;
    *c = before;
    return NULL;
}

void hl_commands_settle(hl_commands *c, const hl_kv *kv, hl_done *done, const char *code) {
    set_code(done, code);
    done->settled = done->unsaid = true;
    (void)save(c, kv); /* else it is `interrupted` after a restart: not done a second time either way */
}
