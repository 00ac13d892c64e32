/* Layers by TinyEngine's kernels. Those of depthwise convolutions are written by its own generator.
 */
#include <arm_nnfunctions.h>
#include <tinyengine_function.h>

#include "peer.h"

/* Kernels of one kind have one list of arguments: with integer factors, and with float ones. */
#define POINTWISE(kernel)                                                                          \
    kernel(work->input, work->in_columns, work->in_rows, work->in_channels, work->weights,         \
           work->bias, work->shift, work->multiplier, work->out_zero, -work->in_zero, work->low,   \
           work->high, work->output, work->out_columns, work->out_rows, work->out_channels,        \
           work->buffer)

#define POINTWISE_FLOAT(kernel)                                                                    \
    kernel(work->input, work->in_columns, work->in_rows, work->in_channels, work->weights,         \
           work->bias, work->scales, work->out_zero, -work->in_zero, work->low, work->high,        \
           work->output, work->out_columns, work->out_rows, work->out_channels, work->buffer)

#define DEPTHWISE(kernel)                                                                          \
    kernel(work->input, work->in_columns, work->in_rows, work->in_channels, work->weights,         \
           work->bias, work->no_bias, work->shift, work->multiplier, work->out_zero,               \
           -work->in_zero, work->low, work->high, work->output, work->out_columns, work->out_rows, \
           work->out_channels, work->buffer, work->in_zero)

#define DEPTHWISE_FLOAT(kernel)                                                                    \
    kernel(work->input, work->in_columns, work->in_rows, work->in_channels, work->weights,         \
           work->bias, work->no_bias, work->scales, work->out_zero, -work->in_zero, work->low,     \
           work->high, work->output, work->out_columns, work->out_rows, work->out_channels,        \
           work->buffer, work->in_zero)

int32_t peer_prepare(const work_t *work) {
    (void)work;
    return 0;
}

static int32_t sum_of_integers(const work_t *work) {
    ADD_params by = {
        .input_h = work->out_rows,
        .input_w = work->out_columns,
        .input_c = work->out_channels,
        .left_shift = work->left_shift,
        .input1_offset = -work->in_zero,
        .input1_multiplier = work->in_multiplier,
        .input1_shift = work->in_shift,
        .input2_offset = -work->other_zero,
        .input2_multiplier = work->other_multiplier,
        .input2_shift = work->other_shift,
        .output_offset = work->out_zero,
        .output_multiplier = work->sum_multiplier,
        .output_shift = work->sum_shift,
        .quantized_activation_max = work->high,
        .quantized_activation_min = work->low,
    };
    (void)add(work->out_rows * work->out_columns * work->out_channels, &by, work->input,
              work->other, work->output); /* it returns nothing, whatever its type says */
    return 0;
}

static int32_t sum_of_floats(const work_t *work) {
    (void)add_fpreq(work->out_rows * work->out_columns * work->out_channels, work->input,
                    work->in_scale, (float)work->in_zero, work->other, work->other_scale,
                    (float)work->other_zero, work->out_scale, (float)work->out_zero, work->output);
    return 0;
}

static int32_t average(const work_t *work) {
    (void)avg_pooling(work->input, work->in_rows, work->in_columns, work->in_channels,
                      work->kernel_rows, work->kernel_columns, work->out_rows, work->out_columns,
                      work->low, work->high, work->output);
    return 0;
}

int32_t peer_compute(const work_t *work) {
    switch (work->call) {
    case CALL_POINTWISE:
        return POINTWISE(convolve_1x1_s8);
    case CALL_POINTWISE_8:
        return POINTWISE(convolve_1x1_s8_ch8);
    case CALL_POINTWISE_16:
        return POINTWISE(convolve_1x1_s8_ch16);
    case CALL_POINTWISE_24:
        return POINTWISE(convolve_1x1_s8_ch24);
    case CALL_POINTWISE_48:
        return POINTWISE(convolve_1x1_s8_ch48);
    case CALL_POINTWISE_FLOAT:
        return POINTWISE_FLOAT(convolve_1x1_s8_fpreq);
    case CALL_POINTWISE_8_FLOAT:
        return POINTWISE_FLOAT(convolve_1x1_s8_ch8_fpreq);
    case CALL_POINTWISE_16_FLOAT:
        return POINTWISE_FLOAT(convolve_1x1_s8_ch16_fpreq);
    case CALL_POINTWISE_24_FLOAT:
        return POINTWISE_FLOAT(convolve_1x1_s8_ch24_fpreq);
    case CALL_POINTWISE_48_FLOAT:
        return POINTWISE_FLOAT(convolve_1x1_s8_ch48_fpreq);
    case CALL_RGB:
        return convolve_s8_kernel3_inputch3_stride2_pad1(
            work->input, work->in_columns, work->in_rows, work->in_channels, work->weights,
            work->bias, work->shift, work->multiplier, work->out_zero, -work->in_zero, work->low,
            work->high, work->output, work->out_columns, work->out_rows, work->out_channels,
            work->buffer, work->widened, work->in_zero);
    case CALL_RGB_FLOAT:
        return convolve_s8_kernel3_inputch3_stride2_pad1_fpreq(
            work->input, work->in_columns, work->in_rows, work->in_channels, work->weights,
            work->bias, work->scales, work->out_zero, -work->in_zero, work->low, work->high,
            work->output, work->out_columns, work->out_rows, work->out_channels, work->buffer,
            work->widened, work->in_zero);
    case CALL_DEPTHWISE_1:
        return DEPTHWISE(depthwise_kernel3x3_stride1_inplace_CHW);
    case CALL_DEPTHWISE_2:
        return DEPTHWISE(depthwise_kernel3x3_stride2_inplace_CHW);
    case CALL_DEPTHWISE_1_FLOAT:
        return DEPTHWISE_FLOAT(depthwise_kernel3x3_stride1_inplace_CHW_fpreq);
    case CALL_DEPTHWISE_2_FLOAT:
        return DEPTHWISE_FLOAT(depthwise_kernel3x3_stride2_inplace_CHW_fpreq);
    case CALL_ADD:
        return sum_of_integers(work);
    case CALL_ADD_FLOAT:
        return sum_of_floats(work);
    case CALL_AVERAGE:
        return average(work);
    default:
        return NO_SUCH_CALL;
    }
}
