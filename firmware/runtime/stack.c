/* The stack's high-water mark: paint it, and see how far the paint is gone. */
#include "stack.h"

#include "memory_map.h"

#define PAINT 0xC5C5C5C5u

void stack_paint(void) {
    uint32_t *end;
    __asm__ volatile("mov %0, sp" : "=r"(end));
    for (volatile uint32_t *word = stack_bottom; word < end; word++) {
        *word = PAINT;
    }
}

uint32_t stack_bytes(void) {
    return memory_bytes(stack_bottom, stack_top);
}

uint32_t stack_high_water(void) {
    const volatile uint32_t *word = stack_bottom;
    while (word < stack_top && *word == PAINT) {
        word++;
    }
    return (uint32_t)((uintptr_t)stack_top - (uintptr_t)word);
}
