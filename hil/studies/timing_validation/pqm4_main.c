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

/* The chip's generator of random numbers; the one of the study always has a word. */
#define RNG_SR (*(volatile uint32_t *)0x50060804u)
#define RNG_DR (*(const volatile uint32_t *)0x50060808u)
enum {
    READY = 1,
    CLOCK_ERROR = 1 << 1,
    SEED_ERROR = 1 << 2,
    CLOCK_BIT = 1 << 5,
    SEED_BIT = 1 << 6
};

/* With the accesses of libopencm3's driver, which the authors use. */
__attribute__((noinline)) static int try_word(uint32_t *word) {
    if (RNG_SR & (CLOCK_ERROR | SEED_ERROR) || !(RNG_SR & READY)) {
        return 0;
    }
    *word = RNG_DR;
    return 1;
}

__attribute__((noinline)) static uint32_t random_word(void) {
    uint32_t word;
    do {
        if (RNG_SR & SEED_BIT) {
            RNG_SR &= ~(uint32_t)SEED_BIT;
        }
        if (RNG_SR & CLOCK_BIT) {
            RNG_SR &= ~(uint32_t)CLOCK_BIT;
        }
    } while (!try_word(&word));
    return word;
}

/* As pqm4's: a word for four bytes, and one for the rest. */
int randombytes(uint8_t *out, size_t length) {
    while (length > 0) {
        uint32_t word = random_word();
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
