"""The C of a concatenation."""

from hil.compiler.emit_c import identifier, structure
from hil.compiler.emit_code import Fields, StepCode, arena_pointer, call, expect
from hil.compiler.plan import Plan
from hil.compiler.plan_steps import Step
from hil.compiler.program import Concat


def concat(step: Step, plan: Plan) -> StepCode:
    """Maps side by side, pixel by pixel."""
    join = expect(step.operators[0], Concat)
    name = identifier(join.name)
    rows, columns, channels = join.output.shape
    parts = []
    for tensor, rescale in zip(join.inputs, join.rescales, strict=True):
        factor = (rescale.multiplier, rescale.shift) if rescale else (0, 0)
        parts.append(f"    {{{tensor.shape[2]}, {tensor.zero_point}, {factor[0]}, {factor[1]}}},")
    table = "\n".join([f"static const concat_part_t {name}_parts[] = {{", *parts, "};", ""])
    fields: Fields = {
        "part": f"{name}_parts",
        "parts": len(parts),
        "pixels": rows * columns,
        "y_zero": join.output.zero_point,
    }
    sources = ", ".join(arena_pointer(plan, tensor) for tensor in join.inputs)
    names = ", ".join(tensor.name for tensor in join.inputs)
    return StepCode(
        ("concat.h",),
        f"{join.name}: {names} side by side, {rows}x{columns}x{channels}",
        (),
        table + structure("concat_t", name, fields),
        (
            f"const int8_t *const x[] = {{{sources}}};",
            call("concat", f"&{name}", "x", arena_pointer(plan, join.output)),
        ),
    )
