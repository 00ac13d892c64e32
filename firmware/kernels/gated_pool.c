#include "gated_pool.h"

#include "contract.h"
#include "dsp.h"

void gated_pool_begin(const gated_pool_t *pool) {
    REQUIRES(1 <= pool->row.index_bits && pool->row.index_bits <= GATED_MOST_INDEX_BITS);
    if (pool->table != NULL) {
        memcpy(pool->table, pool->sigmoid, sizeof *pool->table << pool->row.index_bits);
    }
}

static const int16_t *table_of(const gated_pool_t *pool) {
    return pool->table != NULL ? pool->table : pool->sigmoid;
}

static int32_t slots_of(const gated_pool_t *pool) {
    return (pool->patch + pool->stride - 1) / pool->stride;
}

/* RNN1's products of a row of pixels. */
static void multiply(const gated_pool_t *pool, const int8_t *x) {
    const int32_t values = gated_product_values(&pool->row);
    if (pool->channels % 2 != 0) {
        pool->pixel[pool->channels] = 0; /* beside the odd one out */
    }
    for (int32_t column = 0; column < pool->columns; column++, x += pool->channels) {
        for (int32_t k = 0; k < pool->channels; k++) {
            pool->pixel[k] = x[k];
        }
        gated_products(&pool->row, pool->pixel, pool->products + column * values);
    }
}

/* A sweep from a zero state, into `pool->state`. */
static void sweep(const gated_pool_t *pool, const gated_t *cell, const int16_t *products,
                  int32_t stride, int32_t steps) {
    for (int32_t t = 0; t < steps; t++, products += stride) {
        gated_step(cell, products, table_of(pool), t == 0, pool->state, pool->fresh);
    }
}

/* RNN1 along the row, for all patches across, and RNN2's products of the summaries. */
static void sweep_row(const gated_pool_t *pool, int32_t row) {
    const int32_t values = gated_product_values(&pool->row);
    const int32_t summaries = gated_product_values(&pool->summary);
    int16_t *to = pool->row_products + row % pool->patch * pool->patch_columns * summaries;
    for (int32_t n = 0; n < pool->patch_columns; n++, to += summaries) {
        sweep(pool, &pool->row, pool->products + n * pool->stride * values, values, pool->patch);
        gated_products(&pool->summary, pool->state, to);
    }
}

static int16_t *columns_of(const gated_pool_t *pool, int32_t patch_row) {
    return pool->column_states +
           patch_row % slots_of(pool) * pool->columns * gated_state_values(&pool->row);
}

/* RNN1 down every column by a row, for each patch row that lies over it. */
static void sweep_columns(const gated_pool_t *pool, int32_t row) {
    const int32_t values = gated_product_values(&pool->row);
    const int32_t states = gated_state_values(&pool->row);
    for (int32_t patch_row = row / pool->stride; patch_row >= 0; patch_row--) {
        const int32_t done = row - patch_row * pool->stride;
        if (done >= pool->patch) {
            break;
        }
        if (patch_row >= pool->patch_rows) {
            continue;
        }
        int16_t *state = columns_of(pool, patch_row);
        for (int32_t column = 0; column < pool->columns; column++, state += states) {
            gated_step(&pool->row, pool->products + column * values, table_of(pool), done == 0,
                       state, pool->fresh);
        }
    }
}

/* y = clamp((h + offset) >> shift, -128, 127), into part `part` of a pixel. */
static void store(const gated_pool_t *pool, int32_t part, int8_t *y) {
    const int32_t units = pool->summary.units;
    y += part * units;
    for (int32_t i = 0; i < units; i++) {
        const int32_t centred = pool->state[i] + pool->offset[i];
        y[i] = (int8_t)dsp_clamp(centred >> pool->shift, -128, 127);
    }
}

/* RNN2 down and up over the row summaries, which stand in a ring: row `first` at slot first modulo
 * patch. */
