/* External memory of a board that has some. */
#ifndef HIL_STM32F4_SDRAM_H
#define HIL_STM32F4_SDRAM_H

#include <stdbool.h>

/* Bring it up, once the clocks run; whether it came. There is nothing to do on a board without. */
bool sdram_start(void);

#endif
