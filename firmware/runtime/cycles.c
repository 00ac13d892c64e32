/* Without TRCENA the counter reads 0 for ever, unless a debugger happens to have set it. */
#include "cycles.h"

#include "core.h"

bool cycles_start(void) {
    SCB_DEMCR |= SCB_DEMCR_TRCENA;
    DWT_CYCCNT = 0;
    DWT_CTRL |= DWT_CTRL_CYCCNTENA;
    const uint32_t before = DWT_CYCCNT;
    for (uint32_t attempt = 0; attempt < 100; attempt++) {
        if (DWT_CYCCNT != before) {
            return true;
        }
    }
    return false;
}

uint32_t cycles_now(void) {
    /* Nothing of what is counted may move across the read. */
    __asm__ volatile("" ::: "memory");
    const uint32_t count = DWT_CYCCNT;
    __asm__ volatile("" ::: "memory");
    return count;
}
