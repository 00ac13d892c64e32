"""How much flash an image takes: its constants as the kernels read them, and its code.

Constants are counted to the byte. Code is estimated, a little above what compilers make of it, so
that an image that is planned also links.
"""

from collections.abc import Sequence
from functools import lru_cache

from hil.compiler.kernels.kernel import Choices, Kernel, Step
from hil.compiler.plan.budget import Budget, Need
from hil.compiler.program import Operator

_RUNTIME_BYTES = 18 * 1024  # the runtime and the kernels' C
_STEP_BYTES = 350  # a step's descriptors and its call
_INSTRUCTION_BYTES = 3.6  # of the kernels' code: most take 4, few take 2


def flash_bytes(steps: Sequence[Step], choices: Choices) -> int:
    """Estimate the bytes of the image that these steps make."""
    return _RUNTIME_BYTES + sum(
        step.kernel.constant_bytes(step, choices)
        + _STEP_BYTES
        + _code_bytes(step.kernel, step.operators, step.panel)
        for step in steps
    )


def flash_need(steps: Sequence[Step], choices: Choices, budget: Budget) -> Need:
    """Return what the image of these steps takes, with the steps' constants as its parts."""
    constants = {step.name: step.kernel.constant_bytes(step, choices) for step in steps}
    return Need("flash", flash_bytes(steps, choices), budget.flash_bytes, constants)


@lru_cache(maxsize=1024)
def _code_bytes(kernel: Kernel, operators: tuple[Operator, ...], panel: int) -> int:
    """Estimate a step's functions in kernels.S: instructions at their average, and words."""
    lines = [line.strip() for line in kernel.assembly("step", operators, panel).splitlines()]
    words = sum(line.count(",") + 1 for line in lines if line.startswith(".word"))
    instructions = sum(bool(line) and line[0].isalpha() and line[-1] != ":" for line in lines)
    return round(_INSTRUCTION_BYTES * instructions) + 4 * words
