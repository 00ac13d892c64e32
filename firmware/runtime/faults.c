#include "faults.h"

#include <stddef.h>

#include "contract.h"
#include "core.h"
#include "link.h"
#include "memory_map.h"
#include "port.h"

#define RECORDED 0xFA0171EDu

/* Outlives the reset, so that a report lost on the wire can be asked for again. */
static struct {
    uint32_t recorded;
    link_fault_t fault;
#if defined(HIL_CONTRACTS)
    char note[LINK_LONGEST_TEXT_BYTES];
#endif
} last __attribute__((section(".bss.noinit")));

/* r4-r11, sp, exception, EXC_RETURN; then the stacked r0-r3, r12, lr, pc, xpsr. */
static uint32_t registers[19] __attribute__((used));

static void report(void) __attribute__((used, noreturn));

#if defined(HIL_CONTRACTS)
static char broken[LINK_LONGEST_TEXT_BYTES]; /* as "file:line: condition", NUL at the end */

static char *put(char *to, const char *text) {
    while (*text != '\0' && to < broken + sizeof broken - 1) {
        *to++ = *text++;
    }
    return to;
}

void contract_broken(const char *file, uint32_t line, const char *condition) {
    char digits[11] = {0};
    char *digit = digits + sizeof digits - 1;
    do {
        *--digit = (char)('0' + line % 10u);
        line /= 10u;
    } while (line != 0);
    put(put(put(put(put(broken, file), ":"), digit), ": "), condition);
    __asm__ volatile("udf #0");
    for (;;) {
    }
}

const char *fault_note(void) {
    return last.note;
}
#endif

/* Everything is copied out before the stack pointer moves to the top, where there is room even
 * after an overflow; a stack that was lost is not read, as that would lock the core up. */
__attribute__((naked)) void fault_taken(void) {
    __asm__("ldr r0, =registers\n\t"
            "stmia r0!, {r4-r11}\n\t"
            "mov r1, sp\n\t"
            "mrs r2, ipsr\n\t"
            "mov r3, lr\n\t"
            "stmia r0!, {r1-r3}\n\t"
            "ldr r2, =stack_bottom\n\t"
            "ldr r3, =stack_top\n\t"
            "cmp r1, r2\n\t"
            "blo 1f\n\t"
            "sub r2, r3, #32\n\t"
            "cmp r1, r2\n\t"
            "bhi 1f\n\t"
            "ldmia r1, {r4-r11}\n\t"
            "stmia r0, {r4-r11}\n"
            "1:\n\t"
            "mov sp, r3\n\t"
            "b report\n\t"
            ".ltorg");
}

/* Keeps the record, tells it where it can, and resets the chip. */
static void tell(void) __attribute__((noreturn));

static void tell(void) {
    last.recorded = RECORDED;
    if (port_is_open()) {
        link_report_t message;
        fault_pack(&message, &last.fault);
        link_send(&message);
        port_drain();
    }
    __asm__ volatile("dsb" ::: "memory");
    SCB_AIRCR = SCB_AIRCR_RESET;
    for (;;) {
    }
}

void fault_at_start(uint32_t missing) {
    last.fault = (link_fault_t){.exception = missing};
#if defined(HIL_CONTRACTS)
    last.note[0] = '\0';
#endif
    tell();
}

static void report(void) {
    const uint32_t *saved = registers, *stacked = registers + 11;
    last.fault = (link_fault_t){
        .exception = registers[9],
        .exc_return = registers[10],
        .r0 = stacked[0],
        .r1 = stacked[1],
        .r2 = stacked[2],
        .r3 = stacked[3],
        .r4 = saved[0],
        .r5 = saved[1],
        .r6 = saved[2],
        .r7 = saved[3],
        .r8 = saved[4],
        .r9 = saved[5],
        .r10 = saved[6],
        .r11 = saved[7],
        .r12 = stacked[4],
        .sp = saved[8],
        .lr = stacked[5],
        .pc = stacked[6],
        .xpsr = stacked[7],
        .cfsr = SCB_CFSR,
        .hfsr = SCB_HFSR,
        .mmfar = SCB_MMFAR,
        .bfar = SCB_BFAR,
    };
#if defined(HIL_CONTRACTS)
    link_write_bytes((uint8_t *)last.note, (const uint8_t *)broken, sizeof broken);
#endif
    tell();
}

void faults_trap(void) {
    /* Not unaligned access: kernels load unaligned words on purpose. */
    SCB_CCR |= SCB_CCR_DIV_0_TRP;
    /* No handler returns, so that none needs the FPU's registers saved; left on, a lazy save could
     * still write to a stack that has overflowed. */
    FPU_FPCCR = 0;
}

const link_fault_t *fault_recorded(void) {
    return last.recorded == RECORDED ? &last.fault : NULL;
}

void fault_forget(void) {
    last.recorded = 0;
}
