/* Reads of a cycle counter, each at a symbol of its own: there the emulated run is stopped. The
 * count on silicon is that at the issue of this load. */
#ifndef COUNTED_H
#define COUNTED_H

#include <stdint.h>

#define DWT_CYCCNT ((const volatile uint32_t *)0xE0001004u)

#define READ_COUNTER(symbol)                                                                       \
    do {                                                                                           \
        uint32_t count;                                                                            \
        __asm__ volatile(".global " #symbol "\n" #symbol ": ldr %0, [%1]"                          \
                         : "=r"(count)                                                             \
                         : "r"(DWT_CYCCNT)                                                         \
                         : "memory");                                                              \
    } while (0)

#endif
