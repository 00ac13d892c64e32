/* The link's serial port of an STM32L4: a USART, or the low-power one. */
#include "clock.h"
#include "registers.h"

#define PINS_ARE(port, tx, rx)                                                                     \
    (BOARD_TX_PORT == (port) && BOARD_RX_PORT == (port) && BOARD_TX_PIN == (tx) &&                 \
     BOARD_RX_PIN == (rx))

/* Pins and interrupt of each port: STM32L4R5 data sheet tables 16 and 17, RM0432 table 78. */
enum { PORT = BOARD_TX_PORT, TX = BOARD_TX_PIN, RX = BOARD_RX_PIN, G = 6 };
#if defined(BOARD_UART_lpuart1)
enum { IRQ = 70, ALTERNATE = 8 };
_Static_assert(PINS_ARE(6, 7, 8) || PINS_ARE(2, 1, 0), "lpuart1 is on PG7, PG8 or PC1, PC0");
#define BASE 0x40008000u
#define ENABLE() (RCC_APB1ENR2 |= 1u << 0)
#elif defined(BOARD_UART_usart1)
enum { IRQ = 37, ALTERNATE = 7 };
_Static_assert(PINS_ARE(0, 9, 10) || PINS_ARE(1, 6, 7), "usart1 is on PA9, PA10 or PB6, PB7");
#define BASE 0x40013800u
#define ENABLE() (RCC_APB2ENR |= 1u << 14)
#elif defined(BOARD_UART_usart2)
enum { IRQ = 38, ALTERNATE = 7 };
_Static_assert(PINS_ARE(0, 2, 3) || PINS_ARE(3, 5, 6), "usart2 is on PA2, PA3 or PD5, PD6");
#define BASE 0x40004400u
#define ENABLE() (RCC_APB1ENR1 |= 1u << 17)
#elif defined(BOARD_UART_usart3)
enum { IRQ = 39, ALTERNATE = 7 };
_Static_assert(PINS_ARE(3, 8, 9) || PINS_ARE(1, 10, 11) || PINS_ARE(2, 10, 11) || PINS_ARE(2, 4, 5),
               "usart3 is on PD8, PD9 or PB10, PB11 or PC10, PC11 or PC4, PC5");
#define BASE 0x40004800u
#define ENABLE() (RCC_APB1ENR1 |= 1u << 18)
#else
#error "the board's link.uart must be lpuart1, usart1, usart2 or usart3"
#endif

/* Cycles of the bus in SCALE bits: RM0432 sections 49.5.7 and 50.4.7. */
#if defined(BOARD_UART_lpuart1)
enum { SCALE = 256, LEAST_DIVIDER = 0x300, MOST_DIVIDER = 0xFFFFF };
#else
enum { SCALE = 1, LEAST_DIVIDER = 16, MOST_DIVIDER = 0xFFFF };
#endif
#define DIVIDER_AT(hz) ((uint32_t)(((uint64_t)(hz) * SCALE + BOARD_BAUD / 2u) / BOARD_BAUD))
#define DIVIDER DIVIDER_AT(CLOCK_APB_HZ)
#define REACHED ((uint64_t)CLOCK_APB_HZ * SCALE / DIVIDER)
_Static_assert(DIVIDER >= LEAST_DIVIDER && DIVIDER <= MOST_DIVIDER,
               "the port cannot reach this baud rate");
_Static_assert(REACHED * 100u > BOARD_BAUD * UINT64_C(98) &&
                   REACHED * 100u < BOARD_BAUD * UINT64_C(102),
               "the nearest baud rate is off by more than 2 %");

/* For the one report that the clock did not start. */
#define DIVIDER_ON_HSI DIVIDER_AT(CLOCK_HSI_HZ)

static void enable(void) {
    if (PORT == G) {
        PWR_CR2 |= PWR_CR2_IOSV; /* VDDIO2 supplies PG2 to PG15: RM0432 section 5.1.3 */
    }
    RCC_AHB2ENR |= 1u << PORT;
    ENABLE();
    (void)RCC_AHB2ENR;
}

#include "chips/stm32/link_usart.h"
