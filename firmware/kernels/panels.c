#include "panels.h"

#include <stddef.h>

#include "contract.h"

enum { BIAS_WORDS = 2, TRAILER_WORDS = 3 };

const matmul_t *panels_product(const panels_t *panels, int32_t index) {
    REQUIRES(index >= 0 && panels->whole > 0);
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
