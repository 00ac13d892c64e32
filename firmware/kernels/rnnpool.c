#include "rnnpool.h"

#include "dsp.h"

typedef int16_t state_t[FASTGRNN_MOST_UNITS];

/* RNN1 over `patch` pixels from `pixel`, `step` bytes apart. */
static void sweep(const rnnpool_t *layer, const int8_t *pixel, int32_t step, int16_t *h) {
    int16_t x[RNNPOOL_MOST_CHANNELS];
    memset(h, 0, sizeof(state_t));
    for (int32_t t = 0; t < layer->patch; t++, pixel += step) {
        for (int32_t c = 0; c < layer->channels; c++) {
            x[c] = (int16_t)(pixel[c] - layer->x_zero);
        }
        fastgrnn_step(&layer->row, x, h);
    }
}

static void store(const int16_t *h, int32_t units, int8_t *y) {
    for (int32_t i = 0; i < units; i++) {
        y[i] = (int8_t)clamp((h[i] + 128) >> 8, -128, 127);
    }
}

/* RNN2 over the summaries forwards into y[0..units) and backwards into y[units..2 units). */
static void summarise(const rnnpool_t *layer, state_t *summaries, int8_t *y) {
    state_t forwards = {0};
    state_t backwards = {0};
    for (int32_t t = 0; t < layer->patch; t++) {
        fastgrnn_step(&layer->summary, summaries[t], forwards);
        fastgrnn_step(&layer->summary, summaries[layer->patch - 1 - t], backwards);
    }
    store(forwards, layer->summary.units, y);
    store(backwards, layer->summary.units, y + layer->summary.units);
}

static void pool_patch(const rnnpool_t *layer, const int8_t *x, int8_t *y) {
    const int32_t row_bytes = layer->columns * layer->channels;
    state_t summaries[RNNPOOL_MOST_PATCH];
    for (int32_t i = 0; i < layer->patch; i++) {
        sweep(layer, x + i * row_bytes, layer->channels, summaries[i]);
    }
    summarise(layer, summaries, y);
    for (int32_t j = 0; j < layer->patch; j++) {
        sweep(layer, x + j * layer->channels, row_bytes, summaries[j]);
    }
    summarise(layer, summaries, y + 2 * layer->summary.units);
}

void rnnpool(const rnnpool_t *layer, const int8_t *x, int8_t *y) {
    const size_t pixel_bytes = 4U * (size_t)layer->summary.units;
    const size_t row_bytes = (size_t)layer->out_columns * pixel_bytes;
    const int32_t patch_rows = (layer->rows - layer->patch) / layer->stride + 1;
    const int32_t patch_columns = (layer->columns - layer->patch) / layer->stride + 1;
    for (int32_t row = 0; row < layer->out_rows; row++) {
        int8_t *out = y + (size_t)row * row_bytes;
        if (row >= patch_rows) {
            memcpy(out, out - row_bytes, row_bytes);
            continue;
        }
        for (int32_t column = 0; column < layer->out_columns; column++, out += pixel_bytes) {
            if (column >= patch_columns) {
                memcpy(out, out - pixel_bytes, pixel_bytes);
                continue;
            }
            int32_t from = (row * layer->columns + column) * layer->stride * layer->channels;
            pool_patch(layer, x + from, out);
        }
    }
}
