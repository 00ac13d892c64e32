/* The serial ports of an STM32L4 at which it may be greeted: USARTs, and the low-power one. */
#include "clock.h"
#include "registers.h"

#include "chips/stm32/serial_port.h"

/* Addresses and bits: RM0432 sections 2.2 and 6.4; interrupts: table 78; dividers: sections 49.5.7
 * and 50.4.7. Pins of each port: STM32L4R5 data sheet tables 16 and 17. */
#define LOW_POWER .scale = 256, .least = 0x300, .most = 0xFFFFF, .alternate = 8
#define ORDINARY .scale = 1, .least = 16, .most = 0xFFFF, .alternate = 7
#define SERIAL_lpuart1                                                                             \
    .base = 0x40008000u, .clock = RCC_APB1ENR2_AT, .clock_bit = 0, .irq = 70, LOW_POWER
#define SERIAL_usart1                                                                              \
    .base = 0x40013800u, .clock = RCC_APB2ENR_AT, .clock_bit = 14, .irq = 37, ORDINARY
#define SERIAL_usart2                                                                              \
    .base = 0x40004400u, .clock = RCC_APB1ENR1_AT, .clock_bit = 17, .irq = 38, ORDINARY
#define SERIAL_usart3                                                                              \
    .base = 0x40004800u, .clock = RCC_APB1ENR1_AT, .clock_bit = 18, .irq = 39, ORDINARY
#define FITS_lpuart1 SERIAL_FITS(CLOCK_APB_HZ, 256, 0x300, 0xFFFFF, BOARD_BAUD)
#define FITS_ORDINARY SERIAL_FITS(CLOCK_APB_HZ, 1, 16, 0xFFFF, BOARD_BAUD)
#define FITS_usart1 FITS_ORDINARY
#define FITS_usart2 FITS_ORDINARY
#define FITS_usart3 FITS_ORDINARY
#define PAIR(tx_port, tx, rx_port, rx) ((tx_port) << 12 | (tx) << 8 | (rx_port) << 4 | (rx))
#define PINS_lpuart1(pins) ((pins) == PAIR(6, 7, 6, 8) || (pins) == PAIR(2, 1, 2, 0))
#define PINS_usart1(pins) ((pins) == PAIR(0, 9, 0, 10) || (pins) == PAIR(1, 6, 1, 7))
#define PINS_usart2(pins) ((pins) == PAIR(0, 2, 0, 3) || (pins) == PAIR(3, 5, 3, 6))
#define PINS_usart3(pins)                                                                          \
    ((pins) == PAIR(3, 8, 3, 9) || (pins) == PAIR(1, 10, 1, 11) || (pins) == PAIR(2, 10, 2, 11) || \
     (pins) == PAIR(2, 4, 2, 5))
enum { G = 6 };

#define PORT_ENTRY(uart, tx_at, tx_pin, rx_at, rx_pin)                                             \
    {                                                                                              \
        SERIAL_##uart,  .bus_hz = CLOCK_APB_HZ, .tx_port = (tx_at),                                \
        .tx = (tx_pin), .rx_port = (rx_at),     .rx = (rx_pin),                                    \
    },
#define PORT_CHECK(uart, tx_at, tx_pin, rx_at, rx_pin)                                             \
    _Static_assert(PINS_##uart(PAIR(tx_at, tx_pin, rx_at, rx_pin)), #uart " is on other pins");    \
    _Static_assert(FITS_##uart, #uart " cannot reach this baud rate within 2 %");

static const serial_port_t ports[] = {BOARD_PORTS(PORT_ENTRY)};
BOARD_PORTS(PORT_CHECK)

static void enable_gpio(uint32_t port) {
    if (port == G) {
        PWR_CR2 |= PWR_CR2_IOSV; /* VDDIO2 supplies PG2 to PG15: RM0432 section 5.1.3 */
    }
    RCC_AHB2ENR |= 1u << port;
    (void)RCC_AHB2ENR;
}

#include "chips/stm32/link_usart.h"
