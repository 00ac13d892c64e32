/* Wait states and caches of the flash, the same in the STM32F4 and the STM32L4. Included by a
 * chip's clock.c, behind its registers.h, which says where FLASH_ACR is. Source: RM0090
 * sections 3.5.1 and 3.9.1, RM0432 sections 3.3.3 and 3.7.1. */
#ifndef HIL_STM32_FLASH_ACCESS_H
#define HIL_STM32_FLASH_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "board.h"

enum {
    FLASH_ACR_LATENCY = 15 << 0,
    FLASH_ACR_PRFTEN = 1 << 8,
    FLASH_ACR_ICEN = 1 << 9,
    FLASH_ACR_DCEN = 1 << 10,
    FLASH_ACR_ICRST = 1 << 11,
    FLASH_ACR_DCRST = 1 << 12,
    /* Over 20 ms at 16 MHz: a crystal takes 2 ms, a PLL 0.3 ms (STM32F439 data sheet, tables 36 and
     * 42). */
    MOST_POLLS = 40000,
};

__attribute__((noinline)) static bool reads(volatile uint32_t *word, uint32_t mask,
                                            uint32_t wanted) {
    for (uint32_t polls = 0; polls < MOST_POLLS; polls++) {
        if ((*word & mask) == wanted) {
            return true;
        }
    }
    return false;
}

/* Returns whether the wait states came into force: the manuals have them read back. */
__attribute__((noinline)) static bool access(uint32_t caches) {
    FLASH_ACR = caches | BOARD_FLASH_WAIT_STATES;
    return reads(&FLASH_ACR, FLASH_ACR_LATENCY, BOARD_FLASH_WAIT_STATES);
}

static bool empty_caches(void) {
    /* The reset bits act only on caches that are off already. */
    return access(0) && access(FLASH_ACR_ICRST | FLASH_ACR_DCRST) && access(0) &&
           access(FLASH_ACR_PRFTEN | FLASH_ACR_ICEN | FLASH_ACR_DCEN);
}

#endif
