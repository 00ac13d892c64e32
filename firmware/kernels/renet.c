#include "renet.h"

#include "contract.h"
#include "dsp.h"
#include "widen.h"

/* A patch as int16; its zero point stays in. */
static void gather(const renet_t *layer, const int8_t *x, int16_t *to) {
    for (int32_t row = 0; row < layer->patch_rows; row++, x += layer->row_bytes) {
        if (layer->widened) {
            widen(x, layer->run_bytes, to);
            to += layer->run_bytes;
            continue;
        }
        for (int32_t i = 0; i < layer->run_bytes; i++) {
            *to++ = x[i];
        }
    }
}

/* The products of every sequence's patch at one step. */
static void multiply(const renet_t *layer, const int8_t *x, const int32_t *weights) {
    const matmul_t *product = &layer->product;
    for (int32_t s = 0, count = 0; s < layer->sequences; s += count) {
        count = matmul_take(product, layer->sequences - s);
        for (int32_t n = 0; n < count; n++) {
            gather(layer, x + (s + n) * layer->x_sequence_bytes,
                   layer->window + n * product->depth);
        }
        matmul(product, count, layer->window, weights, layer->products + s * product->channels,
               NULL);
    }
}

/* y = clamp((h + 128) >> 8, -128, 127) of every sequence. */
static void store(const renet_t *layer, const int16_t *h, int8_t *y, int32_t sequence_bytes) {
    const int32_t units = layer->gru.units;
    const int32_t states = gru_state_units(&layer->gru);
    for (int32_t s = 0; s < layer->sequences; s++, h += states, y += sequence_bytes) {
        if (units % 4 == 0) {
            for (int32_t i = 0; i < units; i += 4) {
                dsp_store_word(y + i,
                               dsp_high_bytes(dsp_qadd16(dsp_load_word(h + i), 0x00800080),
                                              dsp_qadd16(dsp_load_word(h + i + 2), 0x00800080)));
            }
            continue;
        }
        for (int32_t i = 0; i < units; i++) {
            y[i] = (int8_t)dsp_clamp((h[i] + 128) >> 8, -128, 127);
        }
    }
}

/* One step's states into the output, or where those of the backward direction wait for it. */
static void keep(const renet_t *layer, const int16_t *h, bool backward, int32_t step, int8_t *y) {
    const int32_t units = layer->gru.units;
    int8_t *to = y + step * layer->y_step_bytes;
    if (layer->waiting == NULL) {
        store(layer, h, backward ? to + units : to, layer->y_sequence_bytes);
        return;
    }
    int8_t *waiting = layer->waiting + step * layer->sequences * units;
    if (backward) {
        store(layer, h, waiting, units);
        return;
    }
    store(layer, h, to, layer->y_sequence_bytes);
    for (int32_t s = 0; s < layer->sequences; s++, to += layer->y_sequence_bytes) {
        memcpy(to + units, waiting + s * units, (size_t)units);
    }
}

static void sweep(const renet_t *layer, const renet_direction_t *direction, bool backward,
                  const int8_t *x, int8_t *y) {
    const gru_t *gru = &layer->gru;
    const int32_t even = layer->sequences + layer->sequences % 2;
    const int32_t set = even * gru_state_units(gru);
    const int32_t *weights = direction->weights;
    const int32_t *recurrent = direction->recurrent;
    const int16_t *table = layer->table != NULL ? layer->table : layer->sigmoid;
    if (layer->weights != NULL) {
        matmul_unpack(&layer->product, weights, layer->weights);
        const size_t words = (size_t)gru_recurrent_words(gru);
        memcpy(layer->recurrent, recurrent, words * sizeof *recurrent);
        weights = layer->weights;
        recurrent = layer->recurrent;
    }
    memset(layer->states, 0, 2U * (size_t)set * sizeof *layer->states);
    int16_t *h = layer->states;
    int16_t *next = layer->states + set;
    for (int32_t n = 0; n < layer->steps; n++) {
        const int32_t step = backward ? layer->steps - 1 - n : n;
        multiply(layer, x + step * layer->x_step_bytes, weights);
        gru_step(gru, layer->products, recurrent, table, layer->sequences, h, next);
        int16_t *before = h;
        h = next;
        next = before;
        keep(layer, h, backward, step, y);
    }
}

void renet(const renet_t *layer, const int8_t *x, int8_t *y) {
    const matmul_t *product = &layer->product;
    REQUIRES(layer->sequences > 0 && layer->steps > 0);
    REQUIRES(product->most_pixels > 0 && product->most_pixels <= MATMUL_MOST_PIXELS);
    REQUIRES(ARE_SIZES(product->depth, product->channels, 1));
    REQUIRES(product->segments == 1 && product->pixel_bytes == INT64_C(2) * product->depth);
    REQUIRES(product->y_bytes == 2 && product->y_channel_bytes == 2);
    REQUIRES(product->y_pixel_bytes == INT64_C(2) * product->channels);
    REQUIRES(layer->weights != NULL || !product->narrow);
    REQUIRES(ARE_SIZES(layer->patch_rows, layer->run_bytes, 1) && IS_SIZE(layer->steps));
    REQUIRES(layer->row_bytes >= 0 && layer->x_sequence_bytes >= 0 && layer->x_step_bytes >= 0);
    REQUIRES(IS_SIZE(layer->gru.units) && IS_SIZE(layer->sequences));
    REQUIRES(layer->y_sequence_bytes >= 2 * layer->gru.units);
    REQUIRES(layer->y_step_bytes >= 2 * layer->gru.units);
    REQUIRES(1 <= layer->gru.index_bits && layer->gru.index_bits <= 16);
    REQUIRES(layer->patch_rows * layer->run_bytes <= product->depth);
    REQUIRES(!layer->widened || layer->run_bytes % 4 == 0);
    REQUIRES(!layer->widened || IS_ALIGNED(x, 4));
    REQUIRES(3 * layer->gru.units + 3 * layer->gru.units % 2 == product->channels);
    const int32_t even = layer->sequences + layer->sequences % 2;
    memset(layer->window, 0, MATMUL_MOST_PIXELS * (size_t)product->pixel_bytes);
    memset(layer->products, 0, (size_t)even * (size_t)product->y_pixel_bytes);
    if (layer->table != NULL) {
        memcpy(layer->table, layer->sigmoid, sizeof *layer->table << layer->gru.index_bits);
    }
    sweep(layer, &layer->backward, true, x, y);
    sweep(layer, &layer->forward, false, x, y);
}
