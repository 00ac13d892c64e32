/* Descriptors of every kernel, right and wrong, and shapes at their limits: whatever stands in one,
 * its contracts refuse it or the kernel stays within the memory that its header tells of. Every
 * buffer is as long as the descriptor says and no byte longer, with the sanitizer's wall behind.
 *
 * The first byte of an input chooses the kernel; each further one a field. */
#include "convolutions.h"
#include "gated.h"
#include "rooms.h"

static void fuzz_add(void) {
    const add_t layer = {
        .terms = {{any(), about(small(0, 12))}, {any(), about(small(0, 12))}},
        .sum = {any(), about(small(0, 12))},
        .zeros = {about(-4), about(9)},
        .y_zero = about(6),
        .low = about(-128),
        .high = about(127),
        .tables = words(8 * ADD_LEVELS),
    };
    const int32_t count = pick(0, 40);
    const int8_t *const a = room(count);
    const int8_t *const b = room(count);
    add(&layer, count, a, b, room(count));
}

static void fuzz_softmax(void) {
    int32_t *const table = words(4 * SOFTMAX_LEVELS);
    for (int32_t i = 0; i < SOFTMAX_LEVELS; i++) {
        table[i] &= 0x3FFFFF;
    }
    table[0] = about(1 << 22);
    const softmax_t layer = {.table = table, .channels = pick(1, 9)};
    const int32_t pixels = pick(0, 6);
    const int64_t bytes = times(pixels, layer.channels);
    softmax(&layer, pixels, room(bytes), room(bytes));
}

static void fuzz_concat(void) {
    enum { MOST_PARTS = 4 };
    concat_part_t parts[MOST_PARTS];
    const int8_t *x[MOST_PARTS];
    concat_t layer = {.parts = pick(1, MOST_PARTS), .pixels = pick(0, 9), .y_zero = about(3)};
    if (layer.parts > MOST_PARTS) {
        longjmp(out, 2);
    }
    int64_t channels = 0;
    for (int32_t i = 0; i < layer.parts; i++) {
        parts[i] = (concat_part_t){pick(1, 9), about(2), flip() ? any() : 0, shifted()};
        x[i] = room(times(layer.pixels, parts[i].channels));
        channels += whole(parts[i].channels);
    }
    concat_part_t *const kept = room(layer.parts > 0 ? layer.parts * (int64_t)sizeof *parts : 0);
    for (int32_t i = 0; i < layer.parts; i++) {
        kept[i] = parts[i];
    }
    layer.part = kept;
    concat(&layer, x, room(times(layer.pixels, channels)));
}

static fastgrnn_t fastgrnn_of(int32_t units, int32_t inputs) {
    fastgrnn_t made = {.units = about(units),
                       .inputs = about(inputs),
                       .w_shift = about(4),
                       .index_shift = about(9),
                       .index_bits = pick(1, 6)};
    if (made.index_bits > 12 || made.index_bits < -100) {
        made.index_bits = flip() ? 31 : -1;
    }
    made.w = halves(2 * times(made.units, made.inputs));
    made.u = halves(2 * times(made.units, made.units));
    made.bias = words(4 * whole(made.units));
    const int64_t entries = made.index_bits < 0 || made.index_bits > 12 ? 0 : 1 << made.index_bits;
    made.table = words(4 * times(entries, made.units));
    return made;
}

