/* The registers of an STM32L4 that the firmware touches: RM0432. */
#ifndef HIL_STM32L4_REGISTERS_H
#define HIL_STM32L4_REGISTERS_H

#include <stdint.h>

#include "chips/stm32/register.h"

/* RM0432 section 6.4: reset and clock control */
#define RCC_CR REGISTER(0x40021000u)
#define RCC_CFGR REGISTER(0x40021008u)
#define RCC_PLLCFGR REGISTER(0x4002100Cu)
#define RCC_AHB2ENR REGISTER(0x4002104Cu)
#define RCC_APB1ENR1_AT 0x40021058u
#define RCC_APB1ENR2_AT 0x4002105Cu
#define RCC_APB2ENR_AT 0x40021060u
#define RCC_APB1ENR1 REGISTER(RCC_APB1ENR1_AT)

enum {
    RCC_CR_HSION = 1 << 8,
    RCC_CR_HSIRDY = 1 << 10,
    RCC_CR_HSEON = 1 << 16,
    RCC_CR_HSERDY = 1 << 17,
    RCC_CR_HSEBYP = 1 << 18,
    RCC_CR_PLLON = 1 << 24,
    RCC_CR_PLLRDY = 1 << 25,
    RCC_PLLCFGR_HSI = 2,
    RCC_PLLCFGR_HSE = 3,
    RCC_PLLCFGR_REN = 1 << 24,
    RCC_CFGR_SW_HSI = 1,
    RCC_CFGR_SW_PLL = 3,
    RCC_CFGR_SWS = 3 << 2,
    RCC_CFGR_SWS_HSI = 1 << 2,
    RCC_CFGR_SWS_PLL = 3 << 2,
    RCC_CFGR_HPRE = 15 << 4,
    RCC_CFGR_HPRE_DIV2 = 8 << 4,
    RCC_APB1ENR1_PWR = 1 << 28,
};

/* RM0432 section 5.4: power control */
#define PWR_CR1 REGISTER(0x40007000u)
#define PWR_CR2 REGISTER(0x40007004u)
#define PWR_SR2 REGISTER(0x40007014u)
#define PWR_CR5 REGISTER(0x40007080u)

enum {
    PWR_CR1_VOS = 3 << 9,
    PWR_CR1_VOS_RANGE_1 = 1 << 9,
    PWR_CR2_IOSV = 1 << 9,
    PWR_SR2_VOSF = 1 << 10,
    PWR_CR5_R1MODE = 1 << 8, /* range 1 without boost */
};

/* RM0432 section 3.7: flash interface */
#define FLASH_ACR REGISTER(0x40022000u)

/* RM0432 section 57.6: debug support */
#define DBGMCU_CR REGISTER(0xE0042004u)

enum { DBGMCU_CR_SLEEP = 1 << 0 };

/* RM0432 section 8.4: general-purpose ports */
#define GPIO_BASE 0x48000000u

/* RM0432 sections 49.8 and 50.7: serial ports */
#define USART_CR1(base) REGISTER((base) + 0x00u)
#define USART_BRR(base) REGISTER((base) + 0x0Cu)
#define USART_STATUS(base) REGISTER((base) + 0x1Cu)
#define USART_ICR(base) REGISTER((base) + 0x20u)
#define USART_RECEIVED(base) REGISTER((base) + 0x24u)
#define USART_SENT(base) REGISTER((base) + 0x28u)
#define USART_FORGET(base, status) (USART_ICR(base) = (status) & USART_ICR_ERRORS)

enum {
    USART_CR1_UE = 1 << 0,
    USART_CR1_RE = 1 << 2,
    USART_CR1_TE = 1 << 3,
    USART_CR1_RXNEIE = 1 << 5,
    USART_ICR_ERRORS = 15 << 0, /* overrun, noise, framing, parity */
};

#endif
