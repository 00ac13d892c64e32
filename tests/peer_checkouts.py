"""Checkouts as `hil bench peers` takes them, small and of our own: right results, slowly."""

from pathlib import Path

_REQUANTISE = """\
static inline int32_t requantise(int64_t sum, int32_t multiplier, int32_t shift) {
    const int64_t product = sum * multiplier;
    const int32_t places = 31 - shift;
    return (int32_t)((product + ((int64_t)1 << (places - 1))) >> places);
}
static inline int8_t within(int32_t y, int32_t low, int32_t high) {
    return (int8_t)(y < low ? low : y > high ? high : y);
}
"""

_CMSIS_NN_TYPES = """\
#include <stdint.h>
typedef int32_t arm_cmsis_nn_status;
typedef struct { int32_t w, h; } cmsis_nn_tile;
typedef struct { void *buf; int32_t size; } cmsis_nn_context;
typedef struct { int32_t n, h, w, c; } cmsis_nn_dims;
typedef struct { int32_t *multiplier, *shift; } cmsis_nn_per_channel_quant_params;
typedef struct { int32_t min, max; } cmsis_nn_activation;
typedef struct {
    int32_t input_offset, output_offset;
    cmsis_nn_tile stride, padding, dilation;
    cmsis_nn_activation activation;
} cmsis_nn_conv_params;
typedef struct {
    int32_t input_offset, output_offset, ch_mult;
    cmsis_nn_tile stride, padding, dilation;
    cmsis_nn_activation activation;
} cmsis_nn_dw_conv_params;
typedef struct {
    cmsis_nn_tile stride, padding;
    cmsis_nn_activation activation;
} cmsis_nn_pool_params;
typedef struct {
    int32_t input_offset, filter_offset, output_offset;
    cmsis_nn_activation activation;
} cmsis_nn_fc_params;
"""

_LAYER = """\
    const cmsis_nn_context *ctx, const {params} *p, const cmsis_nn_per_channel_quant_params *q,
    const cmsis_nn_dims *in, const int8_t *x, const cmsis_nn_dims *kernel, const int8_t *w,
    const cmsis_nn_dims *bias_dims, const int32_t *bias, const cmsis_nn_dims *out, int8_t *y"""
_SIZE = """\
    const {params} *p, const cmsis_nn_dims *in, const cmsis_nn_dims *kernel,
    const cmsis_nn_dims *out"""
_ADD = """\
    const int8_t *x, const int8_t *z, int32_t x_offset, int32_t x_mult, int32_t x_shift,
    int32_t z_offset, int32_t z_mult, int32_t z_shift, int32_t left, int8_t *y, int32_t offset,
    int32_t mult, int32_t shift, int32_t low, int32_t high, int32_t count"""
_AVERAGE = """\
    const cmsis_nn_context *ctx, const cmsis_nn_pool_params *p, const cmsis_nn_dims *in,
    const int8_t *x, const cmsis_nn_dims *kernel, const cmsis_nn_dims *out, int8_t *y"""

