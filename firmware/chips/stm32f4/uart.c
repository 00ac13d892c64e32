/* The serial ports of an STM32F4 at which it may be greeted. */
#include "clock.h"
#include "registers.h"

#include "chips/stm32/serial_port.h"

/* Addresses and bits: RM0090 sections 2.3 and 7.3; interrupts: table 62; least divider: section
 * 30.3.4. Pins of each port: data sheet table 12. */
#define AT_APB1 .clock = RCC_APB1ENR_AT, .bus_hz = CLOCK_APB1_HZ
#define AT_APB2 .clock = RCC_APB2ENR_AT, .bus_hz = CLOCK_APB2_HZ
#define SERIAL_usart1 .base = 0x40011000u, .clock_bit = 4, .irq = 37, AT_APB2
#define SERIAL_usart2 .base = 0x40004400u, .clock_bit = 17, .irq = 38, AT_APB1
#define SERIAL_usart3 .base = 0x40004800u, .clock_bit = 18, .irq = 39, AT_APB1
#define BUS_HZ_usart1 CLOCK_APB2_HZ
#define BUS_HZ_usart2 CLOCK_APB1_HZ
#define BUS_HZ_usart3 CLOCK_APB1_HZ
#define WHERE_usart1 "usart1 is on PA9, PA10 or PB6, PB7"
#define WHERE_usart2 "usart2 is on PA2, PA3 or PD5, PD6"
#define WHERE_usart3 "usart3 is on PD8, PD9 or PB10, PB11 or PC10, PC11"
#define PAIR(tx_port, tx, rx_port, rx) ((tx_port) << 12 | (tx) << 8 | (rx_port) << 4 | (rx))
#define PINS_usart1(pins) ((pins) == PAIR(0, 9, 0, 10) || (pins) == PAIR(1, 6, 1, 7))
#define PINS_usart2(pins) ((pins) == PAIR(0, 2, 0, 3) || (pins) == PAIR(3, 5, 3, 6))
#define PINS_usart3(pins)                                                                          \
    ((pins) == PAIR(3, 8, 3, 9) || (pins) == PAIR(1, 10, 1, 11) || (pins) == PAIR(2, 10, 2, 11))
enum { LEAST_DIVIDER = 16, MOST_DIVIDER = 0xFFFF, ALTERNATE = 7 };

#define PORT_ENTRY(uart, tx_at, tx_pin, rx_at, rx_pin)                                             \
    {                                                                                              \
        SERIAL_##uart,          .scale = 1,         .least = LEAST_DIVIDER, .most = MOST_DIVIDER,  \
        .alternate = ALTERNATE, .tx_port = (tx_at), .tx = (tx_pin),         .rx_port = (rx_at),    \
        .rx = (rx_pin),                                                                            \
    },
#define PORT_CHECK(uart, tx_at, tx_pin, rx_at, rx_pin)                                             \
    _Static_assert(PINS_##uart(PAIR(tx_at, tx_pin, rx_at, rx_pin)), WHERE_##uart);                 \
    _Static_assert(SERIAL_FITS(BUS_HZ_##uart, 1, LEAST_DIVIDER, MOST_DIVIDER, BOARD_BAUD),         \
                   #uart " cannot reach this baud rate within 2 %");

static const serial_port_t ports[] = {BOARD_PORTS(PORT_ENTRY)};
BOARD_PORTS(PORT_CHECK)

static void enable_gpio(uint32_t port) {
    RCC_AHB1ENR |= 1u << port;
    (void)RCC_AHB1ENR;
}

#include "chips/stm32/link_usart.h"
