"""Memory beside a plan's own: the runtime's static data, and the stack that its kernels need."""

import re
from functools import lru_cache

from hil.compiler.kernels.kernel import Kernel, Step
from hil.compiler.plan.place import Plan
from hil.compiler.program import Operator

_STATIC_BYTES = 2400  # of the runtime: the link's frames, clocks, counters
_C_BYTES = 640  # of the runtime's and the kernels' frames in C, the deepest call
_FRAME = re.compile(r"^ +(push|vpush|sub) (?:sp, sp, #(\d+)|\{([^}]*)\})", re.MULTILINE)


def all_in_bytes(plan: Plan) -> int:
    """Return the most that a plan takes of RAM: buffers, static data and stack.

    Args:
        plan: of a program.
    """
    return plan.ram_bytes + _STATIC_BYTES + _C_BYTES + max(map(_stack_bytes, plan.steps))


def _stack_bytes(step: Step) -> int:
    """Of a step's functions in Cortex-M4 code, the deepest, and of large locals in its C."""
    code = _deepest_frame(step.kernel, step.operators, step.panel)
    return max(code, step.kernel.stack_bytes(step))


@lru_cache(maxsize=1024)
def _deepest_frame(kernel: Kernel, operators: tuple[Operator, ...], panel: int) -> int:
    functions = kernel.assembly("step", operators, panel).split(".thumb_func")
    return max(sum(_pushed(*found) for found in _FRAME.findall(text)) for text in functions)


def _pushed(instruction: str, count: str, names: str) -> int:
    """Bytes that an instruction takes of the stack."""
    if instruction == "sub":
        return int(count or 0)
    ends = [part.strip().split("-") for part in names.split(",")]
    return 4 * sum(int(end[-1][1:]) - int(end[0][1:]) + 1 if len(end) > 1 else 1 for end in ends)
