#include "fault.h"

#include <stdlib.h>
#include <string.h>

static const char *const NAMES[FAULT_KINDS] = {"drop",   "midcut", "stall",   "slow",   "eio",     "short", "power",
                                               "kvwipe", "enospc", "acklose", "ackdup", "acklate", "years"};

bool faults_parse(faults *f, const char *text, uint64_t seed) {
    memset(f, 0, sizeof *f);
    f->seed = seed * 2 + 1;
    while (*text) {
        size_t n = strcspn(text, "@");
        int kind = -1;
        for (int i = 0; i < FAULT_KINDS; i++)
            if (strlen(NAMES[i]) == n && !strncmp(text, NAMES[i], n)) kind = i;
        if (kind < 0 || text[n] != '@' || f->count == FAULTS_MAX) return false;
        char *end;
        f->list[f->count].kind = (fault_kind)kind;
        f->list[f->count].at_us = strtoull(text + n + 1, &end, 10) * 1000;
        f->list[f->count].number = *end == ':' ? strtoull(end + 1, &end, 10) : 1;
        f->count++;
        if (*end && *end != ',') return false;
        text = *end ? end + 1 : end;
    }
    return true;
}

bool faults_take(faults *f, fault_kind kind, uint64_t now_us, uint64_t *number) {
    for (unsigned i = 0; i < f->count; i++) {
        if (f->list[i].kind != kind || f->list[i].used || f->list[i].at_us > now_us) continue;
        if (f->list[i].number > 1 && (kind == FAULT_EIO || kind == FAULT_SHORT || kind == FAULT_ENOSPC))
            f->list[i].number--;
        else
            f->list[i].used = true;
        if (number) *number = f->list[i].number;
        return true;
    }
    return false;
}

bool faults_during(const faults *f, fault_kind kind, uint64_t now_us) {
    for (unsigned i = 0; i < f->count; i++)
        if (f->list[i].kind == kind && now_us >= f->list[i].at_us &&
            now_us < f->list[i].at_us + f->list[i].number * 1000)
            return true;
    return false;
}

uint64_t faults_random(faults *f) {
    f->seed ^= f->seed >> 12;
    f->seed ^= f->seed << 25;
    f->seed ^= f->seed >> 27;
    return f->seed * 0x2545f4914f6cdd1dull;
}
