/* The clock tree that BOARD_CLOCK_HZ asks for. */
#ifndef HIL_STM32L4_CLOCK_H
#define HIL_STM32L4_CLOCK_H

#include <stdint.h>

#include "board.h"

/* The buses bear the core's clock, up to 120 MHz: RM0432 section 6.2. */
#define CLOCK_APB_HZ BOARD_CLOCK_HZ

/* The buses where the clock did not start: they run at the internal oscillator's speed. */
#define CLOCK_HSI_HZ 16000000u

uint32_t clock_start(void); /* 0, or what of it never came: LINK_START_... */

#endif
