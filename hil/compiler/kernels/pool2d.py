"""Averages and maxima over windows, `pool2d.c`."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from hil.compiler.code.c import Fields, identifier, structure
from hil.compiler.kernels.cycles import Cost, Costs, Work
from hil.compiler.kernels.kernel import (
    Access,
    Choices,
    Kernel,
    Site,
    Step,
    StepCode,
    call,
    expect,
)
from hil.compiler.kernels.shapes import window_access, window_slack
from hil.compiler.operators.pool2d import Pool2D
from hil.compiler.program import Operator


class WindowPool(Kernel):
    """Average and max poolings."""

    name = "pool2d"
    step_bytes = 112
    code_bytes = 2104
    cycles: ClassVar[Costs] = {
        "pool2d.average": Cost(4.6, "a value in a window"),
        "pool2d.max": Cost(5.02, "a value in a window"),
    }

    def take(
        self, rest: Sequence[Operator], readers: Mapping[str, int], choices: Choices
    ) -> Step | None:
        """Take a pooling."""
        pool = rest[0]
        if not isinstance(pool, Pool2D):
            return None
        slack = window_slack(pool)
        return Step(pool.name, self, (pool,), pool.inputs, (pool.output,), slack=slack)

    def constant_bytes(self, step: Step, choices: Choices) -> int:
        """Return 0: there are none."""
        return 0

    def work(self, site: Site) -> Work:
        """Count values in windows."""
        pool = expect(site.step.operators[0], Pool2D)
        return {f"pool2d.{pool.kind}": pool.output.bytes * pool.window[0] * pool.window[1]}

    def access(self, step: Step) -> Access:
        """Return the window's rows."""
        return window_access(expect(step.operators[0], Pool2D))

    def code(self, site: Site) -> StepCode:
        """Call `pool2d_average` or `pool2d_max`."""
        pool = expect(site.step.operators[0], Pool2D)
        name = identifier(pool.name)
        rows, columns, channels = pool.inputs[0].shape
        window_rows, window_columns = pool.window
        fields: Fields = {
            "rows": rows,
            "columns": columns,
            "channels": channels,
            "y_columns": pool.output.shape[1],
            "window_rows": window_rows,
            "window_columns": window_columns,
            "stride": pool.stride,
            "top": pool.padding.top,
            "left": pool.padding.left,
            "x_zero": pool.inputs[0].zero_point,
            "y_zero": pool.output.zero_point,
            "multiplier": pool.multiplier,
            "shift": pool.shift,
        }
        x, y = site.map(pool.inputs[0]), site.row(pool.output)
        span = site.span(pool.output.shape[0])
        return StepCode(
            ("pool2d.h",),
            f"{pool.name}: {pool.kind} of {window_rows}x{window_columns} pixels every "
            f"{pool.stride}, {rows}x{columns}x{channels}",
            (),
            structure("pool2d_t", name, fields),
            (call(f"pool2d_{pool.kind}", f"&{name}", x, *span, y),),
        )


POOL2D = WindowPool()
