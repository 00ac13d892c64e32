"""What a network costs: the figures that are kept and printed, which need no torch to be read."""

from dataclasses import dataclass

from hil.compiler.macs import Macs
from hil.models.paper import Figures


@dataclass(frozen=True)
class Memory:
    """What the planner says.

    Attributes:
        sram_bytes: the activation memory, input included; None where there is no plan.
        ccm_bytes: working memory of the kernels.
        flash_bytes: of the image, weights as the kernels read them, code as estimated.
        streams: whether the input comes in row by row, as it does where it does not fit.
        obstacle: why there is no plan.
        lacking, lacks: bytes that the nearest plan exceeds a region by, and which.
    """

    sram_bytes: int | None = None
    ccm_bytes: int | None = None
    flash_bytes: int | None = None
    streams: bool = False
    obstacle: str = ""
    lacking: int = 0
    lacks: str = ""


@dataclass(frozen=True)
class Counts:
    """A network's costs beside the paper's.

    Attributes:
        parameters: zeros and batch norm included.
        map_bytes: peak activation memory in the paper's convention, see `paper.convention`.
        memory: as the planner needs it; None where it was not asked.
        weight_bytes: constants of the quantised program: int8 weights, int16 cells and tables,
            int32 biases and multipliers. The image holds them as the kernels read them.
    """

    model: str
    parameters: int
    macs: Macs
    map_bytes: int
    memory: Memory | None
    weight_bytes: int
    paper: Figures
