"""Every kernel, in the order in which the scheduler asks them; the first that takes wins."""

from hil.compiler.kernels.concat import CONCAT
from hil.compiler.kernels.conv2d import CONV2D
from hil.compiler.kernels.expand_filter import EXPAND_FILTER
from hil.compiler.kernels.heads import HEADS
from hil.compiler.kernels.inverted_residual import INVERTED_RESIDUAL
from hil.compiler.kernels.kernel import Kernel
from hil.compiler.kernels.l2norm import L2NORM
from hil.compiler.kernels.lookup import LOOKUP
from hil.compiler.kernels.maxout import MAXOUT
from hil.compiler.kernels.pointwise import POINTWISE
from hil.compiler.kernels.pointwise_panels import POINTWISE_PANELS
from hil.compiler.kernels.pool2d import POOL2D
from hil.compiler.kernels.renet import RENET
from hil.compiler.kernels.rnnpool import RNNPOOL
from hil.compiler.kernels.scale import SCALE
from hil.compiler.kernels.streamed_block import STREAMED_BLOCK
from hil.compiler.kernels.windowed import WINDOWED

KERNELS: tuple[Kernel, ...] = (
    # Three operators in one, then two, so that what can be fused is.
    EXPAND_FILTER,
    STREAMED_BLOCK,
    INVERTED_RESIDUAL,
    RNNPOOL,
    HEADS,
    # One convolution, the fastest kernel first.
    POINTWISE_PANELS,
    POINTWISE,
    WINDOWED,
    SCALE,
    CONV2D,
    # Operators that have one kernel.
    CONCAT,
    L2NORM,
    LOOKUP,
    MAXOUT,
    POOL2D,
    RENET,
)
