/* What the harness asks of a peer. `work.h` is written for each build: the layer's fields, and the
 * calls by number. */
#ifndef PEER_H
#define PEER_H

#include <stdint.h>

#include "work.h"

/* What is done once, before the time is taken: buffers are checked. 0, or what is wrong. */
int32_t peer_prepare(const work_t *work);

/* Compute the layer by `work->call`. 0, or what the kernel answers. */
int32_t peer_compute(const work_t *work);

enum { BUFFER_TOO_SMALL = -1000, NO_SUCH_CALL = -1001 };

#endif
