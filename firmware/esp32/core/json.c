#include "json.h"

#include <string.h>

static bool fail(hl_json *j) {
    j->bad = true;
    return false;
}

static bool must(hl_json *j, bool good) {
    if (!good) j->bad = true;
    return good;
}

static void space(hl_json *j) {
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r')) j->at++;
}

/* The next character that says something, 0 at the end. */
static char peek(hl_json *j) {
    if (j->bad) return 0;
    space(j);
    return j->at < j->end ? *j->at : 0;
}

static bool take(hl_json *j, char c) {
    if (peek(j) != c) return false;
    j->at++;
    return true;
}

bool hl_json_open(hl_json *j, char bracket) { return must(j, take(j, bracket)); }

bool hl_json_item(hl_json *j, unsigned *n) {
    if (take(j, ']')) return false;
    if ((*n)++ && !take(j, ',')) return fail(j);
    char c = peek(j);
    return must(j, c && c != ']');
}

/* Inside an object: the next key, its colon passed; false behind the closing brace. */
static bool next_key(hl_json *j, unsigned *n, char *key, size_t size) {
    if (take(j, '}')) return false;
    if ((*n)++ && !take(j, ',')) return fail(j);
    return hl_json_text(j, key, size) && must(j, take(j, ':'));
}

static bool word(hl_json *j, const char *text) {
    size_t n = strlen(text);
    if (peek(j) != *text || (size_t)(j->end - j->at) < n || memcmp(j->at, text, n)) return false;
    j->at += n;
    return true;
}

bool hl_json_null(hl_json *j) { return word(j, "null"); }

bool hl_json_bool(hl_json *j, bool *value) {
    *value = word(j, "true");
    return must(j, *value || word(j, "false"));
}

bool hl_json_int(hl_json *j, int64_t *value) {
    bool minus = take(j, '-');
    uint64_t number = 0;
    const char *start = j->at;
    if (j->bad) return false; /* a reader may ask for a number without having looked */
    for (; j->at < j->end && *j->at >= '0' && *j->at <= '9'; j->at++) {
        uint64_t digit = (uint64_t)(*j->at - '0');
        if (number > (INT64_MAX - digit) / 10) return fail(j);
        number = number * 10 + digit;
    }
    if (j->at == start || (*start == '0' && j->at > start + 1)) return fail(j);
    if (j->at < j->end && (*j->at == '.' || *j->at == 'e' || *j->at == 'E')) return fail(j);
    *value = minus ? -(int64_t)number : (int64_t)number;
    return true;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* What follows a backslash; less than 0 if nothing may. */
static int escaped(hl_json *j) {
    static const char FROM[] = "\"\\/bfnrt", TO[] = "\"\\/\b\f\n\r\t";
    if (j->at >= j->end) return -1;
    char c = *j->at++;
    const char *found = memchr(FROM, c, sizeof FROM - 1);
    if (found) return TO[found - FROM];
    if (c != 'u' || j->end - j->at < 4) return -1;
    int code = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(*j->at++);
        if (digit < 0) return -1;
        code = code * 16 + digit;
    }
    return code && code < 0x80 ? code : '?';
}

bool hl_json_text(hl_json *j, char *out, size_t size) {
    size_t used = 0;
    if (!take(j, '"')) return fail(j);
    for (;;) {
        if (j->at >= j->end) return fail(j);
        int c = (unsigned char)*j->at++;
        if (c == '"') break;
        if (c < 0x20) return fail(j);
        if (c == '\\' && (c = escaped(j)) < 0) return fail(j);
        if (used + 1 < size) out[used++] = (char)c;
    }
    if (size) out[used] = 0;
    return true;
}

static bool skip_number(hl_json *j) {
    const char *start = j->at;
    static const char OF[] = "+-.eE0123456789";
    while (j->at < j->end && memchr(OF, *j->at, sizeof OF - 1)) j->at++;
    return must(j, j->at > start);
}

static bool skip_value(hl_json *j, unsigned depth) {
    unsigned n = 0;
    char c = peek(j);
    bool ignored;
    if (depth > HL_JSON_DEPTH) return fail(j);
    if (c == '"') return hl_json_text(j, NULL, 0);
    if (c == 't' || c == 'f') return hl_json_bool(j, &ignored);
    if (c == 'n') return must(j, hl_json_null(j));
    if (c == '[') {
        j->at++;
        while (hl_json_item(j, &n))
            if (!skip_value(j, depth + 1)) return false;
        return !j->bad;
    }
    if (c == '{') {
        j->at++;
        while (next_key(j, &n, NULL, 0))
            if (!skip_value(j, depth + 1)) return false;
        return !j->bad;
    }
    return c ? skip_number(j) : fail(j);
}

bool hl_json_skip(hl_json *j) { return skip_value(j, 0); }

unsigned hl_json_field(hl_json *j, hl_json_fields *fields, const char *names) {
    char key[20]; /* longer than any name: what is cut off is none */
    while (next_key(j, &fields->n, key, sizeof key)) {
        const char *name = names;
        unsigned which = 1;
        for (; *name && strcmp(name, key); name += strlen(name) + 1) which <<= 1;
        if (*name) {
            if (!must(j, !(fields->seen & which))) return 0;
            fields->seen |= which;
            return which;
        }
        if (!hl_json_skip(j)) return 0;
    }
    return 0;
}

bool hl_json_end(hl_json *j) {
    space(j);
    return !j->bad && j->at == j->end;
}
