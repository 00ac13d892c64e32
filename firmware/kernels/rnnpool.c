#include "rnnpool.h"

#include <stdbool.h>

#include "contract.h"
#include "dsp.h"

static void copy_table(const fastgrnn_t *cell, uint32_t *to) {
    REQUIRES(0 < cell->units && cell->units <= FASTGRNN_MOST_UNITS);
    REQUIRES(1 <= cell->index_bits && cell->index_bits <= FASTGRNN_MOST_INDEX_BITS);
    if (to != NULL) {
        memcpy(to, cell->table, ((size_t)cell->units << (size_t)cell->index_bits) * sizeof *to);
    }
}

void rnnpool_begin(const rnnpool_t *pool) {
    copy_table(&pool->row, pool->row_table);
    copy_table(&pool->summary, pool->summary_table);
}

static const uint32_t *row_table(const rnnpool_t *pool) {
    return pool->row_table != NULL ? pool->row_table : pool->row.table;
}

static const uint32_t *summary_table(const rnnpool_t *pool) {
    return pool->summary_table != NULL ? pool->summary_table : pool->summary.table;
}

static int32_t slots_of(const rnnpool_t *pool) {
    return (pool->patch + pool->stride - 1) / pool->stride;
}

/* RNN1 along every row of the band, for all patches across, and RNN2's products of the summaries.
 */
static void sweep_rows(const rnnpool_t *pool, int32_t row) {
    const int32_t units = pool->row.units;
    const fastgrnn_sweep_t across = {
        .sequence_stride = pool->stride * units,
        .step_stride = units,
        .sequences = pool->patch_columns,
        .steps = pool->patch,
    };
    for (int32_t n = 0; n < pool->band; n++) {
        const int32_t *products = pool->pixel_products + n * pool->columns * units;
        int32_t slot = (row + n) % pool->patch;
        if (pool->row_summaries != NULL) {
            fastgrnn_start(&pool->row, products, row_table(pool), &across,
                           pool->row_summaries + slot * pool->patch_columns * units);
            continue;
        }
        fastgrnn_start(&pool->row, products, row_table(pool), &across, pool->row_states);
        fastgrnn_state_products(&pool->summary, pool->row_states, pool->patch_columns,
                                pool->row_products +
                                    slot * pool->patch_columns * pool->summary.units);
    }
}

/* RNN1 down every column, over the band, for each patch row that lies over it. */
static void sweep_columns(const rnnpool_t *pool, int32_t row) {
    const int32_t units = pool->row.units;
    const int32_t slots = slots_of(pool);
    const fastgrnn_sweep_t down = {
        .sequence_stride = units,
        .step_stride = pool->columns * units,
        .sequences = pool->columns,
        .steps = pool->band,
    };
    for (int32_t patch_row = row / pool->stride; patch_row >= 0; patch_row--) {
        int32_t done = row - patch_row * pool->stride;
        if (done >= pool->patch) {
            break;
        }
        if (patch_row >= pool->patch_rows) {
            continue;
        }
        int16_t *h = pool->column_states + patch_row % slots * pool->columns * units;
        if (done == 0) {
            fastgrnn_start(&pool->row, pool->pixel_products, row_table(pool), &down, h);
        } else {
            fastgrnn_go_on(&pool->row, pool->pixel_products, row_table(pool), &down, h);
        }
    }
}

/* y = clamp((h + offset) >> shift, -128, 127) into part `part` of every pixel of the row. */
static void store(const rnnpool_t *pool, int32_t part, int8_t *y) {
    const int32_t units = pool->summary.units;
    const int16_t *h = pool->row_states;
    y += part * units;
    if (pool->store != NULL) {
        pool->store(h, pool->offset, pool->patch_columns, y);
        return;
    }
    for (int32_t column = 0; column < pool->patch_columns; column++, h += units, y += 4 * units) {
        for (int32_t i = 0; i < units; i++) {
            REQUIRES(0 <= pool->order[i] && pool->order[i] < units);
            y[pool->order[i]] = (int8_t)dsp_saturate8((h[i] + pool->offset[i]) >> pool->shift);
        }
    }
}

/* RNN2 down and up over the row summaries, which stand in a ring: row `first` at slot first modulo
 * patch. */
static void summarise_rows(const rnnpool_t *pool, int32_t first, int8_t *y) {
    const fastgrnn_t *cell = &pool->summary;
    const int32_t slot_words = pool->patch_columns * cell->units;
    const int32_t begin =
        first % pool->patch; /* the ring's slots: begin .. patch - 1, 0 .. begin - 1 */
    fastgrnn_sweep_t part = {.sequence_stride = cell->units, .sequences = pool->patch_columns};

    part.step_stride = slot_words;
    part.steps = pool->patch - begin;
    fastgrnn_start(cell, pool->row_products + begin * slot_words, summary_table(pool), &part,
                   pool->row_states);
    part.steps = begin;
    fastgrnn_go_on(cell, pool->row_products, summary_table(pool), &part, pool->row_states);
    store(pool, 0, y);

    part.step_stride = -slot_words;
    const int32_t last = (begin + pool->patch - 1) % pool->patch;
    part.steps = last + 1;
    fastgrnn_start(cell, pool->row_products + last * slot_words, summary_table(pool), &part,
                   pool->row_states);
    part.steps = pool->patch - 1 - last;
    fastgrnn_go_on(cell, pool->row_products + (pool->patch - 1) * slot_words, summary_table(pool),
                   &part, pool->row_states);
    store(pool, 1, y);
}

