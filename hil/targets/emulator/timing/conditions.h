/* Whether a condition of an instruction holds. */
#ifndef HIL_CONDITIONS_H
#define HIL_CONDITIONS_H

#include <stdbool.h>
#include <stdint.h>

/* Source: ARMv7-M architecture reference manual, table A7-1. */
static inline bool holds(uint32_t condition, uint32_t flags) {
    bool n = flags >> 31, z = flags >> 30 & 1, c = flags >> 29 & 1, v = flags >> 28 & 1;
    bool result = true;
    switch (condition >> 1) {
    case 0:
        result = z;
        break;
    case 1:
        result = c;
        break;
    case 2:
        result = n;
        break;
    case 3:
        result = v;
        break;
    case 4:
        result = c && !z;
        break;
    case 5:
        result = n == v;
        break;
    case 6:
        result = n == v && !z;
        break;
    default:
        return true;
    }
    return result != (condition & 1);
}

#endif
