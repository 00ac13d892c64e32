/* The Cortex-M4 instructions that the kernels are built on, and the same arithmetic in portable C
 * for the host. */
#ifndef HIL_DSP_H
#define HIL_DSP_H

#include <stddef.h>
#include <stdint.h>

/* All of libc that the kernels use; a freestanding compiler brings no string.h. */
void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memmove(void *to, const void *from, size_t count);
void *memset(void *to, int value, size_t count);

#if defined(__ARM_FEATURE_DSP) && defined(__ARM_ARCH_7EM__)
#define HIL_CORTEX_M4 1
#else
#define HIL_CORTEX_M4 0
#endif

/* A function that a model brings in kernels.S, on the Cortex-M4; elsewhere its twin in C serves. */
#if HIL_CORTEX_M4
#define HIL_CORTEX_M4_CODE(function) function
#else
#define HIL_CORTEX_M4_CODE(function) NULL
#endif

#define HIL_INLINE static inline __attribute__((always_inline))

/* Words of narrower values; the addresses are aligned to words. */
HIL_INLINE int32_t dsp_load_word(const void *from) {
    int32_t word;
    __builtin_memcpy(&word, __builtin_assume_aligned(from, 4), sizeof word);
    return word;
}

HIL_INLINE void dsp_store_word(void *to, int32_t word) {
    __builtin_memcpy(__builtin_assume_aligned(to, 4), &word, sizeof word);
}

/* The same at any address: the core takes two accesses where a word is not aligned. */
HIL_INLINE int32_t dsp_load_word_anywhere(const void *from) {
    int32_t word;
    __builtin_memcpy(&word, from, sizeof word);
    return word;
}

HIL_INLINE void dsp_store_word_anywhere(void *to, int32_t word) {
    __builtin_memcpy(to, &word, sizeof word);
}

/* The bytes 0 and 2, or 1 and 3, of a word as two int16. */
HIL_INLINE int32_t dsp_sxtb16(int32_t word) {
#if HIL_CORTEX_M4
    int32_t result;
    __asm__("sxtb16 %0, %1" : "=r"(result) : "r"(word));
    return result;
#else
    uint32_t low = (uint32_t)(int32_t)(int8_t)(uint8_t)((uint32_t)word & 0xFFU);
    uint32_t high = (uint32_t)(int32_t)(int8_t)(uint8_t)((uint32_t)word >> 16 & 0xFFU);
    return (int32_t)((low & 0xFFFFU) | high << 16);
#endif
}

HIL_INLINE int32_t dsp_sxtb16_odd(int32_t word) {
#if HIL_CORTEX_M4
    int32_t result;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(word));
    return result;
#else
    return dsp_sxtb16((int32_t)((uint32_t)word >> 8));
#endif
}

/* The bottom half of a, the top half of b. */
HIL_INLINE int32_t dsp_pkhbt(int32_t a, int32_t b) {
    return (int32_t)(((uint32_t)a & 0xFFFFU) | ((uint32_t)b & 0xFFFF0000U));
}

/* The top half of a, and the top half of b below it. */
HIL_INLINE int32_t dsp_pkhtb(int32_t a, int32_t b) {
    return (int32_t)(((uint32_t)a & 0xFFFF0000U) | (uint32_t)b >> 16);
}

/* The low halves of two values, the first lowest. */
HIL_INLINE int32_t dsp_pack_halfwords(int32_t a, int32_t b) {
    return (int32_t)(((uint32_t)a & 0xFFFFU) | (uint32_t)b << 16);
}

