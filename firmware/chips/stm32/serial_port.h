/* A serial port at which the firmware may be greeted. A chip's uart.c has the list of the board's,
 * from BOARD_PORTS. */
#ifndef HIL_STM32_SERIAL_PORT_H
#define HIL_STM32_SERIAL_PORT_H

#include <stdint.h>

typedef struct {
    uint32_t base;        /* of its registers */
    uint32_t clock;       /* the register of RCC that switches it on, and the bit there */
    uint32_t clock_bit;   /* ... */
    uint32_t bus_hz;      /* of the clock that it divides */
    uint32_t scale;       /* cycles of that clock are counted in this many parts */
    uint32_t least, most; /* divider */
    uint8_t irq;          /* its interrupt */
    uint8_t alternate;    /* the function of its pins */
    uint8_t tx_port, tx;  /* the pin that it sends on; port 0 is A */
    uint8_t rx_port, rx;  /* the pin that it hears on */
} serial_port_t;

/* The divider nearest to a baud rate. No product exceeds 32 bits: baud * scale is below 2^32. */
static inline uint32_t serial_divider(const serial_port_t *port, uint32_t bus_hz, uint32_t baud) {
    return bus_hz / baud * port->scale + (bus_hz % baud * port->scale + baud / 2u) / baud;
}

/* Whether the nearest divider is in range and at most 2 % off: for constants. */
#define SERIAL_PARTS(bus_hz, scale) ((uint64_t)(bus_hz) * (scale))
#define SERIAL_DIVIDER(bus_hz, scale, baud) ((SERIAL_PARTS(bus_hz, scale) + (baud) / 2u) / (baud))
#define SERIAL_REACHED(bus_hz, scale, baud)                                                        \
    (SERIAL_PARTS(bus_hz, scale) / SERIAL_DIVIDER(bus_hz, scale, baud))
#define SERIAL_FITS(bus_hz, scale, least, most, baud)                                              \
    (SERIAL_DIVIDER(bus_hz, scale, baud) >= (least) &&                                             \
     SERIAL_DIVIDER(bus_hz, scale, baud) <= (most) &&                                              \
     SERIAL_REACHED(bus_hz, scale, baud) * 100u > (baud) * UINT64_C(98) &&                         \
     SERIAL_REACHED(bus_hz, scale, baud) * 100u < (baud) * UINT64_C(102))

#endif
