/* Two slots for firmware in a folder, and what a boot loader does with them. An image for the simulator begins with a
 * line `hearthcam-sim VERSION`; started, it calls itself that. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host.h"

enum { ROOM = 4 << 20 };

static void slot_path(const host_flash *f, unsigned slot, char path[640]) {
    (void)snprintf(path, 640, "%s/slot%u", f->folder, slot);
}

static int save_state(const host_flash *f) {
    char path[640], part[660];
    (void)snprintf(path, sizeof path, "%s/boot", f->folder);
    (void)snprintf(part, sizeof part, "%s.part", path);
    FILE *file = fopen(part, "wb");
    if (!file) return -1;
    bool good = fprintf(file, "%u %u %u\n", f->runs, f->next, (unsigned)f->trial) > 0;
    good = fflush(file) == 0 && fsync(fileno(file)) == 0 && good;
    fclose(file);
    return good && rename(part, path) == 0 ? 0 : -1;
}

static int flash_begin(void *self, uint32_t size) {
    host_flash *f = self;
    char path[640];
    slot_path(f, 1 - f->runs, path);
    if (f->fd >= 0) close(f->fd);
    f->next = f->runs;
    f->fd = size <= ROOM && save_state(f) == 0 ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    return f->fd < 0 ? -1 : 0;
}

static int flash_write(void *self, uint32_t offset, const void *data, size_t n) {
    return pwrite(((host_flash *)self)->fd, data, n, (off_t)offset) == (ssize_t)n ? 0 : -1;
}

static int flash_activate(void *self) {
    host_flash *f = self;
    if (fsync(f->fd)) return -1;
    f->next = 1 - f->runs;
    return save_state(f);
}

static bool flash_on_trial(void *self) { return ((host_flash *)self)->trial; }

static int flash_confirm(void *self) {
    host_flash *f = self;
    f->trial = false;
    printf("confirmed %s\n", f->version);
    return save_state(f);
}

static void flash_roll_back(void *self) {
    host_flash *f = self;
    printf("rolled back from %s\n", f->version);
    f->trial = false;
    f->runs = f->next = 1 - f->runs;
    (void)save_state(f);
    f->restart = true;
}

static bool flash_verify(void *self, const uint8_t digest[32], const uint8_t *signature, size_t n) {
    EVP_PKEY *key = ((host_flash *)self)->key;
    EVP_PKEY_CTX *context = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;
    bool good =
        context && EVP_PKEY_verify_init(context) == 1 && EVP_PKEY_verify(context, signature, n, digest, 32) == 1;
    EVP_PKEY_CTX_free(context);
    return good;
}

static void read_version(host_flash *f, const char *own) {
    char path[640], line[64] = "";
    slot_path(f, f->runs, path);
    FILE *file = fopen(path, "rb");
    if (file && fgets(line, sizeof line, file) && !strncmp(line, "hearthcam-sim ", 14)) own = line + 14;
    (void)snprintf(f->version, sizeof f->version, "%.*s", (int)strcspn(own, "\r\n"), own);
    if (file) fclose(file);
}

void host_flash_boot(host_flash *f, const char *own) {
    if (f->next != f->runs) {
        f->runs = f->next;
        f->trial = true;
    } else if (f->trial) { /* it was started, and never called good */
        f->runs = f->next = 1 - f->runs;
        f->trial = false;
    }
    (void)save_state(f);
    f->restart = false;
    read_version(f, own);
}

bool host_flash_open(host_flash *f, const char *folder, const char *release_key) {
    char path[640];
    unsigned trial = 0;
    memset(f, 0, sizeof *f);
    f->fd = -1;
    (void)snprintf(f->folder, sizeof f->folder, "%s/flash", folder);
    if (mkdir(f->folder, 0700) && errno != EEXIST) return false;
    (void)snprintf(path, sizeof path, "%s/boot", f->folder);
    FILE *file = fopen(path, "rb");
    if (file) {
        if (fscanf(file, "%u %u %u", &f->runs, &f->next, &trial) != 3 || f->runs > 1 || f->next > 1)
            f->runs = f->next = trial = 0;
        fclose(file);
    }
    f->trial = trial;
    file = release_key ? fopen(release_key, "rb") : NULL;
    f->key = file ? PEM_read_PUBKEY(file, NULL, NULL, NULL) : NULL;
    if (file) fclose(file);
    f->firmware = (hl_firmware){
        f,           ROOM, flash_begin, flash_write, flash_activate, flash_on_trial, flash_confirm, flash_roll_back,
        flash_verify};
    return !release_key || f->key;
}
