/* All of libc that compilers may call for: memcpy, memmove, memset, and the Arm EABI's names of
 * them. CMake compiles this file without the optimisation that would turn a loop here into a call
 * of the function it stands in. */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memmove(void *to, const void *from, size_t count);
void *memset(void *to, int value, size_t count);
void __aeabi_memcpy(void *restrict to, const void *restrict from, size_t count);
void __aeabi_memmove(void *to, const void *from, size_t count);
void __aeabi_memset(void *to, size_t count, int value);
void __aeabi_memclr(void *to, size_t count);

/* May lie over anything; the core loads and stores unaligned words. */
typedef uint32_t __attribute__((may_alias, aligned(1))) word_t;

static void copy_up(uint8_t *to, const uint8_t *from, size_t count) {
    for (; count >= 16; count -= 16, to += 16, from += 16) {
        const word_t *source = (const word_t *)from;
        word_t *target = (word_t *)to;
        const uint32_t a = source[0], b = source[1], c = source[2], d = source[3];
        target[0] = a;
        target[1] = b;
        target[2] = c;
        target[3] = d;
    }
    for (; count > 0; count--) {
        *to++ = *from++;
    }
}

void *memcpy(void *restrict to, const void *restrict from, size_t count) {
    copy_up(to, from, count);
    return to;
}

void *memmove(void *to, const void *from, size_t count) {
    uint8_t *end = (uint8_t *)to + count;
    const uint8_t *source_end = (const uint8_t *)from + count;
    if ((uintptr_t)to - (uintptr_t)from >= count) {
        copy_up(to, from, count); /* never ahead of what is still to be read */
        return to;
    }
    while (count-- > 0) {
        *--end = *--source_end;
    }
    return to;
}

void *memset(void *to, int value, size_t count) {
    uint8_t *at = to;
    const uint32_t word = (uint8_t)value * UINT32_C(0x01010101);
    for (; count >= 16; count -= 16, at += 16) {
        word_t *target = (word_t *)at;
        target[0] = word;
        target[1] = word;
        target[2] = word;
        target[3] = word;
    }
    for (; count > 0; count--) {
        *at++ = (uint8_t)value;
    }
    return to;
}

#if defined(__arm__)
void __aeabi_memcpy(void *restrict to, const void *restrict from, size_t count) {
    memcpy(to, from, count);
}

void __aeabi_memmove(void *to, const void *from, size_t count) {
    memmove(to, from, count);
}

void __aeabi_memset(void *to, size_t count, int value) {
    memset(to, value, count);
}

void __aeabi_memclr(void *to, size_t count) {
    memset(to, 0, count);
}

#define SAME_AS(function) __attribute__((alias(#function)))
SAME_AS(__aeabi_memcpy) void __aeabi_memcpy4(void *restrict, const void *restrict, size_t);
SAME_AS(__aeabi_memcpy) void __aeabi_memcpy8(void *restrict, const void *restrict, size_t);
SAME_AS(__aeabi_memmove) void __aeabi_memmove4(void *, const void *, size_t);
SAME_AS(__aeabi_memmove) void __aeabi_memmove8(void *, const void *, size_t);
SAME_AS(__aeabi_memset) void __aeabi_memset4(void *, size_t, int);
SAME_AS(__aeabi_memset) void __aeabi_memset8(void *, size_t, int);
SAME_AS(__aeabi_memclr) void __aeabi_memclr4(void *, size_t);
SAME_AS(__aeabi_memclr) void __aeabi_memclr8(void *, size_t);
#endif
