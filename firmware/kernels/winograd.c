#include "winograd.h"

#include "contract.h"
#include "dsp.h"
#include "heads_parts.h"

enum { SIDE = 4, POINTS = SIDE * SIDE, END_WORDS = 3 };

HEADS_LEAVE(leave_part, int8_t)

/* In two rows. */
static int32_t tiles_of(const winograd_t *layer) {
    return 4 * layer->fours + 3 * layer->threes;
}

/* B times four values. */
static void transform(const int32_t d[SIDE], int32_t v[SIDE]) {
    v[0] = d[0] - d[2];
    v[1] = d[1] + d[2];
    v[2] = d[2] - d[1];
    v[3] = d[1] - d[3];
}

/* One channel of one tile; `rows` are at its first column. */
static void enter_tile(const winograd_t *layer, const int16_t *const rows[SIDE], int16_t *v) {
    const int32_t channels = layer->heads.channels;
    int32_t along[SIDE][SIDE];
    for (int32_t i = 0; i < SIDE; i++) {
        int32_t d[SIDE];
        for (int32_t j = 0; j < SIDE; j++) {
            d[j] = rows[i][j * channels];
        }
        transform(d, along[i]);
    }
    for (int32_t j = 0; j < SIDE; j++) {
        int32_t d[SIDE];
        int32_t down[SIDE];
        for (int32_t i = 0; i < SIDE; i++) {
            d[i] = along[i][j];
        }
        transform(d, down);
        for (int32_t i = 0; i < SIDE; i++) {
            v[i * layer->line_bytes / 2 + j * channels] = (int16_t)down[i];
        }
    }
}

static void enter(const winograd_t *layer, const int16_t *const *rows) {
    if (HIL_CORTEX_M4) {
        layer->enter(rows, layer->v);
        return;
    }
    const int32_t channels = layer->heads.channels;
    for (int32_t t = 0; t < tiles_of(layer); t++) {
        for (int32_t c = 0; c < channels; c++) {
            const int32_t at = 2 * t * channels + c;
            const int16_t *const from[SIDE] = {rows[0] + at, rows[1] + at, rows[2] + at,
                                               rows[3] + at};
            enter_tile(layer, from, layer->v + t * layer->tile_bytes / 2 + c);
        }
    }
}

/* The sum over inputs; `u` is the first word of the channel. */
static int32_t sum_of(const int16_t *v, const int32_t *u, int32_t channels) {
    int32_t sum = 0;
    for (int32_t c = 0; c < channels; c += 2, u += 2) {
        sum = dsp_smlad(dsp_load_word(v + c), *u, sum);
    }
    return sum;
}

static void multiply(const winograd_t *layer) {
    const int32_t channels = layer->heads.channels;
    const int32_t outputs = layer->heads.product.channels;
    if (layer->multiply[0] != NULL) {
        layer->multiply[0](layer->v, layer->copy, layer->m);
    }
    if (layer->multiply[1] != NULL) {
        const int32_t tile = 4 * layer->fours;
        layer->multiply[1](layer->v + tile * (layer->tile_bytes / 2), layer->copy,
                           layer->m + tile * outputs * POINTS);
    }
    if (HIL_CORTEX_M4) {
        return;
    }
    for (int32_t point = 0; point < POINTS; point++) {
        const int16_t *v =
            layer->v + (point / SIDE * layer->line_bytes / 2) + (point % SIDE * channels);
        for (int32_t t = 0; t < tiles_of(layer); t++) {
            for (int32_t o = 0; o < outputs; o++) {
                const int32_t *u =
                    layer->copy + (point * outputs + (o & ~1)) * (channels / 2) + (o & 1);
                layer->m[(t * outputs + o) * POINTS + point] =
                    sum_of(v + t * layer->tile_bytes / 2, u, channels);
            }
        }
    }
}

/* A times four values, modulo 2**32. */
static void gather(const int32_t *m, int32_t step, int32_t *first, int32_t *second) {
    const uint32_t d[SIDE] = {(uint32_t)m[0], (uint32_t)m[step], (uint32_t)m[2 * step],
                              (uint32_t)m[3 * step]};
    *first = (int32_t)(d[0] + d[1] + d[2]);
    *second = (int32_t)(d[1] - d[2] - d[3]);
}

/* One output channel of one tile, to the line. */
static void leave_tile(const winograd_t *layer, const int32_t *m, const int32_t *ends,
                       int8_t *line) {
    const int32_t outputs = layer->heads.product.channels;
    int32_t along[2][SIDE];
    for (int32_t i = 0; i < SIDE; i++) {
        gather(m + SIDE * i, 1, &along[0][i], &along[1][i]);
    }
    for (int32_t column = 0; column < 2; column++) {
        int32_t sum[2];
        gather(along[column], 1, &sum[0], &sum[1]);
        for (int32_t row = 0; row < 2; row++) {
            const int32_t whole =
                (int32_t)((uint32_t)ends[0] + (uint32_t)(sum[row] >> layer->excess));
            const int32_t y = dsp_smmlar(whole, ends[1], ends[2]);
            line[(row * 2 * tiles_of(layer) + column) * outputs] =
                (int8_t)dsp_clamp(y, layer->heads.product.low, layer->heads.product.high);
        }
    }
}

