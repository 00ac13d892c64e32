/* Descriptors of products, convolutions and what is made of them. */
#ifndef FUZZ_CONVOLUTIONS_H
#define FUZZ_CONVOLUTIONS_H

#include "rooms.h"

static void fuzz_matmul(void) {
    matmul_t p = product_of(scaled(2, 1, 5), pick(1, 3), scaled(2, 1, 4), pick(1, 2));
    const bool residual = flip();
    if (residual) {
        with_residual(&p);
    }
    const int32_t pixels = pick(1, MATMUL_MOST_PIXELS);
    const int64_t x =
        reach(pixels, p.pixel_bytes) + reach(p.segments, p.segment_bytes) + 2 * whole(p.depth);
    const int64_t at = reach(pixels, p.y_pixel_bytes) + reach(p.channels, p.y_channel_bytes);
    int32_t *const weights = words(stream_bytes(&p, false));
    const int32_t *const flash = words(stream_bytes(&p, p.narrow));
    matmul_unpack(&p, flash, weights);
    matmul(&p, pixels, room(x), weights, room(at + p.y_bytes), residual_or_none(residual, at + 1));
}

static conv2d_t conv2d_of(int32_t rows, int32_t columns, int32_t channels, bool depthwise) {
    conv2d_t made = {
        .rows = about(rows),
        .columns = about(columns),
        .channels = about(channels),
        .kernel_rows = pick(1, 4),
        .kernel_columns = pick(1, 4),
        .stride = pick(1, 3),
        .top = pick(0, 2),
        .left = pick(0, 2),
        .shift = shifted(),
        .x_zero = about(-5),
        .y_zero = about(7),
        .low = about(-128),
        .high = about(127),
        .residual_zero = about(-3),
        .residual_multiplier = about(20000),
        .residual_shift = about(pick(1, 20)),
        .depthwise = depthwise,
    };
    made.out_rows = about(rows);
    made.out_columns = about(columns);
    made.out_channels = depthwise ? about(channels) : pick(1, 6);
    return made;
}

static void give_weights(conv2d_t *conv) {
    const int64_t kernel = times(conv->kernel_rows, conv->kernel_columns);
    const int64_t inputs = conv->depthwise ? 1 : whole(conv->channels);
    conv->weight = room(times(times(kernel, inputs), conv->out_channels));
    conv->bias = words(4 * whole(conv->out_channels));
    conv->multiplier = words(4 * whole(conv->out_channels));
}

static void conv2d_of_width(int32_t y_bytes) {
    conv2d_t conv = conv2d_of(pick(1, 5), pick(1, 5), pick(1, 6), flip());
    give_weights(&conv);
    const bool residual = flip();
    const int32_t first = about(0);
    const int32_t count = about(conv.out_rows);
    const int8_t *const x = room(map(conv.rows, conv.columns, conv.channels));
    void *const y = room(times(y_bytes, map(count, conv.out_columns, conv.out_channels)));
    const int64_t all = map(conv.out_rows, conv.out_columns, conv.out_channels);
    if (y_bytes == 1) {
        conv2d_rows(&conv, x, residual_or_none(residual, all), first, count, y);
    } else {
        conv.low = about(-32768);
        conv.high = about(32767);
        conv2d_int16_rows(&conv, x, residual_or_none(residual, all), first, count, y);
    }
}

static void fuzz_conv2d(void) {
    conv2d_of_width(1);
}

static void fuzz_conv2d_int16(void) {
    conv2d_of_width(2);
}

static void fuzz_inverted_residual(void) {
    const int32_t rows = small(1, 5), columns = small(1, 5), wide = small(1, 6);
    inverted_residual_t block = {.expand = conv2d_of(rows, columns, pick(1, 5), false),
                                 .depthwise = conv2d_of(rows, columns, wide, true)};
    block.project = conv2d_of(block.depthwise.out_rows, block.depthwise.out_columns,
                              block.depthwise.out_channels, false);
    conv2d_t *const ones[] = {&block.expand, &block.project};
    for (int i = 0; i < 2; i++) {
        ones[i]->kernel_rows = about(1);
        ones[i]->kernel_columns = about(1);
        ones[i]->stride = about(1);
        ones[i]->top = about(0);
        ones[i]->left = about(0);
    }
    block.expand.out_channels = about(wide);
    give_weights(&block.expand);
    give_weights(&block.depthwise);
    give_weights(&block.project);
    const conv2d_t *const filter = &block.depthwise;
    const int64_t y =
        map(block.project.out_rows, block.project.out_columns, block.project.out_channels);
    inverted_residual(&block,
                      room(map(block.expand.rows, block.expand.columns, block.expand.channels)),
                      residual_or_none(flip(), y),
                      room(map(filter->kernel_rows, filter->columns, filter->channels)),
                      room(times(filter->out_columns, filter->channels)), room(y));
}

