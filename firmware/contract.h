/* What a function takes for granted. REQUIRES states it as a condition, free of side effects:
 * checked in host tests and in an image built with HIL_CONTRACTS, where one that does not hold
 * becomes a fault record with file and line; in any other image it leaves no code. */
#ifndef HIL_CONTRACT_H
#define HIL_CONTRACT_H

#include <stdint.h>

#if defined(HIL_CONTRACTS)
#define REQUIRES(condition)                                                                        \
    ((condition) ? (void)0 : contract_broken(__FILE__, __LINE__, #condition))
#else
#define REQUIRES(condition) ((void)sizeof((condition) ? 1 : 0))
#endif

/* What an int8 can be, and so a zero point; sizes whose products fit an int32. */
#define IS_BYTE(value) (-128 <= (value) && (value) <= 127)
#define IS_SIZE(count) (0 < (count) && (count) <= 65536)
#define ARE_SIZES(a, b, c)                                                                         \
    (IS_SIZE(a) && IS_SIZE(b) && IS_SIZE(c) && (int64_t)(a) * (b) * (c) <= 0x1000000)

/* By which 255 times it and half of 2**30 stay within an int32. */
#define IS_RESIDUAL_FACTOR(factor) (-(1 << 22) <= (factor) && (factor) <= 1 << 22)

/* Whoever checks contracts provides it: runtime/faults.c, or the host's tests. */
_Noreturn void contract_broken(const char *file, uint32_t line, const char *condition);

/* `bytes` a power of two. */
#define IS_ALIGNED(pointer, bytes) (((uintptr_t)(pointer) & ((bytes) - 1U)) == 0U)

#endif
