/* Erases and programs the flash of an STM32L4+ from RAM, as pyOCD calls it: functions return 0, or
 * 1 where the controller reports an error. Source: RM0432 sections 3.3.6 to 3.3.8 and 3.7.
 *
 * stm32l4_algorithm.py holds the words that this becomes; tests/test_chip_stm32l4.py compiles it
 * again and compares. */
#include <stdint.h>

#define FLASH(offset) (*(volatile uint32_t *)(0x40022000u + (offset)))
#define FLASH_KEYR FLASH(0x08u)
#define FLASH_SR FLASH(0x10u)
#define FLASH_CR FLASH(0x14u)
#define FLASH_OPTR FLASH(0x20u)

enum {
    SR_ERRORS = 0xC3FA, /* all of its error flags; writing 1 clears one */
    SR_BSY = 1 << 16,
    CR_PG = 1 << 0,
    CR_PER = 1 << 1,
    CR_MER1 = 1 << 2,
    CR_PNB_SHIFT = 3,
    CR_BKER = 1 << 11,
    CR_MER2 = 1 << 15,
    CR_STRT = 1 << 16,
    OPTR_DBANK = 1 << 22,
    PAGE_SHIFT = 12, /* in two banks; in one bank a page is twice as large */
    BANK_PAGES = 256,
};
#define CR_LOCK 0x80000000u
#define FLASH_BASE 0x08000000u

static uint32_t end(void) {
    while ((FLASH_SR & SR_BSY) != 0) {
    }
    FLASH_CR = 0;
    return (FLASH_SR & SR_ERRORS) != 0;
}

static void begin(void) {
    while ((FLASH_SR & SR_BSY) != 0) {
    }
    FLASH_SR = SR_ERRORS;
}

uint32_t init(void);
uint32_t uninit(void);
uint32_t erase_all(void);
uint32_t erase_page(uint32_t address);
uint32_t program(uint32_t address, uint32_t bytes, const uint32_t *data);

uint32_t init(void) {
    begin();
    if ((FLASH_CR & CR_LOCK) != 0) {
        FLASH_KEYR = 0x45670123u;
        FLASH_KEYR = 0xCDEF89ABu;
    }
    return (FLASH_CR & CR_LOCK) != 0;
}

uint32_t uninit(void) {
    FLASH_CR = CR_LOCK;
    return 0;
}

uint32_t erase_all(void) {
    begin();
    FLASH_CR = CR_MER1 | CR_MER2;
    FLASH_CR = CR_MER1 | CR_MER2 | CR_STRT;
    return end();
}

uint32_t erase_page(uint32_t address) {
    begin();
    const uint32_t dual = (FLASH_OPTR & OPTR_DBANK) != 0;
    const uint32_t page = (address - FLASH_BASE) >> (dual ? PAGE_SHIFT : PAGE_SHIFT + 1);
    const uint32_t bank = page >= BANK_PAGES ? CR_BKER : 0u;
    const uint32_t control = CR_PER | bank | (page % BANK_PAGES) << CR_PNB_SHIFT;
    FLASH_CR = control;
    FLASH_CR = control | CR_STRT;
    return end();
}

uint32_t program(uint32_t address, uint32_t bytes, const uint32_t *data) {
    begin();
    for (uint32_t at = 0; at < bytes; at += 8u) {
        volatile uint32_t *const to = (volatile uint32_t *)(address + at);
        FLASH_CR = CR_PG;
        to[0] = *data++;
        __asm__ volatile("isb" ::: "memory");
        to[1] = *data++;
        if (end() != 0) {
            return 1;
        }
    }
    return 0;
}
