/* A register of the chip. */
#ifndef HIL_STM32_REGISTER_H
#define HIL_STM32_REGISTER_H

#define REGISTER(address) (*(volatile uint32_t *)(address))

#endif
