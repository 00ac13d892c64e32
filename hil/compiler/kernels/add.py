"""The sum of two maps, `add.c`."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from hil.compiler.code.c import Fields, identifier, structure
from hil.compiler.kernels.cycles import Cost, Costs, Work
from hil.compiler.kernels.kernel import (
    Choices,
    Kernel,
    Scratch,
    Site,
    Step,
    StepCode,
    call,
    expect,
)
from hil.compiler.operators.add import Add
from hil.compiler.program import Operator

_LEVELS = 256  # of a byte
_TABLE_BYTES = 2 * _LEVELS * 4  # of two inputs


class Addition(Kernel):
    """Additions that no convolution takes in."""

    name = "add"
    step_bytes = 116
    code_bytes = 268
    cycles: ClassVar[Costs] = {
        "add.value": Cost(26.0, "a value"),
        "add.entry": Cost(20.3, "an entry of a table"),
    }

    def take(
        self, rest: Sequence[Operator], readers: Mapping[str, int], choices: Choices
    ) -> Step | None:
        """Take an addition; it may write over its first map."""
        add = rest[0]
        if not isinstance(add, Add):
            return None
        tables = Scratch("tables", _TABLE_BYTES, lasts=False)
        return Step(add.name, self, (add,), add.inputs, (add.output,), (tables,), slack=0)

    def constant_bytes(self, step: Step, choices: Choices) -> int:
        """Return 0: there are none."""
        return 0

    def work(self, site: Site) -> Work:
        """Count values, and the tables' entries."""
        return {"add.value": site.step.outputs[0].bytes, "add.entry": 2 * _LEVELS}

    def code(self, site: Site) -> StepCode:
        """Call `add`."""
        add = expect(site.step.operators[0], Add)
        name = identifier(add.name)
        (a, b), y = add.inputs, add.output
        terms = ", ".join(f"{{{term.multiplier}, {term.shift}}}" for term in add.terms)
        fields: Fields = {
            "terms": f"{{{terms}}}",
            "sum": f"{{{add.multiplier}, {add.shift}}}",
            "zeros": f"{{{a.zero_point}, {b.zero_point}}}",
            "y_zero": y.zero_point,
            "low": add.low,
            "high": add.high,
            "tables": site.scratch("tables"),
        }
        return StepCode(
            ("add.h",),
            f"{add.name}: the sum of two maps of {'x'.join(map(str, y.shape))}",
            (),
            structure("add_t", name, fields),
            (call("add", f"&{name}", str(y.bytes), site.map(a), site.map(b), site.map(y)),),
        )


ADD = Addition()
