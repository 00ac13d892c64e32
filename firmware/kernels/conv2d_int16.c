/* One source for both widths: they differ in the type of an output. */
#include "conv2d_int16.h"

typedef int16_t conv2d_y_t;
enum { LEAST = INT16_MIN, MOST = INT16_MAX };
static void conv2d_int16_row(const conv2d_t *layer, conv2d_map_t x, int32_t row,
                             const int8_t *residual, conv2d_y_t *y);
#define CONV2D_INT16
#define conv2d_row conv2d_int16_row
#define conv2d_rows conv2d_int16_rows
#include "conv2d.c" /* NOLINT(bugprone-suspicious-include) */
