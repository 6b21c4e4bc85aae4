#ifndef STUB_PK_H
#define STUB_PK_H
#include <stddef.h>
typedef struct {
    void *info, *context;
} mbedtls_pk_context;
typedef enum { MBEDTLS_MD_NONE, MBEDTLS_MD_SHA256 = 9 } mbedtls_md_type_t;
void mbedtls_pk_init(mbedtls_pk_context *key);
void mbedtls_pk_free(mbedtls_pk_context *key);
int mbedtls_pk_parse_public_key(mbedtls_pk_context *key, const unsigned char *data, size_t n);
int mbedtls_pk_verify(mbedtls_pk_context *key, mbedtls_md_type_t md, const unsigned char *hash, size_t hash_n,
                      const unsigned char *signature, size_t n);
#endif
