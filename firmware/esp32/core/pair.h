/* Pairing (docs/wire.md): the text that a person shows the camera becomes a credential. The CA is fetched from whoever
 * answers and believed only if its SHA-256 is the one in the text; the code is told to nobody else. The text and its
 * nonce are kept while it lasts, so that a camera that lost its power meanwhile asks again for the same answer. */
#ifndef HL_PAIR_H
#define HL_PAIR_H

#include "base64.h"
#include "credential.h"
#include "http.h"
#include "sha256.h"

#define HL_INVITATION_BYTES 192
#define HL_NONCE_BYTES 16

typedef struct {
    char code[9], host[72];
    bool pinned; /* there is a fingerprint; without one it is plain HTTP on a loopback address */
    uint8_t fingerprint[HL_SHA256_BYTES];
} hl_invitation;

/* False: it is none. The code may be in any case, with dashes and blanks, and with O, I and L for digits. */
bool hl_invitation_read(const char *text, hl_invitation *invitation);

typedef struct {
    const hl_web *web;
    const hl_kv *kv;
    const hl_random *random;
    const char *hardware, *board, *firmware;
    bool plain; /* take an invitation without a fingerprint; a board does not */
} hl_pair_config;

typedef enum { HL_PAIR_IDLE, HL_PAIR_FETCHING, HL_PAIR_ASKING, HL_PAIR_DONE, HL_PAIR_FAILED } hl_pair_state;

typedef struct {
    hl_pair_config config;
    hl_pair_state state;
    char code[32]; /* why it failed, in the wire's words or: bad-text, bad-ca, no-answer, bad-answer, not-kept */
    hl_invitation invitation;
    uint8_t nonce[HL_NONCE_BYTES];
    hl_http http;
    hl_base64 pem;
    bool asked, in_armour; /* within a line of dashes */
    unsigned failures;
    uint64_t due_us;
    uint8_t ca[HL_CA_BYTES];
    char answer[1024];
    size_t answer_bytes;
    hl_credential credential;
} hl_pair;

/* Go on with what was begun before the power went; HL_PAIR_IDLE if nothing was. */
void hl_pair_wake(hl_pair *p, const hl_pair_config *config);

/* Begin with a text; HL_PAIR_FAILED with `bad-text` if it is none. */
void hl_pair_begin(hl_pair *p, const char *text);

/* HL_PAIR_DONE: the credential is in the key-value store. */
hl_pair_state hl_pair_step(hl_pair *p, uint64_t now_us);

#endif
