"""Every value of a map through a table, `lookup.c`."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from hil.compiler.code.c import Constant, Fields, identifier, structure
from hil.compiler.kernels.cycles import Cost, Costs, Work
from hil.compiler.kernels.kernel import (
    Access,
    Choices,
    Kernel,
    Scratch,
    Site,
    Step,
    StepCode,
    call,
    expect,
)
from hil.compiler.kernels.shapes import pixel_access
from hil.compiler.operators.lookup import Lookup
from hil.compiler.program import Operator


class Table(Kernel):
    """Activations by themselves."""

    name = "lookup"
    step_bytes = 72
    code_bytes = 100
    cycles: ClassVar[Costs] = {
        "lookup.value": Cost(8.62, "a value"),
    }

    def take(
        self, rest: Sequence[Operator], readers: Mapping[str, int], choices: Choices
    ) -> Step | None:
        """Take an activation; it may write over its input."""
        lookup = rest[0]
        if not isinstance(lookup, Lookup):
            return None
        copy = Scratch("table", lookup.table.nbytes, lasts=False)
        return Step(
            lookup.name,
            self,
            (lookup,),
            lookup.inputs,
            (lookup.output,),
            () if choices.tables_in_flash else (copy,),
            slack=0,
        )

    def constant_bytes(self, step: Step, choices: Choices) -> int:
        """Count the table."""
        return expect(step.operators[0], Lookup).table.nbytes

    def work(self, site: Site) -> Work:
        """Count values, each an entry read at random where the table stays in flash."""
        values = site.step.outputs[0].bytes
        if not site.choices.tables_in_flash:
            return {"lookup.value": values}
        return {"lookup.value": values, "flash.entry": values * site.wait_states}

    def access(self, step: Step) -> Access:
        """Return a row for a row."""
        return pixel_access(step.operators[0])

    def code(self, site: Site) -> StepCode:
        """Call `lookup`."""
        lookup = expect(site.step.operators[0], Lookup)
        name = identifier(lookup.name)
        channels = lookup.output.shape[2]
        # The kernel's index is the value's byte: 0 .. 127, then -128 .. -1.
        entries = np.roll(lookup.table, 128)
        fields: Fields = {
            "table": f"{name}_table",
            "copy": site.planned("table"),
            "channels": channels,
        }
        x, y = site.row(lookup.inputs[0]), site.row(lookup.output)
        return StepCode(
            ("lookup.h",),
            f"{lookup.name}: {lookup.function} of every value, {channels} channels",
            (Constant(f"{name}_table", entries, "[value as an unsigned byte]"),),
            structure("lookup_t", name, fields),
            (call("lookup", f"&{name}", site.pixels(lookup.output), x, y),),
        )


LOOKUP = Table()
