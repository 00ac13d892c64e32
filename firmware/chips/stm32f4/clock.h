/* The clock tree that BOARD_CLOCK_HZ asks for. */
#ifndef HIL_STM32F4_CLOCK_H
#define HIL_STM32F4_CLOCK_H

#include <stdint.h>

#include "board.h"

/* Dividers that keep the buses below 45 and 90 MHz (RM0090 section 7.2) at any core clock. */
#define CLOCK_APB1_HZ (BOARD_CLOCK_HZ / 4u)
#define CLOCK_APB2_HZ (BOARD_CLOCK_HZ / 2u)

/* The buses where the clock did not start: they run at the internal oscillator's speed. */
#define CLOCK_HSI_HZ 16000000u

uint32_t clock_start(void); /* 0, or what of it never came: LINK_START_... */

#endif
