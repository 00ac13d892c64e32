/* The core clock out of the board's source. Each step waits for what RM0432 says that it needs. */
#include "clock.h"

#include "registers.h"

#include "chips/stm32/clock_source.h"
#include "chips/stm32/flash_access.h"
#include "runtime/link_messages.h"
#include "runtime/port.h"

/* 4 MHz into the PLL, times N, over R = 2: RM0432 section 6.4.4. */
#define PLL_INPUT_HZ 4000000u
#define PLL_M(source_hz) ((source_hz) / PLL_INPUT_HZ)
#define PLL_R 2u
#define PLL_N (BOARD_CLOCK_HZ * PLL_R / PLL_INPUT_HZ)
#define PLL(source_hz) ((PLL_M(source_hz) - 1u) << 4 | PLL_N << 8 | (PLL_R / 2u - 1u) << 25)

_Static_assert(SOURCE_HZ % PLL_INPUT_HZ == 0, "the clock's source must be a multiple of 4 MHz");
_Static_assert(PLL_M(SOURCE_HZ) >= 1u && PLL_M(SOURCE_HZ) <= 16u,
               "the clock's source must have 4 to 64 MHz");
_Static_assert(BOARD_CLOCK_HZ % (PLL_INPUT_HZ / PLL_R) == 0,
               "the clock must be a multiple of 2 MHz");
_Static_assert(BOARD_CLOCK_HZ <= 120000000u, "the chip bears 120 MHz");
_Static_assert(PLL_N *PLL_INPUT_HZ >= 64000000u, "the PLL runs from 64 to 344 MHz");

enum {
    BOOST_ABOVE_HZ = 80000000,  /* range 1 needs its boost: RM0432 section 5.1.8 */
    HALVES_ABOVE_HZ = 80000000, /* a step past it goes by half the clock: RM0432 section 6.2.9 */
};

void port_empty_caches(void) {
    (void)empty_caches();
}

/* Range 1, with its boost where the clock needs it. */
static void set_regulator(void) {
    RCC_APB1ENR1 |= RCC_APB1ENR1_PWR;
    (void)RCC_APB1ENR1; /* the enable takes two cycles: RM0432 section 6.2.18 */
    PWR_CR1 = (PWR_CR1 & ~(uint32_t)PWR_CR1_VOS) | PWR_CR1_VOS_RANGE_1;
    (void)reads(&PWR_SR2, PWR_SR2_VOSF, 0);
    if (BOARD_CLOCK_HZ > BOOST_ABOVE_HZ) {
        PWR_CR5 &= ~(uint32_t)PWR_CR5_R1MODE;
    }
}

/* Returns whether the core now runs from `source`, an RCC_CFGR.SW, after an AHB divider. */
static bool switch_to(uint32_t source, uint32_t divider) {
    RCC_CFGR = divider | source;
    return reads(&RCC_CFGR, RCC_CFGR_SWS, source << 2);
}

/* Half the clock for at least a microsecond. */
static void rest(void) {
    for (volatile uint32_t turns = 0; turns < 120u; turns++) {
    }
}

/* Returns 0, or what never came; the core runs from the HSI then, and so do the buses. */
uint32_t clock_start(void) {
    uint32_t pll = PLL(SOURCE_HZ) | PLL_SOURCE;
    DBGMCU_CR |= DBGMCU_CR_SLEEP; /* or the cycle counter stands in WFI: RM0432 section 57.16 */
    set_regulator();
    RCC_CR |= RCC_CR_HSION;
    if (!reads(&RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY) || !switch_to(RCC_CFGR_SW_HSI, 0)) {
        return LINK_START_SWITCH;
    }
    RCC_CR |= HSE & RCC_CR_HSEBYP; /* before it is on: RM0432 section 6.4.1 */
    RCC_CR |= HSE;
    if (HSE != 0 && !reads(&RCC_CR, RCC_CR_HSERDY, RCC_CR_HSERDY)) {
        /* A dead crystal: the HSI gives the same clock, within 1 %. The host reads PLLCFGR. */
        RCC_CR &= ~(uint32_t)RCC_CR_HSEON;
        pll = PLL(CLOCK_HSI_HZ) | RCC_PLLCFGR_HSI;
    }
    RCC_PLLCFGR = pll;
    RCC_CR |= RCC_CR_PLLON;
    if (!reads(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY)) {
        return LINK_START_PLL;
    }
    RCC_PLLCFGR |= RCC_PLLCFGR_REN;
    if (!empty_caches()) { /* of lines of the image before this one */
        return LINK_START_WAIT_STATES;
    }
    if (!switch_to(RCC_CFGR_SW_PLL, BOARD_CLOCK_HZ > HALVES_ABOVE_HZ ? RCC_CFGR_HPRE_DIV2 : 0)) {
        RCC_CFGR = RCC_CFGR_SW_HSI;
        return LINK_START_SWITCH;
    }
    rest();
    RCC_CFGR = RCC_CFGR_SW_PLL;
    return 0;
}
