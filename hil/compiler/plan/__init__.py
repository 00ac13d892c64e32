"""The plan of a program: its steps, where its buffers stand, and which of its schedules to take."""

from hil.compiler.plan.budget import Budget
from hil.compiler.plan.choose import Aim, Point, make_plan, pareto, plan_on
from hil.compiler.plan.place import Buffer, Plan, place
from hil.compiler.plan.table import table

__all__ = [
    "Aim",
    "Budget",
    "Buffer",
    "Plan",
    "Point",
    "make_plan",
    "pareto",
    "place",
    "plan_on",
    "table",
]
