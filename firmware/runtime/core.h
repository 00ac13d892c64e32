/* The registers of a Cortex-M4 that the runtime touches: PM0214 chapter 4, Armv7-M manual C1. */
#ifndef HIL_CORE_H
#define HIL_CORE_H

#include <stdint.h>

#define CORE_REGISTER(address) (*(volatile uint32_t *)(address))

#define NVIC_ISER(irq) CORE_REGISTER(0xE000E100u + 4u * ((irq) / 32u))
#define NVIC_ICPR(irq) CORE_REGISTER(0xE000E280u + 4u * ((irq) / 32u))
#define NVIC_BIT(irq) (1u << ((irq) % 32u))

#define SCB_VTOR CORE_REGISTER(0xE000ED08u)
#define SCB_AIRCR CORE_REGISTER(0xE000ED0Cu)
#define SCB_CCR CORE_REGISTER(0xE000ED14u)
#define SCB_CFSR CORE_REGISTER(0xE000ED28u)
#define SCB_HFSR CORE_REGISTER(0xE000ED2Cu)
#define SCB_MMFAR CORE_REGISTER(0xE000ED34u)
#define SCB_BFAR CORE_REGISTER(0xE000ED38u)
#define SCB_DEMCR CORE_REGISTER(0xE000EDFCu)

#define FPU_FPCCR CORE_REGISTER(0xE000EF34u)

#define SCB_AIRCR_RESET 0x05FA0004u /* VECTKEY, SYSRESETREQ */
#define SCB_CCR_DIV_0_TRP (1u << 4)
#define SCB_DEMCR_TRCENA (1u << 24)

#define DWT_CTRL CORE_REGISTER(0xE0001000u)
#define DWT_CYCCNT CORE_REGISTER(0xE0001004u)
#define DWT_CTRL_CYCCNTENA 1u

#endif