static void leave(const winograd_t *layer) {
    const int32_t outputs = layer->heads.product.channels;
    const int32_t *ends = layer->copy + POINTS * outputs * (layer->heads.channels / 2);
    if (HIL_CORTEX_M4) {
        layer->leave(layer->m, ends, layer->line);
        return;
    }
    for (int32_t t = 0; t < tiles_of(layer); t++) {
        for (int32_t o = 0; o < outputs; o++) {
            leave_tile(layer, layer->m + (t * outputs + o) * POINTS, ends + END_WORDS * o,
                       layer->line + 2 * t * outputs + o);
        }
    }
}

static void check(const winograd_t *layer) {
    const heads_t *heads = &layer->heads;
    const int32_t outputs = heads->product.channels;
    REQUIRES(0 < heads->parts && heads->parts <= HEADS_MOST_PARTS);
    REQUIRES(ARE_SIZES(heads->rows, heads->columns, heads->channels));
    REQUIRES(heads->channels % 4 == 0 && 0 < outputs && outputs % 2 == 0);
    REQUIRES(heads->product.segments == SIDE && IS_BYTE(heads->x_zero));
    REQUIRES(0 <= heads->top && heads->top < SIDE && 0 <= heads->left && heads->left < SIDE);
    REQUIRES(0 <= layer->fours && layer->fours <= 65536);
    REQUIRES(0 <= layer->threes && layer->threes <= 65536);
    const int32_t tiles = tiles_of(layer);
    REQUIRES(0 < heads->out_columns && heads->out_columns <= 2 * tiles);
    REQUIRES(0 < layer->out_rows && layer->out_rows <= 65536);
    REQUIRES(ARE_SIZES(tiles, POINTS * 4, heads->channels));
    REQUIRES(ARE_SIZES(tiles, POINTS * 4, outputs));
    REQUIRES(ARE_SIZES(outputs, POINTS * 4, heads->channels));
    REQUIRES(heads->product.segment_bytes % 4 == 0 && heads->product.segment_bytes <= 0x1000000);
    REQUIRES(heads->product.segment_bytes / 2 >= (2 * tiles + 2) * heads->channels);
    REQUIRES(heads->product.segment_bytes / 2 >= (heads->left + heads->columns) * heads->channels);
    REQUIRES(0 <= layer->excess && layer->excess <= 2);
    REQUIRES(IS_BYTE(heads->product.low) && IS_BYTE(heads->product.high));
    REQUIRES(heads->product.low <= heads->product.high);
    REQUIRES(heads->norm == NULL || heads->norm->channels == heads->channels);
    REQUIRES(IS_ALIGNED(heads->ring, 4) && IS_ALIGNED(layer->v, 4) && IS_ALIGNED(layer->copy, 4));
    const int32_t of_point = 2 * heads->channels;
    const bool by_tile =
        layer->tile_bytes == POINTS * of_point && layer->line_bytes == SIDE * of_point;
    const bool by_line =
        layer->tile_bytes == SIDE * of_point && layer->line_bytes == tiles * SIDE * of_point;
    REQUIRES(by_tile || by_line);
}

void winograd(const winograd_t *layer, const int8_t *x, int8_t *const *y) {
    check(layer);
    const heads_t *heads = &layer->heads;
    const int32_t outputs = heads->product.channels;
    const int32_t words = outputs * (POINTS * heads->channels / 2 + END_WORDS);
    int8_t *out[HEADS_MOST_PARTS];
    for (int32_t i = 0; i < heads->parts; i++) {
        out[i] = y[i];
    }
    memcpy(layer->copy, layer->weights, (size_t)words * sizeof *layer->copy);
    widen_fill(heads->x_zero, SIDE * heads->product.segment_bytes / 2, heads->ring);
    for (int32_t row = 0; row < layer->out_rows; row += 2) {
        const int32_t under = row - heads->top; /* the tiles' first row */
        for (int32_t n = row == 0 ? under : under + 2; n < under + SIDE; n++) {
            heads_enter(heads, x, n);
        }
        const int16_t *rows[SIDE];
        for (int32_t i = 0; i < SIDE; i++) {
            rows[i] = heads->ring + (under + i + SIDE) % SIDE * (heads->product.segment_bytes / 2);
        }
        enter(layer, rows);
        multiply(layer);
        leave(layer);
        const int32_t last = row + 2 < layer->out_rows ? 2 : layer->out_rows - row;
        for (int32_t n = 0; n < last; n++) {
            const int8_t *line = layer->line + n * 2 * tiles_of(layer) * outputs;
            for (int32_t i = 0; i < heads->parts; i++) {
                out[i] = leave_part(heads, &heads->part[i], line, out[i]);
            }
        }
    }
}
