/* The core clock out of the internal oscillator, so that a board needs no crystal. */
#include "clock.h"

#include "registers.h"
#include "runtime/port.h"

/* HSI 16 MHz / 8 = 2 MHz into the PLL, times N, over P: RM0090 section 7.3.2. */
#define PLL_INPUT_HZ 2000000u
#define PLL_M 8u
#define PLL_P (BOARD_CLOCK_HZ < 60000000u ? 4u : 2u)
#define PLL_N (BOARD_CLOCK_HZ / PLL_INPUT_HZ * PLL_P)

_Static_assert(BOARD_CLOCK_HZ % PLL_INPUT_HZ == 0, "the clock must be a multiple of 2 MHz");
_Static_assert(BOARD_CLOCK_HZ <= 168000000u, "more than 168 MHz needs over-drive");
_Static_assert(PLL_N *PLL_INPUT_HZ >= 100000000u, "the PLL runs from 100 to 432 MHz");

/* The caches are reset while they are off: RM0090 section 3.9.1. */
void port_empty_caches(void) {
    FLASH_ACR = FLASH_ACR_ICRST | FLASH_ACR_DCRST | BOARD_FLASH_WAIT_STATES;
    FLASH_ACR = FLASH_ACR_PRFTEN | FLASH_ACR_ICEN | FLASH_ACR_DCEN | BOARD_FLASH_WAIT_STATES;
}

void clock_start(void) {
    RCC_APB1ENR |= RCC_APB1ENR_PWR;
    (void)RCC_APB1ENR; /* the enable takes two cycles: RM0090 section 7.2.13 */
    PWR_CR |= PWR_CR_VOS;

    port_empty_caches(); /* of lines of the image before this one */

    RCC_PLLCFGR = (RCC_PLLCFGR & RCC_PLLCFGR_RESERVED) | PLL_M | PLL_N << 6 |
                  (PLL_P / 2u - 1u) << 16 | 7u << 24; /* the source, bit 22, stays HSI */
    RCC_CR |= RCC_CR_PLLON;
    while ((RCC_CR & RCC_CR_PLLRDY) == 0) {
    }
    RCC_CFGR = RCC_CFGR_PPRE1_DIV4 | RCC_CFGR_PPRE2_DIV2 | RCC_CFGR_SW_PLL;
    while ((RCC_CFGR & RCC_CFGR_SWS) != RCC_CFGR_SWS_PLL) {
    }
}
