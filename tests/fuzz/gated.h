/* Descriptors of GRU and LSTM cells, and of the pooling that is made of them. */
#ifndef FUZZ_GATED_H
#define FUZZ_GATED_H

#include "kernels/gated_pool.h"
#include "rooms.h"

static gated_t gated_of(int32_t units, int32_t inputs, int32_t index_bits) {
    gated_t made = {
        .units = about(units),
        .inputs = about(inputs),
        .product_shift = shifted(),
        .index_shift = about(8),
        .index_bits = about(index_bits),
        .memory_shift = about(flip() ? -1 : small(0, 4)),
    };
    const int64_t rows = times(gated_gates(&made), made.units);
    made.w = halves(2 * times(rows, even(whole(made.inputs))));
    made.u = halves(2 * times(rows, even(whole(made.units))));
    made.bias = words(4 * rows);
    made.multiplier = words(4 * rows);
    return made;
}

/* A sigmoid's values: none is below 0. */
static int16_t *sigmoid_of(int32_t index_bits) {
    const bool held = 1 <= index_bits && index_bits <= GATED_MOST_INDEX_BITS;
    const int64_t bytes = held ? INT64_C(2) << index_bits : 0;
    int16_t *const table = halves(bytes);
    for (int64_t i = 0; 2 * i < bytes; i++) {
        const int32_t value = drawn() >> 8;
        table[i] = (int16_t)(value & 1 ? value & INT16_MAX : (value & 2 ? INT16_MAX : 0));
    }
    return table;
}

static int64_t product_values(const gated_t *cell) {
    return times(gated_gates(cell), cell->units);
}

static int64_t state_values(const gated_t *cell) {
    return times(cell->memory_shift < 0 ? 1 : 2, even(whole(cell->units)));
}

static void fuzz_gated(void) {
    const gated_t cell = gated_of(pick(1, 5), pick(1, 6), pick(1, 8));
    const int16_t *const table = sigmoid_of(cell.index_bits);
    int16_t *const products = halves(2 * product_values(&cell));
    int16_t *const state = halves(2 * state_values(&cell));
    int16_t *const fresh = halves(4 * even(whole(cell.units)));
    for (int32_t step = small(0, 1); step < 3; step++) {
        gated_products(&cell, halves(2 * even(whole(cell.inputs))), products);
        gated_step(&cell, products, table, step == 0, state, fresh);
    }
}

static void fuzz_gated_pool(void) {
    const int32_t channels = small(1, 4), units = small(1, 4), bits = small(1, 8);
    const int32_t stride = small(1, 4), patch = small(1, 5);
    const int32_t across = small(1, 3), down = small(1, 3);
    gated_pool_t pool = {
        .row = gated_of(units, channels, bits),
        .summary = gated_of(small(1, 4), units, bits),
        .channels = about(channels),
        .patch_rows = about(down),
        .patch_columns = about(across),
        .patch = about(patch),
        .stride = about(stride),
        .shift = pick(1, 8),
    };
    pool.columns = about(((int64_t)across - 1) * stride + patch + pick(0, 2));
    pool.out_rows = about((int64_t)down + pick(0, 1));
    pool.out_columns = about((int64_t)across + pick(0, 1));
    pool.offset = halves(2 * whole(pool.summary.units));
    pool.sigmoid = sigmoid_of(pool.row.index_bits);
    pool.table = flip() ? sigmoid_of(pool.row.index_bits) : NULL;
    const int64_t slots = pool.stride > 0 ? (whole(pool.patch) + pool.stride - 1) / pool.stride : 0;
    const int64_t summaries = product_values(&pool.summary);
    pool.pixel = halves(2 * even(whole(pool.channels)));
    pool.products = halves(2 * times(pool.columns, greater(product_values(&pool.row), summaries)));
    pool.row_products = halves(2 * map(pool.patch, pool.patch_columns, summaries));
    pool.state = halves(2 * greater(state_values(&pool.row), state_values(&pool.summary)));
    pool.fresh = halves(4 * even(greater(whole(pool.row.units), pool.summary.units)));
    pool.column_states = halves(2 * map(slots, pool.columns, state_values(&pool.row)));
    int8_t *const y = room(4 * map(pool.out_rows, pool.out_columns, pool.summary.units));
    gated_pool_begin(&pool);
    const int32_t last = (down - 1) * stride + patch + 1;
    for (int32_t row = about(0); row < last; row++) {
        gated_pool_row(&pool, room(times(pool.columns, pool.channels)), row, y);
        (void)gated_pool_made(&pool, row + 1);
    }
}

#endif