static void fuzz_depthwise(void) {
    const int32_t columns = small(1, 7), channels = small(1, 5);
    depthwise_t row = {.channels = about(channels),
                       .columns = about(columns),
                       .stride = pick(1, 2),
                       .high = about(255)};
    row.slot_bytes = about(4 * (((int64_t)columns * 2 + 5) / 2));
    row.y_pixel_bytes = about(2 * (int64_t)channels);
    const int16_t *const ring = halves(map(row.channels, DEPTHWISE_SLOTS, row.slot_bytes));
    const int32_t *const weights = words(40 * times(row.channels, 1));
    const int32_t *const biases = words(8 * times(row.channels, 1));
    int16_t *const y = room(times(row.columns, row.y_pixel_bytes));
    depthwise(&row, ring, pick(0, 2), weights, biases, y);
}

static void fuzz_either_expand_filter(bool coded) {
    const int32_t depth = scaled(4, 1, 2), channels = scaled(2, 1, 3), columns = small(1, 6);
    expand_filter_t layer = {.expand = panels_of(depth, channels, 2),
                             .filter_shift = about(3),
                             .rows = pick(1, 5),
                             .columns = about(columns),
                             .channels = about(depth),
                             .top = pick(0, 1),
                             .left = pick(0, 1),
                             .held = flip()};
    const int32_t stride = small(1, 2);
    expand_filter_row_t filter = {.channels = about(channels),
                                  .stride = stride,
                                  .columns = about((columns + stride - 1) / stride),
                                  .y_zero = about(-128),
                                  .high = about(255)};
    filter.slot_bytes = about(4 * (((int64_t)columns + 3) / 2));
    filter.y_pixel_bytes =
        about(channels * (int64_t)layer.expand.whole + layer.expand.rest.channels);
    layer.filter = layer.filter_rest = filter;
    layer.filter_rest.channels = about(layer.expand.rest.channels);
    layer.out_rows = about((layer.rows + (int64_t)stride - 1) / stride);
    layer.out_row_bytes = about(times(filter.columns, filter.y_pixel_bytes));
    matmul_t *const products[] = {&layer.expand.product, &layer.expand.rest};
    for (int i = 0; i < 2; i++) {
        products[i]->y_channel_bytes = about(3 * (int64_t)filter.slot_bytes);
        products[i]->y_pixel_bytes = about(2);
    }
    const int64_t all = times(layer.expand.whole, filter.channels) + layer.filter_rest.channels;
    const int64_t most = greater(filter.channels, layer.filter_rest.channels);
    const int64_t pixels =
        layer.held ? times(layer.rows, layer.columns) : layer.expand.product.most_pixels;
    layer.expand_weights = coded ? coded_panels(&layer.expand) : words(panels_bytes(&layer.expand));
    layer.filter_weights = words(20 * times(all, 1));
    layer.copy = coded ? decoded_panel(&layer.expand)
                       : words(greater(stream_bytes(&layer.expand.product, false),
                                       stream_bytes(&layer.expand.rest, false)));
    layer.filters = words(48 * times(most, 1));
    layer.pixels = halves(2 * times(pixels, layer.channels));
    layer.ring = halves(map(most, DEPTHWISE_SLOTS, filter.slot_bytes));
    int8_t *const x = room(map(layer.rows, layer.columns, layer.channels));
    int8_t *const y = room(times(layer.out_rows, layer.out_row_bytes));
    if (coded) {
        expand_filter_coded(&layer, x, y);
    } else {
        expand_filter(&layer, x, y);
    }
}

static void fuzz_expand_filter(void) {
    fuzz_either_expand_filter(false);
}

static void fuzz_expand_filter_coded(void) {
    fuzz_either_expand_filter(true);
}

