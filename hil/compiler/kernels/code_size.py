"""The flash that the C of streaming takes, as the compiler that makes most of it makes it.

What each kernel takes stands with the kernel. `hil bench kernels --flash` measures all of it again.
"""

STREAM_BYTES = 1640
"""Of runtime/stream.c, which images take whose steps run row by row."""

STAGE_BYTES = 112
"""More for a step that runs row by row: its stage, and the strip of its output."""
