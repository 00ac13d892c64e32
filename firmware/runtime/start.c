/* From reset to the first request: the same on every Cortex-M4. */
#include <stddef.h>

#include "core.h"
#include "cycles.h"
#include "faults.h"
#include "greet.h"
#include "memory_map.h"
#include "model.h"
#include "port.h"
#include "serve.h"
#include "stack.h"

void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memset(void *to, int value, size_t count);

void reset(void);
static void start(void) __attribute__((used, noreturn));

typedef union {
    const uint32_t *stack;
    void (*handler)(void);
} vector_t;

/* The core's own exceptions. Interrupts stay masked for ever, so that there are no others. */
__attribute__((section(".vectors"), used)) static const vector_t vectors[16] = {
    {.stack = stack_top},     {.handler = reset},       {.handler = fault_taken},
    {.handler = fault_taken}, {.handler = fault_taken}, {.handler = fault_taken},
    {.handler = fault_taken}, {.handler = fault_taken}, {.handler = fault_taken},
    {.handler = fault_taken}, {.handler = fault_taken}, {.handler = fault_taken},
    {.handler = fault_taken}, {.handler = fault_taken}, {.handler = fault_taken},
    {.handler = fault_taken},
};

/* The FPU is on before any compiled code, which may use its registers anywhere. */
__attribute__((naked)) void reset(void) {
    __asm__("cpsid i\n\t"
            "ldr r0, =0xE000ED88\n\t" /* CPACR */
            "ldr r1, [r0]\n\t"
            "orr r1, r1, #0xF00000\n\t"
            "str r1, [r0]\n\t"
            "dsb\n\t"
            "isb\n\t"
            "b start\n\t"
            ".ltorg");
}

static void start(void) {
    stack_paint();
    memcpy(data_start, data_load, memory_bytes(data_start, data_end));
    memset(bss_start, 0, memory_bytes(bss_start, bss_end));
    SCB_VTOR = (uint32_t)(uintptr_t)vectors;
    faults_trap();
    const uint32_t missing = port_open();
    greet_await(); /* before anything can go wrong that has to be told */
    if (missing != 0) {
        fault_at_start(missing);
    }
    memset(arena_start, 0, memory_bytes(arena_start, arena_end)); /* now that its memory is there */
    const bool cycles_count = cycles_start();
    model_init();
    serve_start(cycles_count);
    while (!serve_is_greeted()) {
        serve_byte(greet_receive());
    }
    port_settle();
    for (;;) {
        serve_byte(port_receive());
    }
}
