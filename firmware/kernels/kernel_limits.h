/* What kernels have room for. The compiler reads this file, one `NAME = number,` a line, and
 * refuses by name what exceeds it: hil/limits.py. */
#ifndef HIL_KERNEL_LIMITS_H
#define HIL_KERNEL_LIMITS_H

enum {
    MATMUL_MOST_PIXELS = 4,            /* multiplied at a time */
    CODED_MOST_BITS = 9,               /* of the code of two weights' high bits */
    CODED_TABLE_WORDS = 512,           /* of the table of codes: 2**CODED_MOST_BITS */
    SCALE_MOST_PIXELS = 3,             /* scaled at a time */
    HEADS_MOST_PARTS = 4,              /* convolutions in one product */
    L2NORM_MOST_CHANNELS = 32768,      /* whose squares of 255 at most sum up within 31 bits */
    SOFTMAX_MOST_CHANNELS = 512,       /* whose exponentials sum up to 2**31 at most */
    FASTGRNN_MOST_UNITS = 128,         /* of a cell: its next state stands on the stack */
    FASTGRNN_MOST_WIDENED_INPUTS = 32, /* of a cell whose code takes pixels widened on the stack */
};

#endif
