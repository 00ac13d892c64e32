/* What the core's clock is made from, as the board's file says. Included by a chip's clock.c,
 * behind its registers.h and clock.h, which say what RCC_PLLCFGR has for each source and how fast
 * the HSI is. */
#ifndef HIL_STM32_CLOCK_SOURCE_H
#define HIL_STM32_CLOCK_SOURCE_H

#include "board.h"

#if defined(BOARD_CLOCK_hsi)
#define SOURCE_HZ CLOCK_HSI_HZ
enum { HSE = 0, PLL_SOURCE = RCC_PLLCFGR_HSI };
#elif defined(BOARD_CLOCK_hse)
#define SOURCE_HZ BOARD_HSE_HZ
enum { HSE = RCC_CR_HSEON, PLL_SOURCE = RCC_PLLCFGR_HSE };
#elif defined(BOARD_CLOCK_hse_bypass)
#define SOURCE_HZ BOARD_HSE_HZ
enum { HSE = RCC_CR_HSEON | RCC_CR_HSEBYP, PLL_SOURCE = RCC_PLLCFGR_HSE };
#else
#error "the board's clock.source must be hsi, hse or hse-bypass"
#endif

#endif
