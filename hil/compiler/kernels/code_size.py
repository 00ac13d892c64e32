"""The flash that the C of streaming takes, as the compiler that makes most of it makes it.

What each kernel takes stands with the kernel. `hil bench kernels --flash` measures all of it.
"""

STREAM_BYTES = 1640
"""Of runtime/stream.c, which images take whose steps run row by row."""

STAGE_BYTES = 112
"""More for a step that runs row by row: its stage, and the strip of its output.

`hil.studies.bench.code_size.streaming` measures it. The layer that runs the stages takes some 200 B
more, once; RUNTIME_FLASH_BYTES has room for it.
"""


def name_bytes(name: str) -> int:
    """Return what a step's name takes in flash, its end included, to a whole word."""
    return -(-(len(name.encode()) + 1) // 4) * 4
