#include "fastgrnn.h"

#include "dsp.h"

static uint32_t dot(const int16_t *a, const int16_t *b, int32_t count) {
    uint32_t sum = 0;
    for (int32_t k = 0; k < count; k++) {
        sum += (uint32_t)(a[k] * b[k]);
    }
    return sum;
}

void fastgrnn_step(const fastgrnn_t *cell, const int16_t *x, int16_t *h) {
    int16_t next[FASTGRNN_MOST_UNITS];
    for (int32_t i = 0; i < cell->units; i++) {
        uint32_t acc = (uint32_t)cell->bias[i];
        acc += dot(cell->w + i * cell->inputs, x, cell->inputs) << (uint32_t)cell->w_shift;
        acc += dot(cell->u + i * cell->units, h, cell->units);
        int32_t index =
            clamp((int32_t)acc >> cell->index_shift, 0, shift_left(1, cell->index_bits) - 1);
        uint32_t entry = cell->table[index * cell->units + i];
        int32_t gate = (int16_t)(uint16_t)(entry & 0xFFFFU);
        uint32_t product = (uint32_t)(gate * h[i]);
        next[i] = (int16_t)((int32_t)(product + entry) >> 15);
    }
    memcpy(h, next, (size_t)cell->units * sizeof next[0]);
}
