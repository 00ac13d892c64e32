/* A ChaCha permutation or a product of polynomials, with operands and stack in SRAM2. */
#include "counted.h"

#ifdef DIMENSION
/* As libopencm3 reads SysTick for the authors' harness: about 50 cycles of their figures. */
#define SYSTICK_VALUE ((const volatile uint32_t *)0xE000E018u)
__attribute__((noinline)) static uint32_t now_begun(void) {
    uint32_t count;
    __asm__ volatile(".global begun\nbegun: ldr %0, [%1]" : "=r"(count) : "r"(SYSTICK_VALUE));
    return count;
}
__attribute__((noinline)) static uint32_t now_done(void) {
    uint32_t count;
    __asm__ volatile(".global done\ndone: ldr %0, [%1]" : "=r"(count) : "r"(SYSTICK_VALUE));
    return count;
}

extern void polymul_asm(uint16_t *product, const uint16_t *a, const uint16_t *b);
static volatile unsigned long long overflows;

int main(void) {
    uint16_t x[DIMENSION], y[DIMENSION], z[2 * DIMENSION - 1];
    for (unsigned i = 0; i < DIMENSION; i++) {
        x[i] = (uint16_t)(i * 1103 + 7);
        y[i] = (uint16_t)(i * 3307 + 5);
    }
    __asm__ volatile("" ::"r"(x), "r"(y) : "memory");
    uint32_t before = now_begun();
    overflows = 0;
    polymul_asm(z, x, y);
    return (int)(before - now_done());
}
#else
extern void PERMUTATION(uint8_t *out, const uint8_t *in);

int main(void) {
    uint8_t in[64], out[64];
    for (unsigned i = 0; i < sizeof in; i++) {
        in[i] = (uint8_t)i;
    }
    __asm__ volatile("" ::"r"(in) : "memory");
    READ_COUNTER(begun);
    PERMUTATION(out, in);
    READ_COUNTER(done);
    return out[0];
}
#endif
