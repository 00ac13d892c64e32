#include "coded.h"

#include "contract.h"
#include "dsp.h"

enum {
    RAW_AT = 1,
    ZERO_AT,
    LENGTHS_AT,
    SYMBOLS = 64,
    LENGTHS = 16, /* that a nibble can say */
    SIDE = 8,     /* values of a weight's high bits */
    NIBBLES = 8,
    HEADER_WORDS = LENGTHS_AT + SYMBOLS / NIBBLES,
    ENDS_WORDS = 4,
    MOST_WORDS = 1 << 20,
};

typedef struct {
    const uint8_t *codes;
    const uint32_t *table;
    int32_t bytes; /* of the codes, the word behind them included */
} codes_t;

static uint32_t length_of(const int32_t *lengths, uint32_t symbol) {
    return (uint32_t)lengths[symbol / NIBBLES] >> symbol % NIBBLES * 4 & 15U;
}

/* An entry's bytes: the first weight without its low bits, the bits of both weights together, the
 * second weight, nothing. */
static uint32_t entry(uint32_t symbol, uint32_t length, uint32_t raw) {
    const uint32_t first = (symbol / SIDE - SIDE / 2) << raw & 0xFFU;
    const uint32_t second = (symbol % SIDE - SIDE / 2) << raw & 0xFFU;
    return first | (length + 2 * raw) << 8 | second << 16;
}

/* The last `bits` bits of a code, the first of them lowest. */
static uint32_t turned(uint32_t code, uint32_t bits) {
    return dsp_rbit(code) >> (32 - bits);
}

static void fill(const int32_t *lengths, uint32_t raw, uint32_t *table) {
    uint32_t next[LENGTHS]; /* code of each length */
    memset(next, 0, sizeof next);
    for (uint32_t symbol = 0; symbol < SYMBOLS; symbol++) {
        next[length_of(lengths, symbol)]++;
    }
    uint32_t code = 0, shorter = 0;
    for (uint32_t length = 1; length <= CODED_MOST_BITS; length++) {
        const uint32_t count = next[length];
        code = (code + shorter) << 1;
        next[length] = code;
        shorter = count;
    }
    uint32_t filled = 0; /* entries */
    for (uint32_t symbol = 0; symbol < SYMBOLS; symbol++) {
        const uint32_t length = length_of(lengths, symbol);
        if (length == 0 || length > CODED_MOST_BITS) {
            continue;
        }
        const uint32_t value = entry(symbol, length, raw), step = 1U << length;
        for (uint32_t i = turned(next[length]++, length); i < CODED_TABLE_WORDS; i += step) {
            table[i] = value;
        }
        filled += CODED_TABLE_WORDS >> length;
    }
    REQUIRES(filled == CODED_TABLE_WORDS); /* every word of so many bits begins with one code */
}

/* Decode two weights; returns the bit behind them. `raw` is a constant. */
HIL_INLINE uint32_t decode(const codes_t *from, uint32_t at, int32_t *to, const uint32_t raw) {
    REQUIRES((int32_t)(at >> 3) + 4 <= from->bytes);
    const uint32_t bits = (uint32_t)dsp_load_word_anywhere(from->codes + (at >> 3)) >> (at & 7);
    const uint32_t meant = from->table[bits >> 2 * raw & (CODED_TABLE_WORDS - 1)];
    const uint32_t low = (1U << raw) - 1;
    *to = dsp_sxtb16((int32_t)(meant + (bits & low) + ((bits & low << raw) << (16 - raw))));
    return at + (meant >> 8 & 0xFFU);
}

/* An even number of words of two weights each. */
HIL_INLINE uint32_t decode_words(const codes_t *from, uint32_t at, int32_t words, int32_t *to,
                                 const uint32_t raw) {
    for (int32_t i = 0; i < words; i += 2) {
        at = decode(from, at, to + i, raw);
        at = decode(from, at, to + i + 1, raw);
    }
    return at;
}

static uint32_t decode_raw(const codes_t *from, uint32_t at, int32_t words, int32_t *to,
                           int32_t raw) {
    switch (raw) {
    case 3:
        return decode_words(from, at, words, to, 3);
    case 4:
        return decode_words(from, at, words, to, 4);
    default:
        return decode_words(from, at, words, to, 5);
    }
}

const int32_t *coded_unpack(const matmul_t *product, const int32_t *from, int32_t *to) {
    REQUIRES(ARE_SIZES(product->depth, product->segments, product->channels));
    REQUIRES(product->depth % 2 == 0 && product->channels % 2 == 0);
    const int32_t words = from[0], raw = from[RAW_AT];
    const int32_t code_words = words - HEADER_WORDS - product->channels / 2 * ENDS_WORDS;
    REQUIRES(words <= MOST_WORDS && 0 < code_words);
    REQUIRES(3 <= raw && raw <= 5 && IS_BYTE(from[ZERO_AT]));
    uint32_t *const table = (uint32_t *)to + matmul_stream_words(product);
    fill(from + LENGTHS_AT, (uint32_t)raw, table);
    const int32_t *ends = from + HEADER_WORDS;
    const codes_t codes = {(const uint8_t *)(from + words - code_words), table, 4 * code_words};
    const int32_t weights = product->segments * product->depth;
    uint32_t at = 0;
    for (int32_t c = 0; c < product->channels; c += 2, ends += ENDS_WORDS) {
        *to++ = ends[0];
        *to++ = ends[1];
        at = decode_raw(&codes, at, weights, to, raw);
        to += weights;
        *to++ = ends[2];
        *to++ = ends[3];
        *to++ = from[ZERO_AT];
    }
    return from + words;
}
