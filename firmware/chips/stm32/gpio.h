/* General-purpose ports, the same in the STM32F4 and the STM32L4. The chip's registers.h says where
 * the first is, GPIO_BASE. Source: RM0090 section 8.4, RM0432 section 8.4. */
#ifndef HIL_STM32_GPIO_H
#define HIL_STM32_GPIO_H

#include <stdint.h>

#include "chips/stm32/register.h"

/* A = 0 to K = 10 */
#define GPIO(port, offset) REGISTER(GPIO_BASE + 0x400u * (port) + (offset))
#define GPIO_MODER(port) GPIO(port, 0x00u)
#define GPIO_OSPEEDR(port) GPIO(port, 0x08u)
#define GPIO_PUPDR(port) GPIO(port, 0x0Cu)
#define GPIO_AFR(port, half) GPIO(port, 0x20u + 4u * (half))

/* Give a pin to a peripheral. An open line reads idle. */
static inline void gpio_connect(uint32_t port, uint32_t pin, uint32_t alternate) {
    const uint32_t two = 2u * pin, four = 4u * (pin % 8u);
    GPIO_AFR(port, pin / 8u) = (GPIO_AFR(port, pin / 8u) & ~(15u << four)) | alternate << four;
    GPIO_OSPEEDR(port) |= 2u << two;
    GPIO_PUPDR(port) = (GPIO_PUPDR(port) & ~(3u << two)) | 1u << two;
    GPIO_MODER(port) = (GPIO_MODER(port) & ~(3u << two)) | 2u << two;
}

/* Make a pin an input again, as after reset. */
static inline void gpio_release(uint32_t port, uint32_t pin) {
    GPIO_MODER(port) &= ~(3u << 2u * pin);
}

#endif
