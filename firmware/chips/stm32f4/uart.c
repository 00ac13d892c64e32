/* The link's USART: polled while bytes flow, asleep while none do. */
#include "clock.h"
#include "registers.h"
#include "runtime/core.h"
#include "runtime/port.h"

/* Pins and interrupt of each port: data sheet table 12, RM0090 table 62. */
#if defined(BOARD_UART_usart1) /* PA9, PA10 */
enum { PORT = 0, TX = 9, RX = 10, ALTERNATE = 7, IRQ = 37 };
#define BASE 0x40011000u
#define BUS_HZ CLOCK_APB2_HZ
#define ENABLE() (RCC_APB2ENR |= 1u << 4)
#elif defined(BOARD_UART_usart2) /* PA2, PA3 */
enum { PORT = 0, TX = 2, RX = 3, ALTERNATE = 7, IRQ = 38 };
#define BASE 0x40004400u
#define BUS_HZ CLOCK_APB1_HZ
#define ENABLE() (RCC_APB1ENR |= 1u << 17)
#elif defined(BOARD_UART_usart3) /* PD8, PD9: the ST-LINK's on a Nucleo-144 */
enum { PORT = 3, TX = 8, RX = 9, ALTERNATE = 7, IRQ = 39 };
#define BASE 0x40004800u
#define BUS_HZ CLOCK_APB1_HZ
#define ENABLE() (RCC_APB1ENR |= 1u << 18)
#else
#error "the board's link.uart must be usart1, usart2 or usart3"
#endif

#define DIVIDER ((BUS_HZ + BOARD_BAUD / 2u) / BOARD_BAUD)
_Static_assert(DIVIDER >= 16 && DIVIDER <= 0xFFFF, "the USART cannot reach this baud rate");
_Static_assert(BUS_HZ / DIVIDER * 100u > BOARD_BAUD * 98u &&
                   BUS_HZ / DIVIDER * 100u < BOARD_BAUD * 102u,
               "the nearest baud rate is off by more than 2 %");

static port_errors_t errors;
static bool is_open;

static void connect(uint32_t pin) {
    const uint32_t two = 2u * pin, four = 4u * (pin % 8u);
    GPIO_AFR(PORT, pin / 8u) = (GPIO_AFR(PORT, pin / 8u) & ~(15u << four)) | (uint32_t)ALTERNATE
                                                                                 << four;
    GPIO_OSPEEDR(PORT) |= 2u << two;
    GPIO_PUPDR(PORT) = (GPIO_PUPDR(PORT) & ~(3u << two)) | 1u << two; /* an open line reads idle */
    GPIO_MODER(PORT) = (GPIO_MODER(PORT) & ~(3u << two)) | 2u << two;
}

void port_open(void) {
    clock_start();
    RCC_AHB1ENR |= 1u << PORT;
    ENABLE();
    (void)RCC_AHB1ENR;
    connect(TX);
    connect(RX);
    USART_BRR(BASE) = DIVIDER;
    USART_CR1(BASE) = USART_CR1_UE | USART_CR1_TE | USART_CR1_RE | USART_CR1_RXNEIE;

    /* Interrupts are masked for ever: a pending one ends WFI all the same and runs no handler. */
    NVIC_ISER(IRQ) = NVIC_BIT(IRQ);
    is_open = true;
}

bool port_is_open(void) {
    return is_open;
}

uint8_t port_receive(void) {
    for (;;) {
        uint32_t status = USART_SR(BASE);
        if ((status & (USART_SR_RXNE | USART_SR_ORE)) == 0) {
            /* What comes after this line is pending again when WFI looks; what came before it, the
             * second look finds. */
            NVIC_ICPR(IRQ) = NVIC_BIT(IRQ);
            status = USART_SR(BASE);
            if ((status & (USART_SR_RXNE | USART_SR_ORE)) == 0) {
                __asm__ volatile("dsb\n\twfi" ::: "memory");
                continue;
            }
        }
        const uint32_t byte = USART_DR(BASE); /* after SR: this clears the error flags */
        errors.overruns += (status & USART_SR_ORE) != 0;
        errors.framing += (status & (USART_SR_FE | USART_SR_NF)) != 0;
        if ((status & USART_SR_RXNE) != 0) {
            return (uint8_t)byte;
        }
    }
}

void port_send(uint8_t byte) {
    while ((USART_SR(BASE) & USART_SR_TXE) == 0) {
    }
    USART_DR(BASE) = byte;
}

void port_drain(void) {
    while ((USART_SR(BASE) & USART_SR_TC) == 0) {
    }
}

port_errors_t port_errors(void) {
    return errors;
}