static void fuzz_fastgrnn(void) {
    const fastgrnn_t cell = fastgrnn_of(pick(1, 5), pick(1, 6));
    const int32_t sequences = pick(1, 4), steps = pick(1, 4), count = pick(1, 7);
    fastgrnn_pixel_products(&cell, room(times(count, cell.inputs)), count,
                            words(4 * times(count, cell.units)));
    fastgrnn_state_products(&cell, halves(2 * times(count, cell.inputs)), count,
                            words(4 * times(count, cell.units)));
    const fastgrnn_sweep_t sweep = {.sequence_stride = about(times(steps, cell.units)),
                                    .step_stride = about(cell.units),
                                    .sequences = sequences,
                                    .steps = steps};
    const int64_t reached = reach(sequences, sweep.sequence_stride) +
                            reach(steps, sweep.step_stride) + whole(cell.units);
    if (sweep.sequence_stride < 0 || sweep.step_stride < 0) {
        longjmp(out, 2); /* where they begin is the caller's to say */
    }
    int32_t *const products = words(4 * reached);
    int16_t *const h = halves(2 * times(sequences, cell.units));
    fastgrnn_start(&cell, products, cell.table, &sweep, h);
    fastgrnn_go_on(&cell, products, cell.table, &sweep, h);
}

static gru_t gru_of(int32_t units) {
    gru_t made = {.units = about(units),
                  .product_shift = shifted(),
                  .index_shift = about(8),
                  .index_bits = pick(1, 8)};
    return made;
}

static int64_t table_bytes(const gru_t *gru) {
    return gru->index_bits < 1 || gru->index_bits > 16 ? 0 : INT64_C(2) << gru->index_bits;
}

static int64_t recurrent_bytes(const gru_t *gru) {
    return 4 * times(gru->units, 1 + 3 * even(whole(gru->units)) / 2);
}

static void fuzz_gru(void) {
    const gru_t gru = gru_of(pick(1, 5));
    const int32_t sequences = pick(1, 5);
    const int64_t sets = even(whole(sequences));
    const int64_t states = 2 * times(sets, even(whole(gru.units)));
    gru_step(&gru, halves(2 * times(sets, even(3 * whole(gru.units)))),
             words(recurrent_bytes(&gru)), halves(table_bytes(&gru)), sequences, halves(states),
             halves(states));
}

static void fuzz_renet(void) {
    const int32_t units = small(1, 4), rows = small(1, 2), run = small(1, 8);
    const int32_t sequences = small(1, 4), steps = small(1, 3);
    const int32_t depth = rows * run + rows * run % 2, channels = 3 * units + 3 * units % 2;
    renet_t layer = {.product = product_of(depth, 1, channels, 2),
                     .gru = gru_of(units),
                     .sequences = about(sequences),
                     .steps = about(steps),
                     .patch_rows = about(rows),
                     .run_bytes = about(run),
                     .widened = flip()};
    layer.row_bytes = about((int64_t)run * sequences);
    layer.x_sequence_bytes = about(run);
    layer.x_step_bytes = about((int64_t)run * sequences * rows);
    layer.y_step_bytes = about(2 * (int64_t)units * sequences);
    layer.y_sequence_bytes = about(2 * (int64_t)units);
    const int64_t states = times(even(whole(layer.sequences)), even(whole(layer.gru.units)));
    const bool copies = flip();
    layer.forward.weights = words(stream_bytes(&layer.product, layer.product.narrow && copies));
    layer.backward.weights = words(stream_bytes(&layer.product, layer.product.narrow && copies));
    layer.forward.recurrent = words(recurrent_bytes(&layer.gru));
    layer.backward.recurrent = words(recurrent_bytes(&layer.gru));
    layer.sigmoid = halves(table_bytes(&layer.gru));
    layer.weights = copies ? words(stream_bytes(&layer.product, false)) : NULL;
    layer.recurrent = copies ? words(recurrent_bytes(&layer.gru)) : NULL;
    layer.table = flip() ? halves(table_bytes(&layer.gru)) : NULL;
    layer.window = halves(MATMUL_MOST_PIXELS * 2 * times(layer.product.depth, 1));
    layer.products = halves(2 * times(even(whole(layer.sequences)), layer.product.channels));
    layer.states = words(4 * states);
    layer.waiting = flip() ? room(map(layer.steps, layer.sequences, layer.gru.units)) : NULL;
    const int64_t x = reach(layer.steps, layer.x_step_bytes) +
                      reach(layer.sequences, layer.x_sequence_bytes) +
                      reach(layer.patch_rows, layer.row_bytes) + whole(layer.run_bytes);
    const int64_t y = reach(layer.steps, layer.y_step_bytes) +
                      reach(layer.sequences, layer.y_sequence_bytes) + 2 * whole(layer.gru.units);
    renet(&layer, room(x), room(y));
}

