/* What pairing gave a camera, and what it keeps of it: its id and password, where the broker is, and the CA that vouches
 * for the house. In two slots of the key-value store, each whole or nothing. */
#ifndef HL_CREDENTIAL_H
#define HL_CREDENTIAL_H

#include "hal.h"

#define HL_CA_BYTES 2048

typedef struct {
    uint32_t generation; /* 0: none */
    char device[33], password[64], host[64], client_id[48];
    uint16_t port;
    bool tls;
    uint16_t ca_bytes;
} hl_credential;

/* The newer one that is whole. False: this camera is not paired. */
bool hl_credential_load(hl_credential *c, const hl_kv *kv);

/* The DER of its CA into `ca` (HL_CA_BYTES); how many bytes, 0 if there is none. */
size_t hl_credential_ca(const hl_credential *c, const hl_kv *kv, uint8_t *ca);

/* Put in the place of the older one; `c` gets its generation. False: the store did not take it. */
bool hl_credential_save(hl_credential *c, const hl_kv *kv, const uint8_t *ca);

void hl_credential_forget(const hl_kv *kv);

#endif
