/* Key expansion and 4096 bytes in counter mode, or one block, of an AES by Schwabe and Stoffelen.
 *
 * KEYSCHEDULE, ENCRYPT: its functions. KEY_BYTES, ROUND_KEY_BYTES: of a key and of the expanded
 * one, without the key itself unless SCHEDULE_FROM is 0. BLOCK: one block, no counter.
 */
#include "counted.h"

struct parameters {
    uint32_t counter;
    uint8_t nonce[12];
    uint8_t round_keys[KEY_BYTES + ROUND_KEY_BYTES];
};

extern void KEYSCHEDULE(const uint8_t *key, uint8_t *round_keys);
#ifdef BLOCK
extern void ENCRYPT(const uint8_t *round_keys, const uint8_t *in, uint8_t *out);
#else
extern void ENCRYPT(const struct parameters *, const uint8_t *in, uint8_t *out, uint32_t length);
#endif

enum { LENGTH = 4096 };

int main(void) {
    static _Alignas(uint32_t) uint8_t in[LENGTH], out[LENGTH];
    _Alignas(uint32_t) struct parameters p = {.nonce = {1, 2, 3, 1, 2, 4, 1, 2, 5, 1, 2, 6}};
    _Alignas(uint32_t) uint8_t key[KEY_BYTES];
    for (unsigned i = 0; i < LENGTH; i++) {
        in[i] = (uint8_t)(i * 167 + 13);
    }
    for (unsigned i = 0; i < KEY_BYTES; i++) {
        key[i] = p.round_keys[i] = (uint8_t)(i * 59 + 4);
    }
    READ_COUNTER(expand);
    KEYSCHEDULE(key, p.round_keys + SCHEDULE_FROM);
    READ_COUNTER(expanded);
    READ_COUNTER(encrypt);
#ifdef BLOCK
    ENCRYPT(p.round_keys, in, out);
#else
    ENCRYPT(&p, in, out, LENGTH);
#endif
    READ_COUNTER(encrypted);
    return out[0];
}