static void fuzz_l2norm(void) {
    const l2norm_t layer = l2norm_of(pick(1, 9));
    const int32_t pixels = pick(0, 6);
    const int64_t bytes = times(pixels, layer.channels);
    l2norm(&layer, pixels, room(bytes), room(bytes));
}

static void fuzz_lookup(void) {
    const lookup_t layer = {.table = room(LOOKUP_ENTRIES),
                            .copy = flip() ? room(LOOKUP_ENTRIES) : NULL,
                            .channels = pick(1, 9)};
    const int32_t pixels = pick(0, 9);
    const int64_t bytes = times(pixels, layer.channels);
    lookup(&layer, pixels, room(bytes), room(bytes));
}

static void fuzz_maxout(void) {
    maxout_t layer = {.channels = pick(1, 9)};
    layer.groups = about(pick(1, 9));
    const int32_t pixels = pick(0, 9);
    maxout(&layer, pixels, room(times(pixels, layer.channels)),
           room(times(pixels, 1 + (int64_t)layer.channels - layer.groups)));
}

static void fuzz_scale(void) {
    const int32_t y_bytes = pick(1, 2);
    const scale_t layer = scale_of(scaled(4, 1, 3), y_bytes, flip());
    const int32_t pixels = pick(1, 3);
    const int64_t values = times(pixels, layer.channels);
    scale(&layer, pixels, room(values), scale_weights(&layer, true),
          room(times(values, layer.y_bytes)));
    const int32_t all = pick(0, 9);
    const int64_t bytes = times(all, layer.channels);
    scale_map(&layer, true, all, room(bytes), room(bytes));
}

static void fuzz_pool2d(void) {
    const int32_t columns = small(1, 6), window = small(1, 3);
    pool2d_t layer = {.rows = pick(1, 6),
                      .columns = about(columns),
                      .channels = pick(1, 9),
                      .window_rows = pick(1, 3),
                      .window_columns = about(window),
                      .stride = pick(1, 3),
                      .top = pick(0, 1),
                      .left = pick(0, 1),
                      .x_zero = about(-6),
                      .y_zero = about(3),
                      .multiplier = any(),
                      .shift = shifted()};
    layer.y_columns = about(columns);
    const int32_t first = about(0), count = small(0, 4);
    const int8_t *const x = room(map(layer.rows, layer.columns, layer.channels));
    int8_t *const y = room(map(count, layer.y_columns, layer.channels));
    (flip() ? pool2d_average : pool2d_max)(&layer, x, first, count, y);
}

