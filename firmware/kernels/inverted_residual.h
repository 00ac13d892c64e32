/* An inverted residual (1x1 expand, depthwise, 1x1 project, residual) that never stores an expanded
 * map: the plain kernel. */
#ifndef HIL_INVERTED_RESIDUAL_H
#define HIL_INVERTED_RESIDUAL_H

#include "conv2d.h"

typedef struct {
    conv2d_t expand, depthwise, project; /* each as it would run alone */
} inverted_residual_t;

/*
 * y = project(depthwise(expand(x))) (+ residual), row by row. `y` may lie over `x` where no row of
 * x is overwritten that is still to be expanded.
 *
 * ring: the expanded rows under the depthwise kernel, row n in slot n modulo kernel_rows;
 *       kernel_rows * columns * expanded channels bytes
 * line: one row out of the depthwise, out_columns * expanded channels bytes
 */
void inverted_residual(const inverted_residual_t *block, const int8_t *x, const int8_t *residual,
                       int8_t *ring, int8_t *line, int8_t *y);

#endif
