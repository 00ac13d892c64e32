/* How deep the stack has been. */
#ifndef HIL_STACK_H
#define HIL_STACK_H

#include <stdint.h>

void stack_paint(void); /* all that lies below the caller's frame */

uint32_t stack_bytes(void);      /* reserved */
uint32_t stack_high_water(void); /* bytes used at the deepest since it was painted */

#endif
