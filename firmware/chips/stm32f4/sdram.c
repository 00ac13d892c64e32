/* SDRAM behind the flexible memory controller, in the manual's eight steps. Source: RM0090 sections
 * 37.7.3 (steps) and 37.7.5 (registers). */
#include "sdram.h"

#include <stdint.h>

#include "board.h"
#include "registers.h"

#if defined(BOARD_SDRAM_PINS)

#include "chips/stm32/gpio.h"

enum {
    ALTERNATE = 12,
    FIRST_COLUMNS = 8,
    FIRST_ROWS = 11,
    MODE_NORMAL = 0,
    MODE_CLOCK = 1,
    MODE_PRECHARGE_ALL = 2,
    MODE_REFRESH = 3,
    MODE_LOAD = 4,
    BANK = BOARD_SDRAM_BANK == 1 ? 1 << 4 : 1 << 3, /* of SDCMR */
    REFRESHES = 8,
    BURST_LENGTH_1 = 0,
    WRITES_ONE = 1 << 9,
    /* RM0090 section 37.7.3, step 8: less a margin of 20 cycles. */
    CLOCK_HZ = BOARD_CLOCK_HZ / BOARD_SDRAM_CLOCK_DIVIDER,
    REFRESH_COUNT = BOARD_SDRAM_REFRESH_MS * (CLOCK_HZ / 1000) / (1 << BOARD_SDRAM_ROWS) - 20,
    PAUSE_CYCLES = BOARD_CLOCK_HZ / 10000, /* 100 us */
    MOST_LOOKS = 40000,
};

_Static_assert(BOARD_SDRAM_BANK == 1 || BOARD_SDRAM_BANK == 2, "the FMC has SDRAM banks 1 and 2");
_Static_assert(BOARD_SDRAM_CLOCK_DIVIDER == 2 || BOARD_SDRAM_CLOCK_DIVIDER == 3,
               "the FMC divides the core's clock by 2 or 3");
_Static_assert(BOARD_SDRAM_BITS == 16, "wired with 16 bits of data");
_Static_assert(REFRESH_COUNT > 40 && REFRESH_COUNT < 8192, "FMC_SDRTR has 13 bits");

/* RM0090 section 37.7.5, FMC_SDCR: the divider stands in bank 1's for both. */
#define CONTROL                                                                                    \
    ((uint32_t)(BOARD_SDRAM_COLUMNS - FIRST_COLUMNS) |                                             \
     (uint32_t)(BOARD_SDRAM_ROWS - FIRST_ROWS) << 2 | 1u << 4 | 1u << 6 |                          \
     (uint32_t)BOARD_SDRAM_CAS << 7)
#define SHARED_CONTROL ((uint32_t)BOARD_SDRAM_CLOCK_DIVIDER << 10)

/* FMC_SDTR, each less one; row cycle and precharge stand in bank 1's for both. */
#define TIMING                                                                                     \
    ((BOARD_SDRAM_MODE_TO_ACTIVE - 1u) | (BOARD_SDRAM_EXIT_SELF_REFRESH - 1u) << 4 |               \
     (BOARD_SDRAM_SELF_REFRESH - 1u) << 8 | (BOARD_SDRAM_WRITE_RECOVERY - 1u) << 16 |              \
     (BOARD_SDRAM_ROW_TO_COLUMN - 1u) << 24)
#define SHARED_TIMING ((BOARD_SDRAM_ROW_CYCLE - 1u) << 12 | (BOARD_SDRAM_PRECHARGE - 1u) << 20)

#define PIN(port, pin) {(port), (pin)},
static const uint8_t pins[][2] = {BOARD_SDRAM_PINS(PIN)};

static bool is_idle(void) {
    for (uint32_t looks = 0; looks < MOST_LOOKS; looks++) {
        if ((FMC_SDSR & FMC_SDSR_BUSY) == 0) {
            return true;
        }
    }
    return false;
}

static bool command(uint32_t mode, uint32_t refreshes, uint32_t chip_mode) {
    if (!is_idle()) {
        return false;
    }
    FMC_SDCMR = mode | BANK | (refreshes - 1u) << 5 | chip_mode << 9;
    return is_idle();
}

bool sdram_start(void) {
    RCC_AHB3ENR |= RCC_AHB3ENR_FMC;
    (void)RCC_AHB3ENR;
    for (uint32_t i = 0; i < sizeof pins / sizeof *pins; i++) {
        RCC_AHB1ENR |= 1u << pins[i][0];
        (void)RCC_AHB1ENR;
        gpio_connect(pins[i][0], pins[i][1], ALTERNATE);
    }
    FMC_SDCR(1) = SHARED_CONTROL | (BOARD_SDRAM_BANK == 1 ? CONTROL : 0);
    FMC_SDTR(1) = SHARED_TIMING | (BOARD_SDRAM_BANK == 1 ? TIMING : 0);
    if (BOARD_SDRAM_BANK == 2) {
        FMC_SDCR(2) = SHARED_CONTROL | CONTROL;
        FMC_SDTR(2) = SHARED_TIMING | TIMING;
    }
    if (!command(MODE_CLOCK, 1, 0)) {
        return false;
    }
    for (volatile uint32_t cycles = 0; cycles < PAUSE_CYCLES; cycles++) {
    }
    if (!command(MODE_PRECHARGE_ALL, 1, 0) || !command(MODE_REFRESH, REFRESHES, 0) ||
        !command(MODE_LOAD, 1, BURST_LENGTH_1 | (uint32_t)BOARD_SDRAM_CAS << 4 | WRITES_ONE)) {
        return false;
    }
    FMC_SDRTR = (uint32_t)REFRESH_COUNT << 1;
    return is_idle();
}

#else

bool sdram_start(void) {
    return true;
}

#endif
