"""The flash that C takes: of each file of firmware/kernels, and of what is emitted for a step.

`hil.studies.bench.code_size` measures the files again; tests hold these against the compilers.
"""

FILE_BYTES = {
    "concat": 184,
    "conv2d": 1760,
    "depthwise": 464,
    "expand_filter": 1012,
    "fastgrnn": 2948,
    "gru": 500,
    "heads": 1684,
    "inverted_residual": 260,
    "l2norm": 544,
    "lookup": 100,
    "matmul": 584,
    "maxout": 312,
    "panels": 344,
    "pointwise": 272,
    "pointwise_panels": 308,
    "pool2d": 2104,
    "renet": 2076,
    "rnnpool": 3040,
    "scale": 408,
    "stem": 916,
    "streamed_block": 1068,
    "windowed": 992,
}
"""Code and constants, as the compiler that makes most of a file makes it."""

STREAM_BYTES = 1640
"""Of runtime/stream.c, which images take whose steps run row by row."""

STAGE_BYTES = 112
"""More for a step that runs row by row: its stage, and the strip of its output."""
