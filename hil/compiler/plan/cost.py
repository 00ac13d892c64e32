"""A cost model: the cycles that each step is expected to take on a Cortex-M4.

They rank schedules; they do not replace a measurement.
"""

from hil.compiler.kernels.cycles import cycles_of
from hil.compiler.kernels.registry import CYCLES
from hil.compiler.plan.place import Plan


def estimate(plan: Plan) -> int:
    """Estimate the cycles of one inference."""
    return round(sum(cycles_of(step.kernel.work(plan.site(step)), CYCLES) for step in plan.steps))