static void fuzz_rnnpool(void) {
    const int32_t band = small(1, 2), channels = small(1, 4), stride = scaled(band, 1, 3);
    const int32_t patch = scaled(band, 1, 3), across = small(1, 3), down = small(1, 3);
    const int32_t units = small(1, 4), summary = small(1, 4);
    rnnpool_t pool = {.row = fastgrnn_of(units, channels),
                      .summary = fastgrnn_of(summary, units),
                      .channels = about(channels),
                      .patch = about(patch),
                      .stride = about(stride),
                      .patch_rows = about(down),
                      .patch_columns = about(across),
                      .shift = pick(1, 8),
                      .band = about(band)};
    pool.columns = about(((int64_t)across - 1) * stride + patch + pick(0, 2));
    pool.out_rows = about((int64_t)down + pick(0, 1));
    pool.out_columns = about((int64_t)across + pick(0, 1));
    pool.offset = halves(2 * whole(pool.summary.units));
    int8_t *const order = room(whole(pool.summary.units));
    for (int32_t i = 0; i < pool.summary.units; i++) {
        order[i] = (int8_t)(pick(0, 9) > 0 ? (i ^ 1) % pool.summary.units : pick(-1, 5));
    }
    pool.order = order;
    const bool copies = flip();
    if (copies && pool.row.index_bits >= 0 && pool.row.index_bits <= 12 &&
        pool.summary.index_bits >= 0 && pool.summary.index_bits <= 12) {
        pool.row_table = words(4 * times(1 << pool.row.index_bits, pool.row.units));
        pool.summary_table = words(4 * times(1 << pool.summary.index_bits, pool.summary.units));
    }
    const int64_t slots =
        pool.stride > 0 ? ((int64_t)pool.patch + pool.stride - 1) / pool.stride : 0;
    pool.pixel_products = words(4 * greater(map(pool.band, pool.columns, pool.row.units),
                                            times(pool.columns, pool.summary.units)));
    pool.row_products = words(4 * map(pool.patch, pool.patch_columns, pool.summary.units));
    pool.row_states =
        halves(2 * times(pool.patch_columns, greater(pool.row.units, pool.summary.units)));
    pool.column_states = halves(2 * map(slots, pool.columns, pool.row.units));
    int8_t *const y = room(4 * map(pool.out_rows, pool.out_columns, pool.summary.units));
    rnnpool_begin(&pool);
    const int64_t rows = ((int64_t)down - 1) * stride + patch;
    const int8_t *const x = room(map(pool.band, pool.columns, pool.channels));
    for (int32_t row = 0, step = band > 0 ? band : 1; row < rows && row < 40; row += step) {
        rnnpool_rows(&pool, x, row, y);
        (void)rnnpool_made(&pool, row + step);
    }
}

#define KERNEL(name) {#name, fuzz_##name}
static const struct {
    const char *name;
    void (*fuzz)(void);
} kernels[] = {
    KERNEL(add),
    KERNEL(coded),
    KERNEL(concat),
    KERNEL(conv2d),
    KERNEL(conv2d_int16),
    KERNEL(depthwise),
    KERNEL(expand_filter),
    KERNEL(expand_filter_coded),
    KERNEL(fastgrnn),
    KERNEL(gated),
    KERNEL(gated_pool),
    KERNEL(gru),
    KERNEL(heads),
    KERNEL(heads_int16),
    KERNEL(inverted_residual),
    KERNEL(l2norm),
    KERNEL(lookup),
    KERNEL(matmul),
    KERNEL(maxout),
    KERNEL(one_pixel),
    KERNEL(panelled_block),
    KERNEL(pointwise),
    KERNEL(pointwise_panels),
    KERNEL(pointwise_panels_coded),
    KERNEL(pool2d),
    KERNEL(renet),
    KERNEL(rnnpool),
    KERNEL(scale),
    KERNEL(softmax),
    KERNEL(stem),
    KERNEL(streamed_block),
    KERNEL(windowed),
    KERNEL(winograd),
};

/* The one that the environment names, else the one that the input chooses. */
static uint32_t chosen(void) {
    enum { COUNT = sizeof kernels / sizeof kernels[0] };
    const char *const name = getenv("FUZZ_KERNEL");
    const uint32_t kernel = (uint32_t)byte() % COUNT;
    for (uint32_t i = 0; name != NULL && i < COUNT; i++) {
        if (strcmp(kernels[i].name, name) == 0) {
            return i;
        }
    }
    return kernel;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    said = data;
    left = size;
    room_count = 0;
    noise = (uint32_t)size;
    const uint32_t kernel = chosen();
    if (setjmp(out) == 0) {
        kernels[kernel].fuzz();
    }
    while (room_count > 0) {
        free(rooms[--room_count]);
    }
    return 0;
}
