/* Key pair, encapsulation and decapsulation of a pqm4 scheme, once each, between marks. */
#include "api.h"
#include "randombytes.h"

#include <stddef.h>
#include <stdint.h>

static volatile uint32_t marks;

/* The noinline functions are where the emulated run is stopped. */
#define MARK(name)                                                                                 \
    __attribute__((noinline, used)) void name(void);                                               \
    void name(void) {                                                                              \
        marks++;                                                                                   \
    }

MARK(mark_begin)
MARK(mark_key_pair)
MARK(mark_encapsulated)
MARK(mark_decapsulated)

/* Stands for the chip's random number generator, which is not modelled. */
int randombytes(uint8_t *out, size_t length) {
    static uint32_t state = 12345;
    while (length > 0) {
        state = state * 1664525u + 1013904223u;
        uint32_t word = state >> 3 ^ state << 7;
        for (int i = 0; i < 4 && length > 0; i++, length--, word >>= 8) {
            *out++ = (uint8_t)word;
        }
    }
    return 0;
}

int main(void) {
    static unsigned char sent[CRYPTO_BYTES], received[CRYPTO_BYTES];
    unsigned char secret[CRYPTO_SECRETKEYBYTES], public[CRYPTO_PUBLICKEYBYTES];
    unsigned char cipher[CRYPTO_CIPHERTEXTBYTES];
    mark_begin();
    crypto_kem_keypair(public, secret);
    mark_key_pair();
    crypto_kem_enc(cipher, sent, public);
    mark_encapsulated();
    crypto_kem_dec(received, cipher, secret);
    for (size_t i = 0; i < CRYPTO_BYTES; i++) {
        if (sent[i] != received[i]) {
            for (;;) {
            }
        }
    }
    mark_decapsulated();
    return 0;
}