/* The filter of so many channels between a block's products, and where they meet it. */
static void filter_between(streamed_block_t *block, int32_t wide, int32_t columns, int32_t stride) {
    block->filter =
        (depthwise_t){.channels = about(wide),
                      .columns = about((columns + (int64_t)stride - 1) / greater(stride, 1)),
                      .stride = about(stride),
                      .high = about(255)};
    block->filter.slot_bytes = about(4 * (((int64_t)columns + 4) / 2));
    block->filter.y_pixel_bytes = about(2 * (int64_t)wide);
    block->out_rows = about((block->rows + (int64_t)stride - 1) / greater(stride, 1));
    block->expand.y_channel_bytes = about(3 * (int64_t)block->filter.slot_bytes);
    block->expand.y_pixel_bytes = about(2);
}

static void fuzz_streamed_block(void) {
    const bool expands = flip();
    const int32_t channels = scaled(4, 1, 2), columns = small(1, 5), stride = small(1, 2);
    const int32_t wide = expands ? scaled(2, 1, 4) : channels, outputs = scaled(2, 1, 3);
    const int32_t out_columns = (columns + stride - 1) / (stride > 0 ? stride : 1);
    streamed_block_t block = {.expand = product_of(channels, 1, wide, 2),
                              .project = product_of(wide, 1, outputs, 1),
                              .rows = pick(1, 5),
                              .columns = about(columns),
                              .channels = about(channels),
                              .out_columns = about(out_columns),
                              .out_channels = about(outputs),
                              .x_zero = about(-11),
                              .top = pick(0, 1),
                              .left = pick(0, 1)};
    filter_between(&block, wide, columns, stride);
    const bool residual = flip(), copies = flip();
    if (residual) {
        with_residual(&block.project);
    }
    if (expands) {
        block.expand_weights = words(stream_bytes(&block.expand, block.expand.narrow && copies));
    }
    block.project_weights = words(stream_bytes(&block.project, block.project.narrow && copies));
    block.filter_weights = words(40 * times(block.filter.channels, 1));
    block.filter_biases = words(8 * times(block.filter.channels, 1));
    if (copies) {
        block.weights =
            words((expands ? stream_bytes(&block.expand, false) : 0) +
                  stream_bytes(&block.project, false) + 48 * times(block.filter.channels, 1));
    }
    block.at_once = about((int64_t)block.expand.most_pixels * pick(1, 3));
    block.pixels = halves(2 * times(block.at_once, block.channels));
    block.ring = halves(map(block.filter.channels, DEPTHWISE_SLOTS, block.filter.slot_bytes));
    block.rows_at_once = about(pick(1, 3));
    block.filtered = halves(
        2 * times(even(times(block.rows_at_once, block.out_columns)), block.filter.channels));
    const int64_t y = map(block.out_rows, block.out_columns, block.out_channels);
    const int8_t *const x = room(map(block.rows, block.columns, block.channels));
    const int32_t first = about(0), count = about(block.out_rows);
    streamed_block_rows(&block, x, residual_or_none(residual, y), first, count,
                        room(map(count, block.out_columns, block.out_channels)));
}

static void fuzz_panelled_block(void) {
    const int32_t channels = scaled(4, 1, 2), columns = small(1, 5), stride = small(1, 2);
    const int32_t part = scaled(2, 1, 2), out_part = scaled(2, 1, 2);
    const int32_t wide = scaled(part, 1, 3), outputs = scaled(out_part, 1, 3);
    const int32_t out_columns = (columns + stride - 1) / (stride > 0 ? stride : 1);
    streamed_block_t block = {.expand = product_of(channels, 1, part, 2),
                              .project = product_of(wide, 1, out_part, 1),
                              .rows = pick(1, 5),
                              .columns = about(columns),
                              .channels = about(channels),
                              .out_columns = about(out_columns),
                              .out_channels = about(outputs),
                              .top = pick(0, 1),
                              .left = pick(0, 1)};
    block.expand.narrow = block.project.narrow = flip() || flip() || flip();
    filter_between(&block, wide, columns, stride);
    block.project.y_pixel_bytes = about(outputs);
    const bool residual = flip();
    if (residual) {
        with_residual(&block.project);
    }
    const int64_t expands = block.filter.channels / greater(block.expand.channels, 1);
    const int64_t projects = block.out_channels / greater(block.project.channels, 1);
    block.expand_weights = words(times(expands, stream_bytes(&block.expand, true)));
    block.project_weights = words(times(projects, stream_bytes(&block.project, true)));
    block.weights =
        words(greater(stream_bytes(&block.expand, false), stream_bytes(&block.project, false)));
    block.filter_weights = words(40 * times(block.filter.channels, 1));
    block.filter_biases = words(8 * times(block.filter.channels, 1));
    block.pixels = halves(2 * times(block.columns, block.channels));
    block.ring = halves(map(block.filter.channels, DEPTHWISE_SLOTS, block.filter.slot_bytes));
    block.filtered = halves(2 * times(even(block.out_columns), block.filter.channels));
    const int64_t y = map(block.out_rows, block.out_columns, block.out_channels);
    const int8_t *const x = room(map(block.rows, block.columns, block.channels));
    const int32_t first = about(0), count = about(block.out_rows);
    panelled_block_rows(&block, x, residual_or_none(residual, y), first, count,
                        room(map(count, block.out_columns, block.out_channels)));
}

