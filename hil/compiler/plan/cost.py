"""A cost model: the cycles that each step is expected to take on a Cortex-M4.

Each kernel has its coefficients. They rank schedules; they do not replace a measurement.
"""

from hil.compiler.plan.place import Plan


def estimate(plan: Plan) -> int:
    """Estimate the cycles of one inference."""
    return round(sum(step.kernel.cycles(plan.site(step)) for step in plan.steps))