_CONV, _DEPTHWISE, _FULL = (
    _LAYER.format(params=f"cmsis_nn_{name}_params") for name in ("conv", "dw_conv", "fc")
)
_CONV_SIZE, _DEPTHWISE_SIZE = (
    _SIZE.format(params=f"cmsis_nn_{name}_params") for name in ("conv", "dw_conv")
)
_CMSIS_NN_FUNCTIONS = {
    f"arm_cmsis_nn_status arm_convolve_wrapper_s8({_CONV})": """
    (void)ctx, (void)bias_dims;
    for (int r = 0; r < out->h; r++)
        for (int s = 0; s < out->w; s++)
            for (int o = 0; o < out->c; o++) {
                int64_t sum = bias[o];
                for (int i = 0; i < kernel->h; i++)
                    for (int j = 0; j < kernel->w; j++) {
                        const int row = r * p->stride.h + i - p->padding.h;
                        const int column = s * p->stride.w + j - p->padding.w;
                        if (row < 0 || row >= in->h || column < 0 || column >= in->w) continue;
                        for (int c = 0; c < in->c; c++)
                            sum += w[((o * kernel->h + i) * kernel->w + j) * in->c + c] *
                                   (x[(row * in->w + column) * in->c + c] + p->input_offset);
                    }
                *y++ = within(p->output_offset + requantise(sum, q->multiplier[o], q->shift[o]),
                              p->activation.min, p->activation.max);
            }
    return 0;""",
    f"arm_cmsis_nn_status arm_depthwise_conv_wrapper_s8({_DEPTHWISE})": """
    (void)ctx, (void)bias_dims;
    for (int r = 0; r < out->h; r++)
        for (int s = 0; s < out->w; s++)
            for (int o = 0; o < out->c; o++) {
                int64_t sum = bias[o];
                for (int i = 0; i < kernel->h; i++)
                    for (int j = 0; j < kernel->w; j++) {
                        const int row = r * p->stride.h + i - p->padding.h;
                        const int column = s * p->stride.w + j - p->padding.w;
                        if (row < 0 || row >= in->h || column < 0 || column >= in->w) continue;
                        sum += w[(i * kernel->w + j) * out->c + o] *
                               (x[(row * in->w + column) * in->c + o] + p->input_offset);
                    }
                *y++ = within(p->output_offset + requantise(sum, q->multiplier[o], q->shift[o]),
                              p->activation.min, p->activation.max);
            }
    return 0;""",
    f"arm_cmsis_nn_status arm_fully_connected_per_channel_s8({_FULL})": """
    (void)ctx, (void)bias_dims, (void)in;
    for (int o = 0; o < out->c; o++) {
        int64_t sum = bias[o];
        for (int c = 0; c < kernel->n; c++) sum += w[o * kernel->n + c] * (x[c] + p->input_offset);
        *y++ = within(p->output_offset + requantise(sum, q->multiplier[o], q->shift[o]),
                      p->activation.min, p->activation.max);
    }
    return 0;""",
    f"arm_cmsis_nn_status arm_elementwise_add_s8({_ADD})": """
    while (count-- > 0) {
        const int32_t a = requantise((int64_t)(*x++ + x_offset) << left, x_mult, x_shift);
        const int32_t b = requantise((int64_t)(*z++ + z_offset) << left, z_mult, z_shift);
        *y++ = within(requantise(a + b, mult, shift) + offset, low, high);
    }
    return 0;""",
    f"arm_cmsis_nn_status arm_avgpool_s8({_AVERAGE})": """
    (void)ctx, (void)p, (void)out;
    const int32_t pixels = kernel->h * kernel->w;
    for (int c = 0; c < in->c; c++) {
        int32_t sum = 0;
        for (int i = 0; i < pixels; i++) sum += x[i * in->c + c];
        y[c] = (int8_t)((sum + (sum > 0 ? pixels / 2 : -pixels / 2)) / pixels);
    }
    return 0;""",
    f"int32_t arm_convolve_wrapper_s8_get_buffer_size({_CONV_SIZE})": """
    (void)p, (void)kernel, (void)out;
    return in->c;""",
    f"int32_t arm_depthwise_conv_wrapper_s8_get_buffer_size({_DEPTHWISE_SIZE})": """
    (void)p, (void)kernel, (void)out;
    return in->c;""",
    "int32_t arm_avgpool_s8_get_buffer_size(int width, int channels)": """
    (void)width;
    return channels;""",
}


def cmsis_nn(folder: Path) -> Path:
    """Write a checkout of CMSIS-NN's shape and return it."""
    heads = "".join(f"{head};\n" for head in _CMSIS_NN_FUNCTIONS)
    bodies = "".join(f"{head} {{{body}\n}}\n" for head, body in _CMSIS_NN_FUNCTIONS.items())
    _write(folder / "Include/arm_nnfunctions.h", f"#pragma once\n{_CMSIS_NN_TYPES}{heads}")
    for part in ("BasicMath", "FullyConnected", "NNSupport", "Pooling"):
        (folder / f"Source/{part}Functions").mkdir(parents=True)
    source = f"#include <arm_nnfunctions.h>\n{_REQUANTISE}{bodies}"
    _write(folder / "Source/ConvolutionFunctions/arm_convolve_s8.c", source)
    _write(folder / "Source/NNSupportFunctions/arm_nn_f32.c", "#error not for int8\n")
    return folder


