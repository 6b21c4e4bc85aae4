#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "le.h"

enum { MAX_FRAME = 1 << 20 };

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* A picture, with a comment behind its first marker that no other has. */
static int camera_take(void *self, const uint8_t **jpeg, size_t *n) {
    host_camera *c = self;
    char comment[160];
    FILE *file = fopen(c->files[c->next], "rb");
    c->next = (c->next + 1) % c->count;
    if (!file) return -1;
    size_t text = (size_t)snprintf(comment, sizeof comment, "%s %lu", c->mark, c->taken++);
    size_t room = 2 + 4 + text, size = fread(c->data + room - 2, 1, MAX_FRAME, file);
    fclose(file);
    if (size < 4) return -1;
    memcpy(c->data, c->data + room - 2, 2);
    c->data[2] = 0xff;
    c->data[3] = 0xfe;
    c->data[4] = 0;
    c->data[5] = (uint8_t)(text + 2);
    memcpy(c->data + 6, comment, text);
    *jpeg = c->data;
    *n = size + room - 2;
    return 0;
}

static void camera_reset(void *self) { ((host_camera *)self)->resets++; }

bool host_camera_open(host_camera *c, const char *folder, const char *mark) {
    memset(c, 0, sizeof *c);
    DIR *list = opendir(folder);
    if (!list) {
        perror(folder);
        return false;
    }
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        size_t n = strlen(entry->d_name);
        if (n < 5 || (strcmp(entry->d_name + n - 4, ".jpg") && strcmp(entry->d_name + n - 5, ".jpeg"))) continue;
        char **more = realloc(c->files, (c->count + 1) * sizeof *more);
        char *path = malloc(strlen(folder) + n + 2);
        if (!more || !path) abort();
        (void)sprintf(path, "%s/%s", folder, entry->d_name);
        c->files = more;
        c->files[c->count++] = path;
    }
    closedir(list);
    if (!c->count) {
        fprintf(stderr, "%s: no *.jpg\n", folder);
        return false;
    }
    qsort(c->files, c->count, sizeof *c->files, by_name);
    c->data = malloc(MAX_FRAME + 256);
    c->mark = mark;
    c->camera = (hl_camera){c, camera_take, camera_reset, NULL, NULL};
    return c->data != NULL;
}

static int microphone_take(void *self, const uint8_t **pcm, size_t samples, uint64_t *first) {
    host_microphone *m = self;
    uint64_t heard = m->clock->mono_us(m->clock->self) * 16 / 1000;
    if (heard < m->taken + samples) return 1;
    *first = m->taken;
    for (size_t i = 0; i < samples; i++, m->taken++) memcpy(m->out + 2 * i, m->pcm + 2 * (m->taken % m->samples), 2);
    *pcm = m->out;
    return 0;
}

bool host_microphone_open(host_microphone *m, const char *path, const hl_clock *clock) {
    uint8_t head[44];
    memset(m, 0, sizeof *m);
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return false;
    }
    bool good = fread(head, 1, sizeof head, file) == sizeof head && !memcmp(head, "RIFF", 4) &&
                !memcmp(head + 8, "WAVEfmt ", 8) && hl_get16(head + 20) == 1 && hl_get16(head + 22) == 1 &&
                hl_get32(head + 24) == 16000 && hl_get16(head + 34) == 16 && !memcmp(head + 36, "data", 4);
    size_t bytes = good ? hl_get32(head + 40) : 0;
    if (bytes > 64u << 20) bytes = 64u << 20;
    m->pcm = malloc(bytes + 2);
    m->out = malloc(64000);
    m->samples = m->pcm && good ? fread(m->pcm, 2, bytes / 2, file) : 0;
    fclose(file);
    m->clock = clock;
    m->microphone = (hl_microphone){m, microphone_take};
    if (!m->samples || !m->out) fprintf(stderr, "%s: not PCM16 mono at 16 kHz with a plain header\n", path);
    return m->samples && m->out;
}
