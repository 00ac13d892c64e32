"""Maps side by side, pixel by pixel, `concat.c`."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from hil.compiler.code.c import Fields, identifier, structure
from hil.compiler.kernels.cycles import Cost, Costs, Work
from hil.compiler.kernels.kernel import (
    Choices,
    Kernel,
    Site,
    Step,
    StepCode,
    call,
    expect,
)
from hil.compiler.operators.concat import Concat
from hil.compiler.program import Operator


class Join(Kernel):
    """Concatenations of channels."""

    name = "concat"
    step_bytes = 132
    code_bytes = 184
    cycles: ClassVar[Costs] = {
        "concat.value": Cost(9.44, "a value"),
    }

    def take(
        self, rest: Sequence[Operator], readers: Mapping[str, int], choices: Choices
    ) -> Step | None:
        """Take a concatenation."""
        join = rest[0]
        if not isinstance(join, Concat):
            return None
        # Each pixel is written no further than the first map's are read.
        slack = join.inputs[0].bytes - join.output.bytes
        maps = {tensor.name: tensor for tensor in join.inputs}
        return Step(join.name, self, (join,), tuple(maps.values()), (join.output,), slack=slack)

    def constant_bytes(self, step: Step, choices: Choices) -> int:
        """Return 0: there are none."""
        return 0

    def work(self, site: Site) -> Work:
        """Count values."""
        return {"concat.value": site.step.outputs[0].bytes}

    def code(self, site: Site) -> StepCode:
        """Call `concat`."""
        join = expect(site.step.operators[0], Concat)
        name = identifier(join.name)
        rows, columns, channels = join.output.shape
        parts = []
        for tensor, rescale in zip(join.inputs, join.rescales, strict=True):
            factor = (rescale.multiplier, rescale.shift) if rescale else (0, 0)
            zero = tensor.zero_point
            parts.append(f"    {{{tensor.shape[2]}, {zero}, {factor[0]}, {factor[1]}}},")
        table = "\n".join([f"static const concat_part_t {name}_parts[] = {{", *parts, "};", ""])
        fields: Fields = {
            "part": f"{name}_parts",
            "parts": len(parts),
            "pixels": rows * columns,
            "y_zero": join.output.zero_point,
        }
        maps = ", ".join(site.arena(tensor) for tensor in join.inputs)
        names = ", ".join(tensor.name for tensor in join.inputs)
        return StepCode(
            ("concat.h",),
            f"{join.name}: {names} side by side, {rows}x{columns}x{channels}",
            (),
            table + structure("concat_t", name, fields),
            (
                f"const int8_t *const x[] = {{{maps}}};",
                call("concat", f"&{name}", "x", site.arena(join.output)),
            ),
        )


CONCAT = Join()
