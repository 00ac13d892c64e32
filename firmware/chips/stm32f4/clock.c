/* The core clock out of the board's source. Each step waits for what RM0090 says that it needs. */
#include "clock.h"

#include "registers.h"
#include "sdram.h"

#include "chips/stm32/clock_source.h"
#include "chips/stm32/flash_access.h"
#include "runtime/link_messages.h"
#include "runtime/port.h"

/* 1 or 2 MHz into the PLL, times N, over P: RM0090 section 7.3.2. */
#define PLL_INPUT_HZ(source_hz) ((source_hz) % 2000000u == 0u ? 2000000u : 1000000u)
#define PLL_M(source_hz) ((source_hz) / PLL_INPUT_HZ(source_hz))
#define PLL_P (BOARD_CLOCK_HZ < 60000000u ? 4u : 2u)
#define PLL_N(source_hz) (BOARD_CLOCK_HZ / PLL_INPUT_HZ(source_hz) * PLL_P)
#define PLL(source_hz)                                                                             \
    (PLL_M(source_hz) | PLL_N(source_hz) << 6 | (PLL_P / 2u - 1u) << 16 | 7u << 24)

_Static_assert(SOURCE_HZ % PLL_INPUT_HZ(SOURCE_HZ) == 0,
               "the clock's source must be a multiple of 1 MHz");
_Static_assert(PLL_M(SOURCE_HZ) >= 2u && PLL_M(SOURCE_HZ) <= 63u,
               "the clock's source must have 2 to 126 MHz");
_Static_assert(BOARD_CLOCK_HZ % PLL_INPUT_HZ(SOURCE_HZ) == 0 &&
                   BOARD_CLOCK_HZ % PLL_INPUT_HZ(CLOCK_HSI_HZ) == 0,
               "the clock must be a multiple of 2 MHz");
_Static_assert(BOARD_CLOCK_HZ <= 168000000u, "more than 168 MHz needs over-drive");
_Static_assert(PLL_N(SOURCE_HZ) * PLL_INPUT_HZ(SOURCE_HZ) >= 100000000u,
               "the PLL runs from 100 to 432 MHz");

enum { PRESCALERS = RCC_CFGR_PPRE1_DIV4 | RCC_CFGR_PPRE2_DIV2 };

void port_empty_caches(void) {
    (void)empty_caches();
}

/* Returns 0, or what never came; the core runs from the HSI then, and so do the buses. */
static uint32_t start(void) {
    uint32_t pll = PLL(SOURCE_HZ) | PLL_SOURCE;
    RCC_CR |= HSE & RCC_CR_HSEBYP; /* before it is on: RM0090 section 7.3.1 */
    RCC_CR |= HSE;
    if (HSE != 0 && !reads(&RCC_CR, RCC_CR_HSERDY, RCC_CR_HSERDY)) {
        /* A dead crystal: the HSI gives the same clock, within 1 %. The host reads PLLCFGR. */
        RCC_CR &= ~(uint32_t)RCC_CR_HSEON;
        pll = PLL(CLOCK_HSI_HZ);
    }
    RCC_PLLCFGR = (RCC_PLLCFGR & RCC_PLLCFGR_RESERVED) | pll;
    RCC_CR |= RCC_CR_PLLON;
    if (!reads(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY)) {
        return LINK_START_PLL;
    }
    if (!empty_caches()) { /* of lines of the image before this one */
        return LINK_START_WAIT_STATES;
    }
    /* In a store of their own, as they take up to 16 cycles: RM0090 section 7.3.3. */
    RCC_CFGR = PRESCALERS;
    if (!reads(&RCC_CFGR, PRESCALERS, PRESCALERS)) {
        return LINK_START_SWITCH;
    }
    RCC_CFGR = PRESCALERS | RCC_CFGR_SW_PLL;
    if (!reads(&RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_PLL)) {
        RCC_CFGR = 0;
        return LINK_START_SWITCH;
    }
    return 0;
}

uint32_t clock_start(void) {
    DBGMCU_CR |= DBGMCU_CR_SLEEP; /* or the cycle counter stands in WFI: RM0090 section 38.16.1 */
    RCC_APB1ENR |= RCC_APB1ENR_PWR;
    (void)RCC_APB1ENR; /* the enable takes two cycles: RM0090 section 7.2.13 */
    PWR_CR |= PWR_CR_VOS;
    const uint32_t missing = start();
    return missing == 0 && !sdram_start() ? (uint32_t)LINK_START_SDRAM : missing;
}
