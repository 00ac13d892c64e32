/* Ends a run before a division by zero, which Unicorn would carry out whatever CCR says. */
#include "run_control.h"

#include <stddef.h>

typedef struct {
    engine_stop_fn emu_stop;
    engine_read_fn reg_read;
    engine_mem_read_fn mem_read;
    int32_t register_ids[16]; /* Unicorn's, of r0 to r15 */
    uint32_t trap;            /* CCR.DIV_0_TRP */
} divisions_t;

/* SDIV and UDIV, as divisions.py has it; the divisor is named by the lowest bits. */
static bool is_division(const uint16_t code[2]) {
    return (code[0] & 0xffd0) == 0xfb90 && (code[1] & 0xf0f0) == 0xf0f0;
}

/* Called before an instruction that was a division when its code was looked through. */
void divisions_on_instruction(void *engine, uint64_t address, uint32_t size, void *context) {
    const divisions_t *divisions = context;
    uint16_t code[2];
    uint32_t divisor = 0;
    (void)size;
    if (!divisions->trap || divisions->mem_read(engine, address, code, sizeof code) != 0 ||
        !is_division(code)) {
        return;
    }
    divisions->reg_read(engine, divisions->register_ids[code[1] & 0xf], &divisor);
    if (divisor == 0) {
        divisions->emu_stop(engine);
    }
}