static void fuzz_windowed(void) {
    const int32_t channels = small(1, 5), rows = small(1, 5), columns = small(1, 5);
    const int32_t kernel_rows = small(1, 3), kernel_columns = small(1, 3),
                  outputs = scaled(2, 1, 3);
    windowed_t layer = {
        .product = product_of((int32_t)even(times(times(kernel_rows, kernel_columns), channels)), 1,
                              outputs, 1),
        .rows = about(rows),
        .columns = about(columns),
        .channels = about(channels),
        .out_channels = about(outputs),
        .kernel_rows = about(kernel_rows),
        .kernel_columns = about(kernel_columns),
        .stride = pick(1, 3),
        .top = pick(0, 2),
        .left = pick(0, 2),
        .x_zero = about(-13)};
    layer.out_rows = about(rows);
    layer.out_columns = about(columns);
    const bool residual = flip(), copies = flip();
    if (residual) {
        with_residual(&layer.product);
    }
    layer.weights = words(stream_bytes(&layer.product, layer.product.narrow && copies));
    layer.copy = copies ? words(stream_bytes(&layer.product, false)) : NULL;
    layer.window = halves(2 * times(layer.product.most_pixels, layer.product.depth));
    const int64_t y = map(layer.out_rows, layer.out_columns, layer.out_channels);
    const int8_t *const x = room(map(layer.rows, layer.columns, layer.channels));
    const int32_t first = about(0), count = about(layer.out_rows);
    windowed_rows(&layer, x, residual_or_none(residual, y), first, count,
                  room(map(count, layer.out_columns, layer.out_channels)));
}

static void fuzz_stem(void) {
    stem_t layer = {.rows = pick(1, 6),
                    .columns = scaled(4, 1, 3),
                    .x_zero = about(-9),
                    .y_zero = about(4),
                    .low = about(-128),
                    .high = about(127)};
    layer.columns = about(layer.columns);
    layer.weights = words(2 * 4 * STEM_WEIGHT_WORDS);
    layer.slots = words(12 * times(whole(layer.columns) / 2 + 1, 1));
    const int32_t count = about(((int64_t)layer.rows + 1) / 2);
    const int8_t *const x = room(times(layer.rows, layer.columns));
    stem_rows(&layer, x, about(0), count,
              room(map(count, whole(layer.columns) / 2, STEM_CHANNELS)));
}

