#include "panels.h"

#include <stddef.h>

#include "contract.h"

enum { BIAS_WORDS = 2, TRAILER_WORDS = 3 };

/* What is left over differs from a panel in its channels alone. */
#define ARE_ALIKE(a, b)                                                                            \
    ((a)->depth == (b)->depth && (a)->segments == (b)->segments && (a)->narrow == (b)->narrow &&   \
     (a)->pixel_bytes == (b)->pixel_bytes && (a)->segment_bytes == (b)->segment_bytes &&           \
     (a)->y_bytes == (b)->y_bytes && (a)->most_pixels == (b)->most_pixels &&                       \
     (a)->y_channel_bytes == (b)->y_channel_bytes && (a)->y_pixel_bytes == (b)->y_pixel_bytes)

const matmul_t *panels_product(const panels_t *panels, int32_t index) {
    REQUIRES(index >= 0 && panels->whole > 0);
    REQUIRES(panels->rest.channels >= 0);
    REQUIRES(panels->rest.channels == 0 || ARE_ALIKE(&panels->product, &panels->rest));
    if (index < panels->whole) {
        return &panels->product;
    }
    return index == panels->whole && panels->rest.channels > 0 ? &panels->rest : NULL;
}

const int32_t *panels_unpack(const matmul_t *product, const int32_t *from, int32_t *to) {
    REQUIRES(product->narrow && product->channels % 2 == 0);
    matmul_unpack(product, from, to);
    const int32_t weights = product->segments * product->depth;
    return from + product->channels / 2 * (BIAS_WORDS + weights / 2 + TRAILER_WORDS);
}
