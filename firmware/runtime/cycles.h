/* Cycle counts out of the core's own counter, DWT CYCCNT. */
#ifndef HIL_CYCLES_H
#define HIL_CYCLES_H

#include <stdbool.h>
#include <stdint.h>

/* Starts the counter, debugger attached or not. Returns false where it does not count. */
bool cycles_start(void);

/* The counter, which wraps at 2**32: 25.6 s at 168 MHz. A difference of two reads is right up to
 * there, so that a layer may take that long and a run, summed in 64 bits, any time. */
uint32_t cycles_now(void);

#endif
