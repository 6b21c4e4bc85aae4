#include "jpeg.h"

#include <stdbool.h>

enum { MAX_PARTS = 16384, MAX_FILL = 1024, MAX_SCANS = 100, MAX_PIXELS = 24000000, MAX_BASELINE_PIXELS = 64000000 };

typedef struct {
    const uint8_t *data;
    size_t n, at;
    unsigned parts, scans;
    bool framed, progressive;
    uint32_t width, height;
} walk;

static hl_code next_marker(walk *w, uint8_t *marker) {
    size_t start = w->at;
    if (w->at >= w->n) return HL_TRUNCATED;
    if (w->data[w->at] != 0xff || ++w->parts > MAX_PARTS) return HL_BAD_JPEG;
    while (w->at < w->n && w->data[w->at] == 0xff)
        if (++w->at - start > MAX_FILL) return HL_BAD_JPEG;
    if (w->at >= w->n) return HL_TRUNCATED;
    *marker = w->data[w->at++];
    return *marker < 0xc0 || (*marker >= 0xd0 && *marker <= 0xd8) ? HL_BAD_JPEG : HL_OK;
}

static hl_code frame(walk *w, uint8_t marker, const uint8_t *p, size_t n) {
    if (w->framed) return HL_BAD_JPEG;
    if (marker > 0xc2) return HL_UNSUPPORTED_IMAGE;
    if (n < 6 || n != 6 + 3 * (size_t)p[5]) return HL_BAD_JPEG;
    if (p[0] != 8 || (p[5] != 1 && p[5] != 3 && p[5] != 4)) return HL_UNSUPPORTED_IMAGE;
    w->framed = true;
    w->progressive = marker == 0xc2;
    w->height = (uint32_t)p[1] << 8 | p[2];
    w->width = (uint32_t)p[3] << 8 | p[4];
    return HL_OK;
}

/* Pass over entropy-coded data up to the next marker that is none of its own. */
static hl_code scan(walk *w) {
    size_t start = w->at;
    if (!w->framed) return HL_BAD_JPEG;
    if (++w->scans > MAX_SCANS) return HL_TOO_MANY_SCANS;
    for (; w->at + 1 < w->n; w->at++) {
        uint8_t next = w->data[w->at + 1];
        if (w->data[w->at] == 0xff && next != 0 && next != 0xff && (next < 0xd0 || next > 0xd7))
            return w->at == start ? HL_BAD_JPEG : HL_OK;
    }
    return HL_TRUNCATED;
}

static hl_code segment(walk *w, uint8_t marker) {
    if (w->n - w->at < 2) return HL_TRUNCATED;
    size_t length = (size_t)w->data[w->at] << 8 | w->data[w->at + 1];
    if (length < 2) return HL_BAD_JPEG;
    if (length > w->n - w->at) return HL_TRUNCATED;
    const uint8_t *content = w->data + w->at + 2;
    w->at += length;
    if (marker == 0xda) return scan(w);
    if (marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc)
        return frame(w, marker, content, length - 2);
    return HL_OK;
}

hl_code hl_jpeg_check(const uint8_t *data, size_t n) {
    walk w = {.data = data, .n = n, .at = 2};
    uint8_t marker = 0;
    if (!n) return HL_EMPTY;
    if (n < 2 || data[0] != 0xff || data[1] != 0xd8) return HL_BAD_JPEG;
    for (;;) {
        hl_code code = next_marker(&w, &marker);
        if (code == HL_OK && marker == 0xd9) break;
        if (code == HL_OK) code = segment(&w, marker);
        if (code != HL_OK) return code;
    }
    if (!w.framed || !w.scans) return HL_BAD_JPEG;
    if (!w.width || !w.height) return HL_BAD_DIMENSIONS;
    if ((uint64_t)w.width * w.height > (w.progressive ? MAX_PIXELS : MAX_BASELINE_PIXELS)) return HL_TOO_MANY_PIXELS;
    for (; w.at < n; w.at++)
        if (data[w.at]) return HL_TRAILING_DATA;
    return HL_OK;
}