static void heads_of_width(int32_t y_bytes) {
    const int32_t slots = small(1, 3), channels = small(1, 5), columns = small(1, 5);
    const int32_t left_columns = small(0, 2), parts = small(1, HEADS_MOST_PARTS);
    const int32_t depth = even(slots * channels);
    const int32_t wide = columns + 2 * left_columns;
    heads_part_t part[HEADS_MOST_PARTS] = {0};
    int32_t outputs = 0;
    for (int32_t i = 0; i < parts && i < HEADS_MOST_PARTS; i++) {
        part[i] = (heads_part_t){about(outputs), pick(1, 3), 1};
        part[i].groups = about(pick(1, part[i].channels > 0 ? part[i].channels % 8 + 1 : 1));
        outputs = (int32_t)(((int64_t)outputs + part[i].channels) % 64);
    }
    heads_t layer = {.product = product_of(depth, slots, even(whole(outputs)), y_bytes),
                     .rows = pick(1, 5),
                     .columns = about(columns),
                     .channels = about(channels),
                     .stride = pick(1, 3),
                     .top = pick(0, 2),
                     .left = about(left_columns),
                     .x_zero = about(-7),
                     .parts = about(parts)};
    layer.out_columns =
        about(wide >= slots
                  ? (wide - slots) / (layer.stride > 0 && layer.stride < 4 ? layer.stride : 1) + 1
                  : 1);
    layer.product.pixel_bytes = about(2 * (int64_t)layer.stride * channels);
    layer.product.segment_bytes = about(4 * ((wide * channels + depth + 1) / 2));
    for (int i = 0; i < HEADS_MOST_PARTS; i++) {
        layer.part[i] = part[i];
    }
    const l2norm_t norm = l2norm_of(channels);
    layer.norm = flip() ? &norm : NULL;
    layer.weights = words(stream_bytes(&layer.product, layer.product.narrow));
    layer.turned = words(times(layer.product.segments, stream_bytes(&layer.product, false)));
    layer.ring = halves(times(layer.product.segments, layer.product.segment_bytes));
    layer.line = room(greater(times(layer.columns, layer.channels),
                              times(y_bytes, times(layer.out_columns, layer.product.channels))));
    const int32_t count = small(1, 4);
    void *y[HEADS_MOST_PARTS];
    for (int i = 0; i < HEADS_MOST_PARTS; i++) {
        const bool alone = layer.parts == 1 && layer.part[0].groups == 1;
        const int64_t of_part = 1 + whole(part[i].channels) - part[i].groups;
        const int64_t values =
            map(count, layer.out_columns, alone ? layer.product.channels : of_part);
        y[i] = room(times(y_bytes, values));
    }
    const int8_t *const x = room(map(layer.rows, layer.columns, layer.channels));
    if (y_bytes == 1) {
        int8_t *out[HEADS_MOST_PARTS];
        memcpy(out, y, sizeof out);
        heads_rows(&layer, x, about(0), count, out);
    } else {
        int16_t *out[HEADS_MOST_PARTS];
        memcpy(out, y, sizeof out);
        heads_int16_rows(&layer, x, about(0), count, out);
    }
}

static void fuzz_heads(void) {
    heads_of_width(1);
}

static void fuzz_heads_int16(void) {
    heads_of_width(2);
}

static void fuzz_one_pixel(void) {
    const int32_t inputs = scaled(4, 1, 4), channels = scaled(2, 1, 4);
    one_pixel_t layer = {.inputs = about(inputs),
                         .channels = about(channels),
                         .shift = shifted(),
                         .low = about(-128),
                         .high = about(127)};
    layer.weights = words(2 * times(layer.channels, 5 + whole(layer.inputs) / 2));
    layer.window = halves(2 * times(1, layer.inputs));
    one_pixel(&layer, room(times(1, layer.inputs)), room(times(1, layer.channels)));
}

static void fuzz_winograd(void) {
    const int32_t columns = small(1, 12), channels = scaled(4, 1, 3), outputs = scaled(2, 1, 3);
    const int32_t beside = small(0, 2), out_columns = columns + 2 * beside - 2;
    const int32_t fours = small(0, 2), threes = small(0, 2), point = 2 * channels;
    const int64_t tiles = 4 * fours + 3 * threes;
    const bool by_tile = flip();
    winograd_t layer = {.heads = {.rows = pick(1, 5),
                                  .columns = about(columns),
                                  .channels = about(channels),
                                  .out_columns = about(greater(1, out_columns)),
                                  .top = pick(0, 2),
                                  .left = about(beside),
                                  .x_zero = about(-7),
                                  .parts = about(1)},
                        .out_rows = pick(1, 5),
                        .fours = about(fours),
                        .threes = about(threes),
                        .tile_bytes = about((by_tile ? 16 : 4) * point),
                        .line_bytes = about((by_tile ? 1 : tiles) * 4 * point),
                        .excess = pick(0, 2)};
    layer.heads.product.segments = about(4);
    layer.heads.product.segment_bytes =
        about(point * greater(2 * tiles + 2, (int64_t)columns + beside));
    layer.heads.product.channels = about(outputs);
    layer.heads.product.low = about(-128);
    layer.heads.product.high = about(127);
    layer.heads.part[0] = (heads_part_t){about(0), about(outputs), pick(1, outputs)};
    const l2norm_t norm = l2norm_of(channels);
    layer.heads.norm = flip() ? &norm : NULL;
    layer.heads.ring = halves(times(4, layer.heads.product.segment_bytes));
    const int64_t made = 4 * whole(layer.fours) + 3 * whole(layer.threes);
    const int64_t words_made =
        map(layer.heads.product.channels, 16, whole(layer.heads.channels) / 2) +
        3 * whole(layer.heads.product.channels);
    layer.weights = words(4 * words_made);
    layer.copy = words(4 * words_made);
    layer.v = halves(2 * 16 * times(made, layer.heads.channels));
    layer.m = words(4 * 16 * times(made, layer.heads.product.channels));
    layer.line = room(4 * times(made, layer.heads.product.channels));
    const heads_part_t part = layer.heads.part[0];
    int8_t *y[HEADS_MOST_PARTS] = {0};
    y[0] = room(map(layer.out_rows, layer.heads.out_columns,
                    greater(1, 1 + whole(part.channels) - part.groups)));
    winograd(&layer, room(map(layer.heads.rows, layer.heads.columns, layer.heads.channels)),
             (int8_t *const *)y);
}

