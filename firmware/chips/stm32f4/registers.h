/* The registers of an STM32F4 that the firmware touches: RM0090 for the chip, PM0214 for the core.
 */
#ifndef HIL_STM32F4_REGISTERS_H
#define HIL_STM32F4_REGISTERS_H

#include <stdint.h>

#include "board.h"
#include "chips/stm32/register.h"

/* RM0090 section 7.3: reset and clock control */
#define RCC_CR REGISTER(0x40023800u)
#define RCC_PLLCFGR REGISTER(0x40023804u)
#define RCC_PLLCFGR_RESERVED 0xF0BC8000u /* to be kept as they are */
#define RCC_CFGR REGISTER(0x40023808u)
#define RCC_AHB1ENR REGISTER(0x40023830u)
#define RCC_AHB3ENR REGISTER(0x40023838u)
#define RCC_APB1ENR_AT 0x40023840u
#define RCC_APB2ENR_AT 0x40023844u
#define RCC_APB1ENR REGISTER(RCC_APB1ENR_AT)

enum {
    RCC_CR_HSEON = 1 << 16,
    RCC_CR_HSERDY = 1 << 17,
    RCC_CR_HSEBYP = 1 << 18,
    RCC_CR_PLLON = 1 << 24,
    RCC_CR_PLLRDY = 1 << 25,
    RCC_PLLCFGR_HSI = 0,
    RCC_PLLCFGR_HSE = 1 << 22,
    RCC_CFGR_SW_PLL = 2 << 0,
    RCC_CFGR_SWS = 3 << 2,
    RCC_CFGR_SWS_PLL = 2 << 2,
    RCC_CFGR_PPRE1_DIV4 = 5 << 10,
    RCC_CFGR_PPRE2_DIV2 = 4 << 13,
    RCC_AHB3ENR_FMC = 1 << 0,
    RCC_APB1ENR_PWR = 1 << 28,
};

/* RM0090 section 5.5: power control */
#define PWR_CR REGISTER(0x40007000u)

/* Scale 1: up to 168 MHz without over-drive. F405 and F407 have one bit for it. */
enum { PWR_CR_VOS = BOARD_DEV_ID == 0x413u ? 1 << 14 : 3 << 14 };

/* RM0090 section 3.9: flash interface */
#define FLASH_ACR REGISTER(0x40023C00u)

/* RM0090 section 37.7.5: SDRAM controller, banks 1 and 2 */
#define FMC_SDCR(bank) REGISTER(0xA0000140u + 4u * ((bank) - 1u))
#define FMC_SDTR(bank) REGISTER(0xA0000148u + 4u * ((bank) - 1u))
#define FMC_SDCMR REGISTER(0xA0000150u)
#define FMC_SDRTR REGISTER(0xA0000154u)
#define FMC_SDSR REGISTER(0xA0000158u)

enum { FMC_SDSR_BUSY = 1 << 5 };

/* RM0090 section 38.16: debug support; power-on resets it, a reset does not */
#define DBGMCU_CR REGISTER(0xE0042004u)

enum { DBGMCU_CR_SLEEP = 1 << 0 };

/* RM0090 section 8.4: general-purpose ports */
#define GPIO_BASE 0x40020000u

/* RM0090 section 30.6: serial ports, `base` as in table 1 of section 2.3 */
#define USART_STATUS(base) REGISTER((base) + 0x00u)
#define USART_RECEIVED(base) REGISTER((base) + 0x04u)
#define USART_SENT(base) REGISTER((base) + 0x04u)
#define USART_BRR(base) REGISTER((base) + 0x08u)
#define USART_CR1(base) REGISTER((base) + 0x0Cu)
#define USART_FORGET(base, status)                                                                 \
    ((void)(status)) /* the data's read has cleared the error flags */

enum {
    USART_CR1_RE = 1 << 2,
    USART_CR1_TE = 1 << 3,
    USART_CR1_RXNEIE = 1 << 5,
    USART_CR1_UE = 1 << 13,
};

#endif
