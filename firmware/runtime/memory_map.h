/* Where the linker script has put things; their addresses are the values. */
#ifndef HIL_MEMORY_MAP_H
#define HIL_MEMORY_MAP_H

#include <stdint.h>

extern uint32_t stack_bottom[], stack_top[];
extern uint32_t data_start[], data_end[], data_load[];
extern uint32_t bss_start[], bss_end[];
extern uint32_t arena_start[], arena_end[];
extern uint32_t noinit_start[], noinit_end[];
extern const uint32_t build_id_note[]; /* name, descriptor bytes, type, "GNU\0", descriptor */

static inline uint32_t memory_bytes(const uint32_t *start, const uint32_t *end) {
    return (uint32_t)((uintptr_t)end - (uintptr_t)start);
}

#endif
