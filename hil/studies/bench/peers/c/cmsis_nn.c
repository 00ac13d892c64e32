/* Layers by CMSIS-NN's public functions for int8. */
#include <arm_nnfunctions.h>

#include "peer.h"

static cmsis_nn_dims dims(int32_t n, int32_t h, int32_t w, int32_t c) {
    return (cmsis_nn_dims){.n = n, .h = h, .w = w, .c = c};
}

static cmsis_nn_dims input_dims(const work_t *work) {
    return dims(1, work->in_rows, work->in_columns, work->in_channels);
}

static cmsis_nn_dims output_dims(const work_t *work) {
    return dims(1, work->out_rows, work->out_columns, work->out_channels);
}

static cmsis_nn_dims filter_dims(const work_t *work) {
    switch (work->call) {
    case CALL_DEPTHWISE:
        return dims(1, work->kernel_rows, work->kernel_columns, work->out_channels);
    case CALL_FULLY_CONNECTED:
        return dims(work->in_channels, 1, 1, work->out_channels);
    default:
        return dims(work->out_channels, work->kernel_rows, work->kernel_columns, work->in_channels);
    }
}

static cmsis_nn_activation activation(const work_t *work) {
    return (cmsis_nn_activation){.min = work->low, .max = work->high};
}

static cmsis_nn_conv_params conv_params(const work_t *work) {
    return (cmsis_nn_conv_params){
        .input_offset = -work->in_zero,
        .output_offset = work->out_zero,
        .stride = {.w = work->stride, .h = work->stride},
        .padding = {.w = work->pad_left, .h = work->pad_top},
        .dilation = {.w = 1, .h = 1},
        .activation = activation(work),
    };
}

static cmsis_nn_dw_conv_params depthwise_params(const work_t *work) {
    return (cmsis_nn_dw_conv_params){
        .input_offset = -work->in_zero,
        .output_offset = work->out_zero,
        .ch_mult = 1,
        .stride = {.w = work->stride, .h = work->stride},
        .padding = {.w = work->pad_left, .h = work->pad_top},
        .dilation = {.w = 1, .h = 1},
        .activation = activation(work),
    };
}

static int32_t buffer_bytes(const work_t *work) {
    const cmsis_nn_dims in = input_dims(work), filter = filter_dims(work), out = output_dims(work);
    const cmsis_nn_conv_params conv = conv_params(work);
    const cmsis_nn_dw_conv_params depthwise = depthwise_params(work);
    switch (work->call) {
    case CALL_CONVOLVE:
        return arm_convolve_wrapper_s8_get_buffer_size(&conv, &in, &filter, &out);
    case CALL_DEPTHWISE:
        return arm_depthwise_conv_wrapper_s8_get_buffer_size(&depthwise, &in, &filter, &out);
    case CALL_AVERAGE:
        return arm_avgpool_s8_get_buffer_size(work->out_columns, work->in_channels);
    default:
        return 0;
    }
}

int32_t peer_prepare(const work_t *work) {
    return buffer_bytes(work) <= work->buffer_bytes ? 0 : BUFFER_TOO_SMALL;
}

int32_t peer_compute(const work_t *work) {
    const cmsis_nn_context context = {.buf = work->buffer, .size = work->buffer_bytes};
    const cmsis_nn_dims in = input_dims(work), filter = filter_dims(work), out = output_dims(work);
    const cmsis_nn_dims bias = dims(1, 1, 1, work->out_channels);
    const cmsis_nn_per_channel_quant_params quant = {work->multiplier, work->shift};
    const cmsis_nn_conv_params conv = conv_params(work);
    const cmsis_nn_dw_conv_params depthwise = depthwise_params(work);
    const cmsis_nn_fc_params fully_connected = {
        .input_offset = -work->in_zero,
        .output_offset = work->out_zero,
        .activation = activation(work),
    };
    const cmsis_nn_pool_params pool = {
        .stride = {.w = work->stride, .h = work->stride},
        .padding = {.w = work->pad_left, .h = work->pad_top},
        .activation = activation(work),
    };
    switch (work->call) {
    case CALL_CONVOLVE:
        return arm_convolve_wrapper_s8(&context, &conv, &quant, &in, work->input, &filter,
                                       work->weights, &bias, work->bias, &out, work->output);
    case CALL_DEPTHWISE:
        return arm_depthwise_conv_wrapper_s8(&context, &depthwise, &quant, &in, work->input,
                                             &filter, work->weights, &bias, work->bias, &out,
                                             work->output);
    case CALL_FULLY_CONNECTED:
        return arm_fully_connected_per_channel_s8(&context, &fully_connected, &quant, &in,
                                                  work->input, &filter, work->weights, &bias,
                                                  work->bias, &out, work->output);
    case CALL_ADD:
        return arm_elementwise_add_s8(
            work->input, work->other, -work->in_zero, work->in_multiplier, work->in_shift,
            -work->other_zero, work->other_multiplier, work->other_shift, work->left_shift,
            work->output, work->out_zero, work->sum_multiplier, work->sum_shift, work->low,
            work->high, work->out_rows * work->out_columns * work->out_channels);
    case CALL_AVERAGE:
        return arm_avgpool_s8(&context, &pool, &in, work->input, &filter, &out, work->output);
    default:
        return NO_SUCH_CALL;
    }
}
