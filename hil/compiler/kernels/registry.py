"""Every kernel, in the order in which the scheduler asks them, and what all of them cost."""

from hil.compiler.kernels.add import ADD
from hil.compiler.kernels.coded import CODED
from hil.compiler.kernels.concat import CONCAT
from hil.compiler.kernels.conv2d import CONV2D, CONV2D_INT16
from hil.compiler.kernels.cycles import FLASH, Costs, Part
from hil.compiler.kernels.depthwise import DEPTHWISE
from hil.compiler.kernels.expand_filter import EXPAND_FILTER, EXPAND_FILTER_CODED
from hil.compiler.kernels.fastgrnn import FASTGRNN
from hil.compiler.kernels.gated_pool import GATED, GATED_POOL
from hil.compiler.kernels.gru import GRU
from hil.compiler.kernels.heads import HEADS, HEADS_INT16
from hil.compiler.kernels.inverted_residual import INVERTED_RESIDUAL
from hil.compiler.kernels.kernel import Kernel
from hil.compiler.kernels.l2norm import L2NORM
from hil.compiler.kernels.lookup import LOOKUP
from hil.compiler.kernels.matmul import MATMUL
from hil.compiler.kernels.maxout import MAXOUT
from hil.compiler.kernels.one_pixel import ONE_PIXEL
from hil.compiler.kernels.panelled_block import PANELLED_BLOCK
from hil.compiler.kernels.panels import PANELS
from hil.compiler.kernels.pointwise import POINTWISE
from hil.compiler.kernels.pointwise_panels import POINTWISE_PANELS, POINTWISE_PANELS_CODED
from hil.compiler.kernels.pool2d import POOL2D
from hil.compiler.kernels.renet import RENET
from hil.compiler.kernels.rnnpool import RNNPOOL
from hil.compiler.kernels.scale import SCALE
from hil.compiler.kernels.softmax import SOFTMAX
from hil.compiler.kernels.stem import STEM
from hil.compiler.kernels.streamed_block import STREAMED_BLOCK
from hil.compiler.kernels.windowed import WINDOWED
from hil.compiler.kernels.winograd import WINOGRAD

KERNELS: tuple[Kernel, ...] = (
    # The first that takes an operator wins.
    # Three operators in one, then two, so that what can be fused is.
    EXPAND_FILTER_CODED,
    EXPAND_FILTER,
    PANELLED_BLOCK,
    STREAMED_BLOCK,
    INVERTED_RESIDUAL,
    RNNPOOL,
    GATED_POOL,
    WINOGRAD,
    HEADS,
    HEADS_INT16,
    # One convolution, the fastest kernel first.
    ONE_PIXEL,
    POINTWISE_PANELS_CODED,
    POINTWISE_PANELS,
    POINTWISE,
    WINDOWED,
    SCALE,
    CONV2D,
    CONV2D_INT16,
    # Operators that have one kernel.
    ADD,
    CONCAT,
    L2NORM,
    LOOKUP,
    MAXOUT,
    POOL2D,
    RENET,
    SOFTMAX,
)

PARTS: tuple[Part, ...] = (CODED, DEPTHWISE, FASTGRNN, GATED, GRU, MATMUL, PANELS, STEM)
"""What several kernels call."""

_FILES: tuple[Kernel | Part, ...] = (*KERNELS, *PARTS)

COSTS: Costs = {name: cost for one in _FILES for name, cost in one.cycles.items()} | {**FLASH}
"""What each kind of work costs."""

CYCLES = {name: cost.cycles for name, cost in COSTS.items()}
"""Cycles of each kind of work."""

KEPT = tuple(name for name, cost in COSTS.items() if cost.kept)
"""Work whose cycles are not those of a fit; the costs say why."""

FILE_BYTES = {one.name: one.code_bytes for one in _FILES}
"""Of each C file of firmware/kernels, code and constants, at most."""