_BY_INTEGERS = "const int32_t *shift, const int32_t *multiplier"
_BY_FLOATS = "const float *scales"
_TAIL = """\
int32_t y_zero, int32_t offset, int32_t low, int32_t high, int8_t *y, uint16_t columns,
    uint16_t rows, uint16_t outputs, int16_t *buffer"""
_HEAD = """\
const int8_t *x, uint16_t x_columns, uint16_t x_rows, uint16_t inputs, const int8_t *w,
    const int32_t *bias"""
_FACTOR = {
    _BY_INTEGERS: "requantise(sum, multiplier[o], shift[o])",
    _BY_FLOATS: "(int32_t)((float)sum * scales[o])",
}
_POINTWISE = """
    (void)x_columns, (void)x_rows, (void)buffer;
    for (int pixel = 0; pixel < rows * columns; pixel++)
        for (int o = 0; o < outputs; o++) {
            int32_t sum = bias[o];
            for (int c = 0; c < inputs; c++)
                sum += w[o * inputs + c] * (x[pixel * inputs + c] + offset);
            *y++ = within(y_zero + FACTOR, low, high);
        }
    return 0;"""
_RGB = """
    (void)buffer, (void)widened, (void)pad;
    for (int r = 0; r < rows; r++)
        for (int s = 0; s < columns; s++)
            for (int o = 0; o < outputs; o++) {
                int32_t sum = bias[o];
                for (int i = 0; i < 27; i++) {
                    const int row = 2 * r + i / 9 - 1, column = 2 * s + i / 3 % 3 - 1;
                    if (row < 0 || row >= x_rows || column < 0 || column >= x_columns) continue;
                    sum += w[o * 27 + i] * (x[(row * x_columns + column) * 3 + i % 3] + offset);
                }
                *y++ = within(y_zero + FACTOR, low, high);
            }
    return 0;"""
_PLAIN = {
    "int32_t add(int size, ADD_params *p, const int8_t *x, const int8_t *z, int8_t *y)": """
    while (size-- > 0) {
        const int64_t left = p->left_shift;
        const int32_t a = requantise((int64_t)(*x++ + p->input1_offset) << left,
                                     p->input1_multiplier, p->input1_shift);
        const int32_t b = requantise((int64_t)(*z++ + p->input2_offset) << left,
                                     p->input2_multiplier, p->input2_shift);
        const int32_t sum = requantise(a + b, p->output_multiplier, p->output_shift);
        *y++ = within(sum + p->output_offset, p->quantized_activation_min,
                      p->quantized_activation_max);
    }
    return 0;""",
    """int32_t add_fpreq(int size, const int8_t *x, float x_scale, float x_zero, const int8_t *z,
    float z_scale, float z_zero, float y_scale, float y_zero, int8_t *y)""": """
    while (size-- > 0) {
        const float sum = (*x++ - x_zero) * x_scale + (*z++ - z_zero) * z_scale;
        *y++ = within((int32_t)floorf(sum / y_scale + y_zero + 0.5f), -128, 127);
    }
    return 0;""",
    """int32_t avg_pooling(const int8_t *x, uint16_t rows, uint16_t columns, uint16_t channels,
    uint16_t high, uint16_t wide, uint16_t y_rows, uint16_t y_columns, int32_t least,
    int32_t most, int8_t *y)""": """
    (void)rows, (void)columns, (void)y_rows, (void)y_columns;
    for (int c = 0; c < channels; c++) {
        int32_t sum = 0;
        for (int i = 0; i < high * wide; i++) sum += x[i * channels + c];
        const int32_t half = sum > 0 ? high * wide / 2 : -(high * wide / 2);
        y[c] = within((sum + half) / (high * wide), least, most);
    }
    return 0;""",
}
_ADD_PARAMS = """\
typedef struct {
    int input_h, input_w, input_c, left_shift;
    int input1_offset, input1_multiplier, input1_shift;
    int input2_offset, input2_multiplier, input2_shift;
    int output_offset, output_multiplier, output_shift;
    int quantized_activation_max, quantized_activation_min;
} ADD_params;
"""
# In place, one channel after the other, as the kernels are that this stands for.
_TEMPLATE = '''\
class depthwiseInplace:
    def __init__(self, rows, columns, top, left, stride, order, floats=False):
        assert (rows, columns, top, left, order) == (3, 3, 1, 1, "CHW")
        self.stride, self.floats = stride, floats

    def genFuncDefine(self):
        by = "const float *scales" if self.floats else (
            "const int32_t *shift, const int32_t *multiplier")
        end = "_fpreq" if self.floats else ""
        return f"""int32_t depthwise_kernel3x3_stride{self.stride}_inplace_CHW{end}(
    int8_t *x, uint16_t x_columns, uint16_t x_rows, uint16_t inputs, const int8_t *w,
    const int32_t *bias, const int32_t *more_bias, BY, int32_t y_zero, int32_t offset, int32_t low,
    int32_t high, int8_t *y, uint16_t columns, uint16_t rows, uint16_t outputs, int16_t *buffer,
    int8_t pad)""".replace("BY", by)

    def _genCode(self):
        factor = "(int32_t)((float)sum * scales[o])" if self.floats else (
            "requantise(sum, multiplier[o], shift[o])")
        return """#include <tinyengine_function.h>
""" + self.genFuncDefine() + """ {
    int8_t *const plane = (int8_t *)buffer;
    (void)y, (void)outputs, (void)offset;
    for (int o = 0; o < inputs; o++) {
        for (int i = 0; i < x_rows * x_columns; i++) plane[i] = x[i * inputs + o];
        for (int r = 0; r < rows; r++)
            for (int s = 0; s < columns; s++) {
                int32_t sum = bias[o] + more_bias[o];
                for (int i = 0; i < 9; i++) {
                    const int row = STRIDE * r + i / 3 - 1, column = STRIDE * s + i % 3 - 1;
                    const int out = row < 0 || row >= x_rows || column < 0 || column >= x_columns;
                    sum += w[o * 9 + i] * (out ? pad : plane[row * x_columns + column]);
                }
                x[(r * columns + s) * inputs + o] = within(y_zero + FACTOR, low, high);
            }
    }
    return 0;
}
""".replace("FACTOR", factor).replace("STRIDE", str(self.stride))
'''


