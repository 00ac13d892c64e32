"""The C of steps that run row by row: strips of their maps, stages, the layer that runs them.

The structures are those of firmware/runtime/stream.h.
"""

from collections.abc import Sequence

from hil.compiler.code.c import Fields, comment, identifier, structure
from hil.compiler.kernels.kernel import Step, StepCode, strip_name
from hil.compiler.kernels.shapes import row_bytes
from hil.compiler.plan.place import Plan
from hil.compiler.plan.stream import access_of
from hil.compiler.program import Program, Tensor


def strips(program: Program, plan: Plan) -> str:
    """Define the strips of all maps of the streamed steps, the image first.

    Args:
        program: the quantised network.
        plan: with streamed steps.

    Returns:
        C definitions.
    """
    steps = plan.steps[: plan.choices.streamed]
    maps = [program.input, *(tensor for step in steps for tensor in step.outputs)]
    return "\n".join(_strip(plan, tensor) for tensor in maps)


def stage(step: Step, code: StepCode) -> str:
    """Define a streamed step's descriptors and the function of one call.

    Args:
        step: a streamed one.
        code: what its kernel has written.

    Returns:
        C definitions.
    """
    calls = "\n".join(f"    {call}" for call in code.calls)
    name = identifier(step.name)
    text = f"/* {comment(code.comment)} */\n{code.descriptors}\n"
    text += f"static void row_{name}(int32_t row) {{\n{calls}\n}}\n"
    if code.made:
        text += f"\nstatic int32_t made_{name}(int32_t calls) {{\n    return {code.made};\n}}\n"
    return text


def layer(program: Program, plan: Plan, codes: Sequence[StepCode]) -> str:
    """Define the stages, and the function that runs them all: that of the last streamed layer.

    Args:
        program: the quantised network.
        plan: with streamed steps.
        codes: what the kernels have written for the streamed steps, in their order.

    Returns:
        C definitions.
    """
    steps = plan.steps[: plan.choices.streamed]
    stages = ",\n".join(
        _stage(step, index, code)
        for index, (step, code) in enumerate(zip(steps, codes, strict=False))
    )
    fields: Fields = {
        "stages": "stages",
        "count": len(steps),
        "done": "stages_done",
        "image": f"&{strip_name(program.input)}",
    }
    return (
        f"static const stream_stage_t stages[] = {{\n{stages},\n}};\n"
        f"static int32_t stages_done[{len(steps)}];\n"
        + structure("stream_t", "stream", fields)
        + f"\nstatic void run_{identifier(steps[-1].name)}(void) {{\n    stream_run(&stream);\n}}\n"
    )


def gives(plan: Plan, step: Step) -> tuple[str, ...]:
    """The statements that send the results of a step behind the streamed ones.

    Args:
        plan: with streamed steps.
        step: any step of it.

    Returns:
        C statements; none where it writes no result.
    """
    return tuple(
        f"(void)model_give({plan.results[tensor.name]}, {_arena(plan, tensor)}, {tensor.bytes});"
        for tensor in step.outputs
        if tensor.name in plan.results
    )


def _strip(plan: Plan, tensor: Tensor) -> str:
    fields: Fields = {
        "data": _arena(plan, tensor),
        "rows": tensor.shape[0],
        "row_bytes": row_bytes(tensor),
        "capacity": plan.strips[tensor.name],
        "result_offset": plan.results.get(tensor.name, "STREAM_NO_RESULT"),
    }
    return structure("stream_strip_t", strip_name(tensor), fields, constant=False)


def _stage(step: Step, index: int, code: StepCode) -> str:
    name = identifier(step.name)
    access = access_of(step)
    made = f"made_{name}" if code.made else "NULL"
    outputs = ", ".join(f"&{strip_name(tensor)}" for tensor in step.outputs)
    return (
        f"    {{row_{name}, {made}, {access.calls}, &{strip_name(step.inputs[0])}, {access.step}, "
        f"{access.reach}, {access.lead}, {{{outputs}}}, {index}}}"
    )


def _arena(plan: Plan, tensor: Tensor) -> str:
    return f"(int8_t *)model_arena + {plan.offsets[tensor.name]}"
