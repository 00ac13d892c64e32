/* CoreMark's platform: start_time and stop_time are where the emulated run is stopped. */
#include "coremark.h"

enum { ITERATIONS_RUN = 20 };

volatile ee_s32 seed1_volatile = 0, seed2_volatile = 0, seed3_volatile = 0x66;
volatile ee_s32 seed4_volatile = ITERATIONS_RUN, seed5_volatile = 0;
ee_u32 default_num_contexts = 1;
static volatile uint32_t marks;

__attribute__((noinline, used)) void start_time(void) {
    marks++;
}

__attribute__((noinline, used)) void stop_time(void) {
    marks++;
}

CORE_TICKS get_time(void) {
    return 1;
}

secs_ret time_in_secs(CORE_TICKS ticks) {
    return ticks;
}

void portable_init(core_portable *portable, int *count, char *arguments[]) {
    (void)count;
    (void)arguments;
    portable->portable_id = 1;
}

void portable_fini(core_portable *portable) {
    portable->portable_id = 0;
}

int ee_printf(const char *format, ...) {
    (void)format;
    return 0;
}
