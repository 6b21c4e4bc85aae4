#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host.h"

static uint64_t now_of(const host_card *c) { return c->clock->mono_us(c->clock->self); }

static bool write_block(host_card *c, uint32_t block, const uint8_t *data) {
    return pwrite(c->fd, data, HL_BLOCK, (off_t)block * HL_BLOCK) == HL_BLOCK;
}

/* Each block that was not synced is lost, kept or torn, by chance; then everything ends. */
static void cut_power(host_card *c) {
    for (unsigned i = 0; i < c->pending_count; i++) {
        uint64_t dice = faults_random(c->faults);
        size_t torn = (dice >> 8) % HL_BLOCK;
        if (dice % 3 == 0) continue;
        if (dice % 3 == 1) torn = HL_BLOCK;
        if (pwrite(c->fd, c->pending[i], torn, (off_t)c->pending_block[i] * HL_BLOCK) < 0) break;
    }
    (void)fdatasync(c->fd);
    _exit(EXIT_POWER_CUT);
}

static int card_read(void *self, uint32_t block, uint32_t count, void *data) {
    host_card *c = self;
    size_t n = (size_t)count * HL_BLOCK;
    if (block + count > c->card.blocks || pread(c->fd, data, n, (off_t)block * HL_BLOCK) != (ssize_t)n) return -1;
    for (unsigned i = 0; i < c->pending_count; i++)
        if (c->pending_block[i] >= block && c->pending_block[i] < block + count)
            memcpy((uint8_t *)data + (size_t)(c->pending_block[i] - block) * HL_BLOCK, c->pending[i], HL_BLOCK);
    return 0;
}

static int card_write(void *self, uint32_t block, uint32_t count, const void *data) {
    host_card *c = self;
    if (block + count > c->card.blocks) return -1;
    if (faults_take(c->faults, FAULT_POWER, now_of(c), NULL)) cut_power(c);
    if (faults_take(c->faults, FAULT_ENOSPC, now_of(c), NULL)) return -1;
    if (faults_take(c->faults, FAULT_EIO, now_of(c), NULL)) return -1;
    bool cut_short = faults_take(c->faults, FAULT_SHORT, now_of(c), NULL);
    for (uint32_t i = 0; i < count; i++) {
        if (cut_short && i == 1) return -1;
        if (c->pending_count == HOST_PENDING) { /* a card's own buffer has an end */
            if (!write_block(c, c->pending_block[0], c->pending[0])) return -1;
            c->pending_count--;
            memmove(c->pending_block, c->pending_block + 1, c->pending_count * sizeof c->pending_block[0]);
            memmove(c->pending[0], c->pending[1], (size_t)c->pending_count * HL_BLOCK);
        }
        c->pending_block[c->pending_count] = block + i;
        memcpy(c->pending[c->pending_count++], (const uint8_t *)data + (size_t)i * HL_BLOCK, HL_BLOCK);
    }
    return 0;
}

static int card_sync(void *self) {
    host_card *c = self;
    for (unsigned i = 0; i < c->pending_count; i++)
        if (!write_block(c, c->pending_block[i], c->pending[i])) return -1;
    c->pending_count = 0;
    return fdatasync(c->fd);
}

bool host_card_open(host_card *c, const char *folder, uint32_t mib, faults *f, const hl_clock *clock) {
    char path[600];
    struct stat found;
    memset(c, 0, sizeof *c);
    (void)snprintf(path, sizeof path, "%s/card.img", folder);
    if ((mkdir(folder, 0700) && errno != EEXIST) || (c->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) < 0 ||
        fstat(c->fd, &found)) {
        perror(path);
        return false;
    }
    if (!found.st_size && ftruncate(c->fd, (off_t)mib << 20)) {
        perror(path);
        return false;
    }
    off_t size = found.st_size ? found.st_size : (off_t)mib << 20;
    c->pending = malloc((size_t)HOST_PENDING * HL_BLOCK);
    c->faults = f;
    c->clock = clock;
    c->card = (hl_card){c, (uint32_t)(size / HL_BLOCK), card_read, card_write, card_sync};
    return c->pending != NULL;
}

static int kv_get(void *self, const char *key, void *data, size_t size) {
    host_kv *k = self;
    char path[600];
    (void)snprintf(path, sizeof path, "%s/%s", k->folder, key);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t n = read(fd, data, size);
    close(fd);
    return (int)n;
}

static int kv_put(void *self, const char *key, const void *data, size_t n) {
    host_kv *k = self;
    char path[600], part[620];
    (void)snprintf(path, sizeof path, "%s/%s", k->folder, key);
    (void)snprintf(part, sizeof part, "%s.part", path);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return -1;
    bool good = write(fd, data, n) == (ssize_t)n && fsync(fd) == 0;
    close(fd);
    return good && rename(part, path) == 0 ? 0 : -1;
}

bool host_kv_open(host_kv *k, const char *folder, bool wiped) {
    static const char *const KEYS[] = {"boot",   "seq",   "cfg0",  "cfg1", "cmds", "trial",
                                       "invite", "cred0", "cred1", "ca0",  "ca1"};
    char path[600];
    (void)snprintf(k->folder, sizeof k->folder, "%s/kv", folder);
    k->kv = (hl_kv){k, kv_get, kv_put};
    for (size_t i = 0; wiped && i < sizeof KEYS / sizeof KEYS[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", k->folder, KEYS[i]);
        (void)unlink(path);
    }
    if (!mkdir(k->folder, 0700) || errno == EEXIST) return true;
    perror(k->folder);
    return false;
}