static void summarise_rows(const gated_pool_t *pool, int32_t first, int8_t *y) {
    const gated_t *cell = &pool->summary;
    const int32_t values = gated_product_values(cell);
    const int32_t slot_values = pool->patch_columns * values;
    for (int32_t n = 0; n < pool->patch_columns; n++, y += 4 * cell->units) {
        const int16_t *column = pool->row_products + n * values;
        for (int32_t way = 0; way < 2; way++) {
            for (int32_t t = 0; t < pool->patch; t++) {
                const int32_t row = first + (way == 0 ? t : pool->patch - 1 - t);
                gated_step(cell, column + row % pool->patch * slot_values, table_of(pool), t == 0,
                           pool->state, pool->fresh);
            }
            store(pool, way, y);
        }
    }
}

/* RNN2 right and left over the column summaries. */
static void summarise_columns(const gated_pool_t *pool, const int16_t *summaries, int8_t *y) {
    const gated_t *cell = &pool->summary;
    const int32_t values = gated_product_values(cell);
    const int32_t states = gated_state_values(&pool->row);
    for (int32_t column = 0; column < pool->columns; column++) {
        /* The row's products are no longer needed. */
        gated_products(cell, summaries + column * states, pool->products + column * values);
    }
    const int16_t *first = pool->products;
    const int32_t last = (pool->patch - 1) * values;
    for (int32_t n = 0; n < pool->patch_columns; n++, y += 4 * cell->units) {
        sweep(pool, cell, first, values, pool->patch);
        store(pool, 2, y);
        sweep(pool, cell, first + last, -values, pool->patch);
        store(pool, 3, y);
        first += pool->stride * values;
    }
}

/* Repeat the last pixel to the row's end, and the last row to the map's. */
static void replicate(const gated_pool_t *pool, int32_t patch_row, int8_t *y) {
    const size_t pixel_bytes = 4U * (size_t)pool->summary.units;
    const size_t row_bytes = pixel_bytes * (size_t)pool->out_columns;
    for (int32_t column = pool->patch_columns; column < pool->out_columns; column++) {
        int8_t *pixel = y + (size_t)column * pixel_bytes;
        memcpy(pixel, pixel - pixel_bytes, pixel_bytes);
    }
    if (patch_row == pool->patch_rows - 1) {
        for (int32_t row = pool->patch_rows; row < pool->out_rows; row++, y += row_bytes) {
            memcpy(y + row_bytes, y, row_bytes);
        }
    }
}

int32_t gated_pool_made(const gated_pool_t *pool, int32_t rows) {
    if (rows < pool->patch) {
        return 0;
    }
    const int32_t made = (rows - pool->patch) / pool->stride + 1;
    return made < pool->patch_rows ? made : pool->out_rows;
}

void gated_pool_row(const gated_pool_t *pool, const int8_t *x, int32_t row, int8_t *y) {
    REQUIRES(row >= 0 && IS_SIZE(pool->patch) && IS_SIZE(pool->stride));
    REQUIRES(IS_SIZE(pool->channels));
    REQUIRES(IS_SIZE(pool->row.units) && IS_SIZE(pool->summary.units));
    REQUIRES(pool->row.index_bits == pool->summary.index_bits);
    REQUIRES(pool->patch_rows > 0 && pool->patch_rows <= pool->out_rows);
    REQUIRES(pool->patch_columns > 0 && pool->patch_columns <= pool->out_columns);
    REQUIRES((pool->patch_columns - 1) * pool->stride + pool->patch <= pool->columns);
    REQUIRES(1 <= pool->shift && pool->shift <= 8);
    REQUIRES(pool->row.inputs == pool->channels && pool->summary.inputs == pool->row.units);
    if (row >= (pool->patch_rows - 1) * pool->stride + pool->patch) {
        return; /* below the last patch */
    }
    multiply(pool, x);
    sweep_row(pool, row);
    sweep_columns(pool, row);
    const int32_t first = row + 1 - pool->patch; /* of the patches that end with this row */
    if (first >= 0 && first % pool->stride == 0) {
        const int32_t patch_row = first / pool->stride;
        int8_t *out = y + patch_row * pool->out_columns * 4 * pool->summary.units;
        summarise_rows(pool, first, out);
        summarise_columns(pool, columns_of(pool, patch_row), out);
        replicate(pool, patch_row, out);
    }
}