def tinyengine(folder: Path) -> Path:
    """Write a checkout of TinyEngine's shape and return it."""
    functions = dict(_PLAIN)
    for end, by in (("", _BY_INTEGERS), ("_fpreq", _BY_FLOATS)):
        factor = _FACTOR[by]
        for name in ("", "_ch8", "_ch16", "_ch24", "_ch48"):
            head = f"int32_t convolve_1x1_s8{name}{end}({_HEAD}, {by}, {_TAIL})"
            functions[head] = _POINTWISE.replace("FACTOR", factor)
        name = f"convolve_s8_kernel3_inputch3_stride2_pad1{end}"
        head = f"int32_t {name}({_HEAD}, {by}, {_TAIL}, int16_t *widened, int8_t pad)"
        functions[head] = _RGB.replace("FACTOR", factor)
    heads = "".join(f"{head};\n" for head in functions)
    include = "#include <math.h>\n#include <stdint.h>\n#include <arm_nnfunctions.h>\n"
    inside = folder / "TinyEngine"
    _write(
        inside / "include/tinyengine_function.h",
        f'#pragma once\n{include}{_ADD_PARAMS}{heads}#include "genInclude.h"\n',
    )
    bodies = "".join(f"{head} {{{body}\n}}\n" for head, body in functions.items())
    kernels = inside / "src/kernels"
    _write(kernels / "int_forward_op/all.c", f"#include <tinyengine_function.h>\n{bodies}")
    (kernels / "fp_requantize_op").mkdir()
    cmsis = inside / "third_party/CMSIS/CMSIS"
    for part in ("DSP", "Core"):
        (cmsis / part / "Include").mkdir(parents=True)
    helpers = f"#pragma once\n#include <stdint.h>\n{_REQUANTISE}"
    _write(cmsis / "NN/Include/arm_nnfunctions.h", helpers)
    _write(cmsis / "NN/Include/arm_nnsupportfunctions.h", "#include <arm_nnfunctions.h>\n")
    product = "NN/Source/ConvolutionFunctions/arm_nn_mat_mult_kernel_s8_s16_reordered.c"
    _write(cmsis / product, "")
    _write(folder / "code_generator/codetemplate/depthwiseTemplate.py", _TEMPLATE)
    return folder


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