/* RNN2's products of summaries that are kept: of `count` rows from `row` on, into pixel_products,
 * which the band no longer needs. */
static void multiply_summaries(const rnnpool_t *pool, int32_t row, int32_t count) {
    int32_t *products = pool->pixel_products;
    for (int32_t n = row; n < row + count; n++) {
        const int32_t slot = n % pool->patch;
        fastgrnn_state_products(&pool->summary,
                                pool->row_summaries + slot * pool->patch_columns * pool->row.units,
                                pool->patch_columns, products);
        products += pool->patch_columns * pool->summary.units;
    }
}

/* RNN2 on over the products of `count` rows, down or up; the first of a sweep starts it. */
static void sweep_summaries(const rnnpool_t *pool, int32_t count, bool is_down, bool is_first) {
    const int32_t slot_words = pool->patch_columns * pool->summary.units;
    const int32_t *products = pool->pixel_products + (is_down ? 0 : (count - 1) * slot_words);
    const fastgrnn_sweep_t part = {
        .sequence_stride = pool->summary.units,
        .step_stride = is_down ? slot_words : -slot_words,
        .sequences = pool->patch_columns,
        .steps = count,
    };
    (is_first ? fastgrnn_start : fastgrnn_go_on)(&pool->summary, products, summary_table(pool),
                                                 &part, pool->row_states);
}

/* RNN2 down and up over row summaries that are kept, from row `first` on: chunk by chunk, of which
 * the last one's products serve both ways. */
static void summarise_kept_rows(const rnnpool_t *pool, int32_t first, int8_t *y) {
    const int32_t chunk = pool->chunk;
    const int32_t last = (pool->patch - 1) / chunk * chunk;
    const int32_t rest = pool->patch - last;
    for (int32_t at = 0; at <= last; at += chunk) {
        const int32_t count = at == last ? rest : chunk;
        multiply_summaries(pool, first + at, count);
        sweep_summaries(pool, count, true, at == 0);
    }
    store(pool, 0, y);
    sweep_summaries(pool, rest, false, true);
    for (int32_t at = last - chunk; at >= 0; at -= chunk) {
        multiply_summaries(pool, first + at, chunk);
        sweep_summaries(pool, chunk, false, false);
    }
    store(pool, 1, y);
}

/* RNN2 right and left over the column summaries. */
static void summarise_columns(const rnnpool_t *pool, const int16_t *columns, int8_t *y) {
    const fastgrnn_t *cell = &pool->summary;
    int32_t *products = pool->pixel_products; /* no longer needed in this band */
    fastgrnn_state_products(cell, columns, pool->columns, products);
    fastgrnn_sweep_t part = {
        .sequence_stride = pool->stride * cell->units,
        .step_stride = cell->units,
        .sequences = pool->patch_columns,
        .steps = pool->patch,
    };
    fastgrnn_start(cell, products, summary_table(pool), &part, pool->row_states);
    store(pool, 2, y);
    part.step_stride = -cell->units;
    fastgrnn_start(cell, products + (pool->patch - 1) * cell->units, summary_table(pool), &part,
                   pool->row_states);
    store(pool, 3, y);
}

/* Repeat the last pixel to the row's end, and the last row to the map's. */
static void replicate(const rnnpool_t *pool, int32_t patch_row, int8_t *y) {
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

int32_t rnnpool_made(const rnnpool_t *pool, int32_t rows) {
    if (rows < pool->patch) {
        return 0;
    }
    const int32_t made = (rows - pool->patch) / pool->stride + 1;
    return made < pool->patch_rows ? made : pool->out_rows;
}

void rnnpool_rows(const rnnpool_t *pool, const int8_t *x, int32_t row, int8_t *y) {
    REQUIRES(pool->band > 0 && row >= 0 && row % pool->band == 0);
    REQUIRES(IS_SIZE(pool->patch) && IS_SIZE(pool->stride));
    REQUIRES(pool->patch % pool->band == 0 && pool->stride % pool->band == 0);
    REQUIRES(pool->patch_rows > 0 && pool->patch_rows <= pool->out_rows);
    REQUIRES(pool->patch_columns > 0 && pool->patch_columns <= pool->out_columns);
    REQUIRES((pool->patch_columns - 1) * pool->stride + pool->patch <= pool->columns);
    REQUIRES(1 <= pool->shift && pool->shift <= 8);
    REQUIRES(pool->row.inputs == pool->channels && pool->summary.inputs == pool->row.units);
    REQUIRES(pool->row_summaries == NULL || (0 < pool->chunk && pool->chunk <= pool->patch));
    REQUIRES(pool->row_summaries == NULL || pool->row.units % 2 == 0);
    if (row >= (pool->patch_rows - 1) * pool->stride + pool->patch) {
        return; /* below the last patch */
    }
    fastgrnn_pixel_products(&pool->row, x, pool->band * pool->columns, pool->pixel_products);
    sweep_rows(pool, row);
    sweep_columns(pool, row);
    const int32_t slots = slots_of(pool);
    const int32_t first =
        row + pool->band - pool->patch; /* of the patches that end with this band */
    if (first >= 0 && first % pool->stride == 0) {
        const int32_t patch_row = first / pool->stride;
        int8_t *out = y + patch_row * pool->out_columns * 4 * pool->summary.units;
        const int32_t slot_words = pool->columns * pool->row.units;
        if (pool->row_summaries != NULL) {
            summarise_kept_rows(pool, first, out);
        } else {
            summarise_rows(pool, first, out);
        }
        summarise_columns(pool, pool->column_states + patch_row % slots * slot_words, out);
        replicate(pool, patch_row, out);
    }
}
