"""How much flash an image takes: its constants as the kernels read them, and its code.

Constants and Cortex-M4 code are counted to the byte. What compilers make of the C is estimated, a
little above it, so that an image that is planned also links.
"""

from collections.abc import Sequence
from functools import lru_cache

from hil.compiler.code.thumb import text_bytes
from hil.compiler.kernels.code_size import STAGE_BYTES, STREAM_BYTES, name_bytes
from hil.compiler.kernels.kernel import Choices, Kernel, Step
from hil.compiler.kernels.registry import FILE_BYTES
from hil.compiler.plan.budget import Budget, Need
from hil.compiler.program import Operator
from hil.limits import limit


def flash_bytes(steps: Sequence[Step], choices: Choices) -> int:
    """Estimate the bytes of the image that these steps make.

    Args:
        steps: of a schedule.
        choices: the schedule's.
    """
    files = {file for step in steps for file in step.kernel.files(step)}
    kernels = sum(FILE_BYTES[file] for file in files)
    stages = STREAM_BYTES + STAGE_BYTES * choices.streamed if choices.streamed else 0
    return (
        limit("RUNTIME_FLASH_BYTES")
        + kernels
        + stages
        + sum(
            step.kernel.constant_bytes(step, choices.of(step.name))
            + step.kernel.step_bytes
            + name_bytes(step.name)
            + _code_bytes(step.kernel, step.operators, step.panel)
            for step in steps
        )
    )


def flash_need(steps: Sequence[Step], choices: Choices, budget: Budget) -> Need:
    """Return what the image of these steps takes, with the steps' constants as its parts.

    Args:
        steps: of a schedule.
        choices: the schedule's.
        budget: whose flash it is held to.
    """
    constants = {s.name: s.kernel.constant_bytes(s, choices.of(s.name)) for s in steps}
    return Need("flash", flash_bytes(steps, choices), budget.flash_bytes, constants)


@lru_cache(maxsize=1024)
def _code_bytes(kernel: Kernel, operators: tuple[Operator, ...], panel: int) -> int:
    """Count the bytes of a step's functions in kernels.S."""
    return text_bytes(kernel.assembly("step", operators, panel))
