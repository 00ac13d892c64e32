/*
 * Instructions of other cores, which Unicorn executes and a Cortex-M4 does not have.
 *
 * Armv8-M (SG, TT, LDA, STL and their kin), FPv5 (VSEL, VMAXNM, VRINT, VCVTA and their kin), and
 * the change of byte order and instruction set of Armv7-A. Source: ARM DDI 0403E A5.2.5, A5.3.4,
 * A5.3.6, A6.4, A7.7; ARM DDI 0553B C2.4 for what Armv8-M put there.
 */
#ifndef HIL_FOREIGN_H
#define HIL_FOREIGN_H

#include <stdbool.h>
#include <stdint.h>

static bool is_foreign_float(uint32_t first, uint32_t second) {
    if ((second >> 8 & 0xe) != 0xa) { /* not for coprocessors 10 and 11 */
        return false;
    }
    if ((first & 0xfc00) == 0xfc00 && (first >> 8 & 3) != 3) {
        return true; /* VSEL, VMAXNM, VMINNM, VRINTA, VCVTA and their kin */
    }
    if ((first & 0xffbf) == 0xeeb6) {
        return (second & 0x0e50) == 0x0a40; /* VRINTR, VRINTZ */
    }
    return (first & 0xffbf) == 0xeeb7 && (second & 0x0ed0) == 0x0a40; /* VRINTX */
}

/* Whether an instruction in the place of LDREX, STREX and table branches is none of them. */
static bool is_foreign_exclusive(uint32_t first, uint32_t second) {
    uint32_t which = second >> 4 & 0xf;
    bool exclusive = which == 4 || which == 5, table_branch = (first & 0x10) && which < 2;
    return !exclusive && !table_branch; /* LDA, STL, LDAEX, STLEX, LDREXD, STREXD */
}

/* Whether an instruction, by its two halfwords, is one of another core's. */
static bool is_foreign(uint32_t first, uint32_t second) {
    if (first >> 11 < 0x1d) {
        return (first & 0xffe0) == 0xb640; /* SETEND */
    }
    if (first == 0xe97f && second == 0xe97f) {
        return true; /* SG */
    }
    if ((first & 0xfff0) == 0xe840) {
        return second >> 12 == 0xf; /* TT, where STREX has a register */
    }
    if ((first & 0xffe0) == 0xe8c0) {
        return is_foreign_exclusive(first, second);
    }
    if ((first & 0xf800) == 0xf000 && (second & 0xd001) == 0xc000) {
        return true; /* BLX to Arm code */
    }
    return is_foreign_float(first, second);
}

#endif
