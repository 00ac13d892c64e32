/* The link's bytes: polled while they flow, asleep while none do. The board is heard on all of its
 * ports until it is greeted on one; a pin drives its line only where a whole frame has come in. The
 * status bits stand at the same places in the STM32F4's USART_SR and the STM32L4's USART_ISR.
 *
 * Included at the end of a chip's uart.c, which has defined `ports` and enable_gpio(); its
 * registers.h defines USART_STATUS, USART_RECEIVED, USART_SENT, and USART_FORGET, which clears
 * error flags. */
#include <stdint.h>

#include "chips/stm32/gpio.h"
#include "runtime/core.h"
#include "runtime/port.h"

enum {
    USART_FE = 1 << 1,
    USART_NF = 1 << 2,
    USART_ORE = 1 << 3,
    USART_RXNE = 1 << 5,
    USART_TC = 1 << 6,
    USART_TXE = 1 << 7,
    PORTS = sizeof ports / sizeof *ports,
};
_Static_assert(PORTS >= 1 && PORTS <= (int)PORT_MOST, "the board has no port, or too many");

/* Outlives a reset, so that a chip that has reset by itself says so where it was talked to. Random
 * after power-on: the low byte is a port only behind this mark. */
#define TALKED 0x7A1CED00u
static uint32_t talked __attribute__((section(".bss.noinit")));

static port_errors_t errors;
static uint32_t talks;   /* the port that is talked on, PORTS for none */
static uint32_t unheard; /* bits of ports that are not listened to */
static bool clock_runs;

static uint32_t bus_hz(uint32_t port) {
    return clock_runs ? ports[port].bus_hz : CLOCK_HSI_HZ;
}

static void set_divider(uint32_t port, uint32_t baud) {
    const uint32_t base = ports[port].base;
    USART_CR1(base) &= ~(uint32_t)USART_CR1_UE; /* or an STM32L4 keeps its divider */
    USART_BRR(base) = serial_divider(&ports[port], bus_hz(port), baud);
    USART_CR1(base) |= USART_CR1_UE;
}

static void listen(uint32_t port) {
    const serial_port_t *at = &ports[port];
    enable_gpio(at->rx_port);
    enable_gpio(at->tx_port);
    REGISTER(at->clock) |= 1u << at->clock_bit;
    (void)REGISTER(at->clock);
    gpio_connect(at->rx_port, at->rx, at->alternate);
    USART_CR1(at->base) = USART_CR1_RE | USART_CR1_RXNEIE;
    set_divider(port, BOARD_BAUD);
    /* Interrupts are masked for ever: a pending one ends WFI all the same and runs no handler. */
    NVIC_ISER(at->irq) = NVIC_BIT(at->irq);
}

uint32_t port_open(void) {
    const uint32_t missing = clock_start();
    clock_runs = missing == 0;
    talks = PORTS;
    for (uint32_t port = 0; port < PORTS; port++) {
        listen(port);
    }
    if (PORTS == 1) {
        port_talk_on(0); /* it is the board's by its file */
    } else if ((talked & ~0xFFu) == TALKED && (talked & 0xFFu) < PORTS) {
        port_talk_on(talked & 0xFFu);
    }
    return missing;
}

bool port_is_open(void) {
    return talks < PORTS &&
           serial_divider(&ports[talks], bus_hz(talks), BOARD_BAUD) >= ports[talks].least;
}

uint32_t port_talks_on(void) {
    return talks;
}

void port_talk_on(uint32_t port) {
    if (talks == port) {
        return;
    }
    if (talks < PORTS) {
        USART_CR1(ports[talks].base) &= ~(uint32_t)USART_CR1_TE;
        gpio_release(ports[talks].tx_port, ports[talks].tx);
    }
    talks = port;
    talked = TALKED | port;
    gpio_connect(ports[port].tx_port, ports[port].tx, ports[port].alternate);
    USART_CR1(ports[port].base) |= USART_CR1_TE;
}

void port_settle(void) {
    for (uint32_t port = 0; port < PORTS; port++) {
        if (port != talks) {
            unheard |= 1u << port;
            USART_CR1(ports[port].base) = 0;
        }
    }
}

/* Whether a byte has come on a port; line errors count where the board is talked to. */
static bool take(uint32_t port, uint8_t *byte) {
    const uint32_t base = ports[port].base, status = USART_STATUS(base);
    if ((status & (USART_RXNE | USART_ORE)) == 0) {
        return false;
    }
    *byte = (uint8_t)USART_RECEIVED(base); /* after the status */
    USART_FORGET(base, status);
    if (port == talks) {
        errors.overruns += (status & USART_ORE) != 0;
        errors.framing += (status & (USART_FE | USART_NF)) != 0;
    }
    return (status & USART_RXNE) != 0;
}

static uint32_t take_any(uint8_t *byte) {
    uint32_t port = 0;
    while (port < PORTS && ((unheard >> port & 1u) != 0 || !take(port, byte))) {
        port++;
    }
    return port;
}

uint32_t port_listen(uint8_t *byte) {
    for (;;) {
        uint32_t port = take_any(byte);
        if (port == PORTS) {
            /* What comes after these lines is pending again when WFI looks; what came before them,
             * the second look finds. */
            for (uint32_t i = 0; i < PORTS; i++) {
                NVIC_ICPR(ports[i].irq) = NVIC_BIT(ports[i].irq);
            }
            port = take_any(byte);
        }
        if (port < PORTS) {
            return port;
        }
        __asm__ volatile("dsb\n\twfi" ::: "memory");
    }
}

uint8_t port_receive(void) {
    uint8_t byte = 0;
    while (port_listen(&byte) != talks) {
    }
    return byte;
}

bool port_reaches(uint32_t baud) {
    /* Slower than the board's file says: so the nearest divider is at least as near. */
    return baud > 0 && baud <= BOARD_BAUD &&
           serial_divider(&ports[talks], bus_hz(talks), baud) <= ports[talks].most;
}

void port_use_baud(uint32_t baud) {
    set_divider(talks, baud);
}

void port_send(uint8_t byte) {
    const uint32_t base = ports[talks].base;
    while ((USART_STATUS(base) & USART_TXE) == 0) {
    }
    USART_SENT(base) = byte;
}

void port_drain(void) {
    const uint32_t base = ports[talks].base;
    while ((USART_STATUS(base) & USART_TC) == 0) {
    }
}

port_errors_t port_errors(void) {
    return errors;
}
