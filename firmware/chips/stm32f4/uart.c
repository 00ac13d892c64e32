/* The link's USART of an STM32F4. */
#include "clock.h"
#include "registers.h"

#define PINS_ARE(port, tx, rx)                                                                     \
    (BOARD_TX_PORT == (port) && BOARD_RX_PORT == (port) && BOARD_TX_PIN == (tx) &&                 \
     BOARD_RX_PIN == (rx))

/* Pins and interrupt of each port: data sheet table 12, RM0090 table 62. */
enum { PORT = BOARD_TX_PORT, TX = BOARD_TX_PIN, RX = BOARD_RX_PIN, ALTERNATE = 7 };
#if defined(BOARD_UART_usart1)
enum { IRQ = 37 };
_Static_assert(PINS_ARE(0, 9, 10) || PINS_ARE(1, 6, 7), "usart1 is on PA9, PA10 or PB6, PB7");
#define BASE 0x40011000u
#define BUS_HZ CLOCK_APB2_HZ
#define ENABLE() (RCC_APB2ENR |= 1u << 4)
#elif defined(BOARD_UART_usart2)
enum { IRQ = 38 };
_Static_assert(PINS_ARE(0, 2, 3) || PINS_ARE(3, 5, 6), "usart2 is on PA2, PA3 or PD5, PD6");
#define BASE 0x40004400u
#define BUS_HZ CLOCK_APB1_HZ
#define ENABLE() (RCC_APB1ENR |= 1u << 17)
#elif defined(BOARD_UART_usart3)
enum { IRQ = 39 };
_Static_assert(PINS_ARE(3, 8, 9) || PINS_ARE(1, 10, 11) || PINS_ARE(2, 10, 11),
               "usart3 is on PD8, PD9 or PB10, PB11 or PC10, PC11");
#define BASE 0x40004800u
#define BUS_HZ CLOCK_APB1_HZ
#define ENABLE() (RCC_APB1ENR |= 1u << 18)
#else
#error "the board's link.uart must be usart1, usart2 or usart3"
#endif

#define DIVIDER ((BUS_HZ + BOARD_BAUD / 2u) / BOARD_BAUD)
enum { LEAST_DIVIDER = 16 }; /* RM0090 section 30.3.4 */
_Static_assert(DIVIDER >= LEAST_DIVIDER && DIVIDER <= 0xFFFF,
               "the USART cannot reach this baud rate");
_Static_assert(BUS_HZ / DIVIDER * 100u > BOARD_BAUD * 98u &&
                   BUS_HZ / DIVIDER * 100u < BOARD_BAUD * 102u,
               "the nearest baud rate is off by more than 2 %");

/* For the one report that the clock did not start. */
#define DIVIDER_ON_HSI ((CLOCK_HSI_HZ + BOARD_BAUD / 2u) / BOARD_BAUD)

static void enable(void) {
    RCC_AHB1ENR |= 1u << PORT;
    ENABLE();
    (void)RCC_AHB1ENR;
}

#include "chips/stm32/link_usart.h"
