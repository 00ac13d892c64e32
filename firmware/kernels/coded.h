/* Int8 weights that stand in flash in an entropy code: two weights of a channel in some 13 to 15
 * bits instead of 16. */
#ifndef HIL_CODED_H
#define HIL_CODED_H

#include "matmul.h"

/*
 * A panel's stream, in words:
 *   0        words of the panel, this one included
 *   1        raw: low bits of a weight that stand as they are, 3 to 5
 *   2        the zero point of the outputs
 *   3-10     bits of each symbol's code, 4 of them a symbol, the first symbol's lowest; 0: none
 *   then     for every two channels their biases and their multipliers
 *   then     the codes, from the lowest bit of a word on; a word of zeros ends them
 *
 * Two weights, of inputs that follow each other, are their raw low bits, the first weight's lowest,
 * and behind these the code of the symbol 8 * ((first >> raw) + 4) + (second >> raw) + 4. Codes are
 * canonical: shorter ones first, those of one length in the symbols' order, the first bit lowest.
 * They leave no word of CODED_MOST_BITS bits without a meaning.
 */

/*
 * Decode a panel into the stream that matmul() reads; returns what stands behind it in flash.
 * Behind the stream, `to` has room for CODED_TABLE_WORDS words more. No more is written, whatever
 * `from` holds.
 */
const int32_t *coded_unpack(const matmul_t *product, const int32_t *from, int32_t *to);

#endif
