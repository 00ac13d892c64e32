/* What code is made of, and which of its loads and stores may be unaligned. */
#include "alignment.h"
#include "decode.h"

size_t decoder_size(void) {
    return sizeof(decoder_t);
}

/* Whether some instructions are another core's. */
bool instructions_are_foreign(const instruction_t *block, uint32_t count) {
    bool found = false;
    for (uint32_t i = 0; i < count; i++) {
        found = found || block[i].is_foreign;
    }
    return found;
}