static void fuzz_pointwise(void) {
    const int32_t depth = scaled(4, 1, 3), outputs = scaled(2, 1, 4), rows = small(1, 4);
    pointwise_t layer = {.product = product_of(depth, 1, outputs, 1),
                         .columns = pick(1, 5),
                         .channels = about(depth)};
    const bool residual = flip(), copies = flip();
    if (residual) {
        with_residual(&layer.product);
    }
    const scale_t before = scale_of(depth, 2, flip());
    layer.scale = flip() ? &before : NULL;
    layer.weights = words(stream_bytes(&layer.product, layer.product.narrow && copies));
    layer.copy = copies ? words(stream_bytes(&layer.product, false)) : NULL;
    layer.window = halves(2 * times(layer.product.most_pixels, layer.channels));
    const int32_t first = about(0), count = about(rows);
    const int64_t y = map(rows, layer.columns, layer.product.channels);
    if ((int64_t)first + count > rows) {
        longjmp(out, 2); /* the map's rows are the caller's to know */
    }
    pointwise_rows(&layer, room(map(rows, layer.columns, layer.channels)),
                   residual_or_none(residual, y), first, count, room(y));
}

static void fuzz_coded(void) {
    const panels_t panels = {.product = product_of(scaled(2, 1, 5), 1, scaled(2, 1, 4), 1),
                             .whole = 1};
    (void)coded_unpack(&panels.product, coded_panels(&panels), decoded_panel(&panels));
}

static void fuzz_either_pointwise_panels(bool coded) {
    const int32_t depth = scaled(4, 1, 3), channels = scaled(2, 1, 3);
    pointwise_panels_t layer = {.panels = panels_of(depth, channels, 1),
                                .pixels = pick(1, 7),
                                .channels = about(depth),
                                .held = flip()};
    layer.outputs = about(channels * (int64_t)layer.panels.whole + layer.panels.rest.channels);
    layer.panels.product.y_pixel_bytes = about(layer.outputs);
    layer.panels.rest.y_pixel_bytes = about(layer.outputs);
    const bool residual = flip();
    if (residual) {
        with_residual(&layer.panels.product);
        with_residual(&layer.panels.rest);
    }
    layer.weights = coded ? coded_panels(&layer.panels) : words(panels_bytes(&layer.panels));
    layer.copy = coded ? decoded_panel(&layer.panels)
                       : words(greater(stream_bytes(&layer.panels.product, false),
                                       stream_bytes(&layer.panels.rest, false)));
    const int64_t held = layer.held ? layer.pixels : layer.panels.product.most_pixels;
    layer.window = halves(2 * times(held, layer.channels));
    const int64_t y = times(layer.pixels, layer.outputs);
    const int8_t *const x = room(times(layer.pixels, layer.channels));
    const int8_t *const added = residual_or_none(residual, y);
    if (coded) {
        pointwise_panels_coded(&layer, x, added, room(y));
    } else {
        pointwise_panels(&layer, x, added, room(y));
    }
}

static void fuzz_pointwise_panels(void) {
    fuzz_either_pointwise_panels(false);
}

static void fuzz_pointwise_panels_coded(void) {
    fuzz_either_pointwise_panels(true);
}

#endif
