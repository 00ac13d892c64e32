/* The link's bytes: polled while they flow, asleep while none do. The status bits stand at the same
 * places in the STM32F4's USART_SR and the STM32L4's USART_ISR.
 *
 * Included at the end of a chip's uart.c, which has defined BASE and IRQ of the port; its
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
};

static port_errors_t errors;
static bool is_open;

uint32_t port_open(void) {
    const uint32_t missing = clock_start();
    enable();
    gpio_connect(PORT, TX, ALTERNATE);
    gpio_connect(PORT, RX, ALTERNATE);
    USART_BRR(BASE) = missing == 0 ? DIVIDER : DIVIDER_ON_HSI;
    USART_CR1(BASE) = USART_CR1_UE | USART_CR1_TE | USART_CR1_RE | USART_CR1_RXNEIE;

    /* Interrupts are masked for ever: a pending one ends WFI all the same and runs no handler. */
    NVIC_ISER(IRQ) = NVIC_BIT(IRQ);
    is_open = missing == 0 || DIVIDER_ON_HSI >= LEAST_DIVIDER;
    return missing;
}

bool port_is_open(void) {
    return is_open;
}

uint8_t port_receive(void) {
    for (;;) {
        uint32_t status = USART_STATUS(BASE);
        if ((status & (USART_RXNE | USART_ORE)) == 0) {
            /* What comes after this line is pending again when WFI looks; what came before it, the
             * second look finds. */
            NVIC_ICPR(IRQ) = NVIC_BIT(IRQ);
            status = USART_STATUS(BASE);
            if ((status & (USART_RXNE | USART_ORE)) == 0) {
                __asm__ volatile("dsb\n\twfi" ::: "memory");
                continue;
            }
        }
        const uint32_t byte = USART_RECEIVED(BASE); /* after the status */
        USART_FORGET(BASE, status);
        errors.overruns += (status & USART_ORE) != 0;
        errors.framing += (status & (USART_FE | USART_NF)) != 0;
        if ((status & USART_RXNE) != 0) {
            return (uint8_t)byte;
        }
    }
}

void port_send(uint8_t byte) {
    while ((USART_STATUS(BASE) & USART_TXE) == 0) {
    }
    USART_SENT(BASE) = byte;
}

void port_drain(void) {
    while ((USART_STATUS(BASE) & USART_TC) == 0) {
    }
}

port_errors_t port_errors(void) {
    return errors;
}