/* Both halves added, each saturated. */
HIL_INLINE int32_t dsp_qadd16(int32_t a, int32_t b) {
#if HIL_CORTEX_M4
    int32_t result;
    __asm__("qadd16 %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
#else
    int32_t low = (int16_t)(uint16_t)((uint32_t)a & 0xFFFFU);
    int32_t high = (int16_t)(uint16_t)((uint32_t)a >> 16);
    low += (int16_t)(uint16_t)((uint32_t)b & 0xFFFFU);
    high += (int16_t)(uint16_t)((uint32_t)b >> 16);
    low = low < -32768 ? -32768 : (low > 32767 ? 32767 : low);
    high = high < -32768 ? -32768 : (high > 32767 ? 32767 : high);
    return (int32_t)(((uint32_t)low & 0xFFFFU) | (uint32_t)high << 16);
#endif
}

/* Both halves, to which the bytes 0 and 2, or 1 and 3, of a word are added; neither overflows. */
HIL_INLINE int32_t dsp_sxtab16(int32_t halves, int32_t word) {
#if HIL_CORTEX_M4
    int32_t result;
    __asm__("sxtab16 %0, %1, %2" : "=r"(result) : "r"(halves), "r"(word));
    return result;
#else
    return dsp_qadd16(halves, dsp_sxtb16(word));
#endif
}

HIL_INLINE int32_t dsp_sxtab16_odd(int32_t halves, int32_t word) {
#if HIL_CORTEX_M4
    int32_t result;
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(result) : "r"(halves), "r"(word));
    return result;
#else
    return dsp_sxtab16(halves, (int32_t)((uint32_t)word >> 8));
#endif
}

/* The upper bytes of four halfwords. */
HIL_INLINE int32_t dsp_high_bytes(int32_t a, int32_t b) {
    uint32_t first = (uint32_t)a >> 8 & 0x00FF00FFU;
    uint32_t second = (uint32_t)b >> 8 & 0x00FF00FFU;
    first |= first >> 8;
    second |= second >> 8;
    return (int32_t)((first & 0xFFFFU) | second << 16);
}

/* The greater of each pair of signed bytes. */
HIL_INLINE int32_t dsp_max_bytes(int32_t a, int32_t b) {
#if HIL_CORTEX_M4
    int32_t result;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(result) : "r"(a), "r"(b) : "cc");
    return result;
#else
    uint32_t result = 0;
    for (uint32_t bit = 0; bit < 32; bit += 8) {
        const uint32_t of_a = (uint32_t)a >> bit & 0xFFU;
        const uint32_t of_b = (uint32_t)b >> bit & 0xFFU;
        result |= ((int8_t)of_a >= (int8_t)of_b ? of_a : of_b) << bit;
    }
    return (int32_t)result;
#endif
}

/* One byte of a word, extended with its sign. */
#if HIL_CORTEX_M4
#define dsp_sxtb(word, byte)                                                                       \
    __extension__({                                                                                \
        int32_t byte_;                                                                             \
        __asm__("sxtb %0, %1, ror %2" : "=r"(byte_) : "r"(word), "i"(8 * (byte)));                 \
        byte_;                                                                                     \
    })
#else
#define dsp_sxtb(word, byte) ((int32_t)(int8_t)(uint8_t)((uint32_t)(word) >> (8 * (byte)) & 0xFFU))
#endif

