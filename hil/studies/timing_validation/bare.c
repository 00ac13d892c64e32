/* Start-up of the programs that the timing model is measured with. */
#include <stdint.h>

extern uint32_t _data, _data_end, _data_in_flash, _bss, _bss_end, _stack;

int main(void);

void reset(void) {
    volatile uint32_t *const access_control = (volatile uint32_t *)0xE000ED88u;
    *access_control |= 0xFu << 20; /* FPU on */
    const uint32_t *from = &_data_in_flash;
    for (uint32_t *to = &_data; to < &_data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = &_bss; to < &_bss_end;) {
        *to++ = 0;
    }
    main();
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &_stack, (const void *)reset};

/* What newlib's start-up code would bring. */
void *_sbrk(int bytes) {
    (void)bytes;
    return 0;
}