/* a * b + c modulo 2**32 */
HIL_INLINE int32_t dsp_mla(int32_t a, int32_t b, int32_t c) {
#if HIL_CORTEX_M4
    int32_t result;
    __asm__("mla %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(c));
    return result;
#else
    return (int32_t)((uint32_t)a * (uint32_t)b + (uint32_t)c);
#endif
}

/* sum + ((a * b) >> 16) with b the bottom half of a word, modulo 2**32 */
HIL_INLINE int32_t dsp_smlawb(int32_t a, int32_t b, int32_t sum) {
#if HIL_CORTEX_M4
    int32_t result;
    __asm__("smlawb %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
#else
    int64_t product = (int64_t)a * (int16_t)(uint16_t)((uint32_t)b & 0xFFFFU);
    return (int32_t)((uint32_t)sum + (uint32_t)(product >> 16));
#endif
}

/* The low bytes of four values, the first lowest. */
HIL_INLINE int32_t dsp_pack_bytes(int32_t a, int32_t b, int32_t c, int32_t d) {
    return (int32_t)(((uint32_t)a & 0xFFU) | ((uint32_t)b & 0xFFU) << 8 |
                     ((uint32_t)c & 0xFFU) << 16 | (uint32_t)d << 24);
}

/* (a * b + 2**31) >> 32 */
HIL_INLINE int32_t dsp_smmulr(int32_t a, int32_t b) {
#if HIL_CORTEX_M4
    int32_t result;
    __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
#else
    return (int32_t)(((int64_t)a * b + (INT64_C(1) << 31)) >> 32);
#endif
}

/* sum + ((a * b + 2**31) >> 32) */
HIL_INLINE int32_t dsp_smmlar(int32_t a, int32_t b, int32_t sum) {
#if HIL_CORTEX_M4
    int32_t result;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
#else
    return sum + dsp_smmulr(a, b);
#endif
}

/* clamp(value, -128, 127) */
HIL_INLINE int32_t dsp_saturate8(int32_t value) {
#if HIL_CORTEX_M4
    int32_t result;
    __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(value));
    return result;
#else
    return value < -128 ? -128 : (value > 127 ? 127 : value);
#endif
}

/* The products of halfwords, named by which half of each operand: b the bottom, t the top. */
#if HIL_CORTEX_M4
#define HIL_MAC(name)                                                                              \
    HIL_INLINE int32_t dsp_##name(int32_t a, int32_t b, int32_t sum) {                             \
        int32_t result;                                                                            \
        __asm__(#name " %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));                \
        return result;                                                                             \
    }
HIL_MAC(smlad)
HIL_MAC(smladx)
HIL_MAC(smlabb)
HIL_MAC(smlabt)
HIL_MAC(smlatb)
HIL_MAC(smlatt)
#undef HIL_MAC
#else
#define HIL_BOTTOM(word) ((int32_t)(int16_t)(uint16_t)((uint32_t)(word) & 0xFFFFU))
#define HIL_TOP(word) ((int32_t)(int16_t)(uint16_t)((uint32_t)(word) >> 16))
#define HIL_MAC(name, product)                                                                     \
    HIL_INLINE int32_t dsp_##name(int32_t a, int32_t b, int32_t sum) {                             \
        return (int32_t)((uint32_t)sum + (product));                                               \
    }
HIL_MAC(smlad, (uint32_t)(HIL_BOTTOM(a) * HIL_BOTTOM(b)) + (uint32_t)(HIL_TOP(a) * HIL_TOP(b)))
HIL_MAC(smladx, (uint32_t)(HIL_BOTTOM(a) * HIL_TOP(b)) + (uint32_t)(HIL_TOP(a) * HIL_BOTTOM(b)))
HIL_MAC(smlabb, (uint32_t)(HIL_BOTTOM(a) * HIL_BOTTOM(b)))
HIL_MAC(smlabt, (uint32_t)(HIL_BOTTOM(a) * HIL_TOP(b)))
HIL_MAC(smlatb, (uint32_t)(HIL_TOP(a) * HIL_BOTTOM(b)))
HIL_MAC(smlatt, (uint32_t)(HIL_TOP(a) * HIL_TOP(b)))
#undef HIL_MAC
#endif

/* The bits of a word in the other order. */
HIL_INLINE uint32_t dsp_rbit(uint32_t word) {
#if HIL_CORTEX_M4
    uint32_t result;
    __asm__("rbit %0, %1" : "=r"(result) : "r"(word));
    return result;
#else
    uint32_t result = 0;
    for (uint32_t bit = 0; bit < 32; bit++) {
        result = result << 1 | (word >> bit & 1U);
    }
    return result;
#endif
}

/* a << shift modulo 2**32, without C's undefined cases. */
HIL_INLINE int32_t dsp_shift_left(int32_t a, int32_t shift) {
    return (int32_t)((uint32_t)a << (uint32_t)shift);
}

HIL_INLINE int32_t dsp_clamp(int32_t value, int32_t low, int32_t high) {
    return value < low ? low : (value > high ? high : value);
}

/* Correctly rounded single-precision square root. */
HIL_INLINE float dsp_square_root(float value) {
#if HIL_CORTEX_M4
    float result;
    __asm__("vsqrt.f32 %0, %1" : "=t"(result) : "t"(value));
    return result;
#else
    return __builtin_sqrtf(value);
#endif
}

#endif
