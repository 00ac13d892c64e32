"""C sources of a planned program, implementing firmware/runtime/model.h."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hil.compiler.code.c import comment, identifier, string
from hil.compiler.emit import stream
from hil.compiler.kernels.kernel import Step, StepCode
from hil.compiler.plan.place import Plan
from hil.compiler.program import Program
from hil.errors import BuildError
from hil.limits import check_limit

_GENERATED = "Generated: change the model or the compiler instead."


def write(program: Program, plan: Plan, directory: Path) -> None:
    """Write model.c, weights.c, weights.h and kernels.S; the same plan gives the same bytes.

    They include "runtime/..." and "kernels/..." from the firmware's root.

    Args:
        program: the quantised network.
        plan: its steps, and where their memory is.
        directory: an existing folder; files of these names are replaced.

    Raises:
        BuildError: a parameter that a kernel cannot take, two names that are one in C, or more
            steps than the firmware can count.
    """
    check_limit(program.name, "layers", len(plan.steps), "MODEL_MOST_LAYERS")
    directory.mkdir(parents=True, exist_ok=True)
    codes = [step.kernel.code(plan.site(step)) for step in plan.steps]
    _check_names(plan.steps, codes)
    texts = {
        "weights.h": _weights_header(program, codes),
        "weights.c": _weights(program, codes),
        "model.c": _model(program, plan, codes),
        "kernels.S": _kernels(program, plan),
    }
    for name, text in texts.items():
        (directory / name).write_text(text, encoding="utf-8")


def _check_names(steps: Sequence[Step], codes: Sequence[StepCode]) -> None:
    """Refuse layers whose names in C, or those of their constants, are the same.

    Raises:
        BuildError: names both layers.
    """
    owners: dict[str, str] = {}
    for step, code in zip(steps, codes, strict=True):
        layers = {step.name, *(operator.name for operator in step.operators)}
        layers |= {tensor.name for tensor in step.outputs}
        mine: dict[str, str] = {}
        for layer in sorted(layers):
            _claim(identifier(layer), layer, owners, mine)
            mine[identifier(layer)] = layer
        for constant in code.constants:  # a fused step may name one as its operator
            _claim(constant.name, step.name, owners)
        owners |= mine | {constant.name: step.name for constant in code.constants}


def _claim(name: str, layer: str, *owners: Mapping[str, str]) -> None:
    """Refuse a name in C that a layer has already."""
    for owner in (known[name] for known in owners if name in known):
        raise BuildError(
            f"the layers {owner} and {layer} would both be {name} in C",
            hint="rename one of them",
            stage="emit",
        )


def _weights_header(program: Program, codes: list[StepCode]) -> str:
    declarations = [
        f"extern const {constant.declaration};" for code in codes for constant in code.constants
    ]
    return "\n".join(
        [
            f"/* The constants of {comment(program.name)}. {_GENERATED} */",
            "#ifndef MODEL_WEIGHTS_H",
            "#define MODEL_WEIGHTS_H",
            "",
            "#include <stdint.h>",
            "",
            *declarations,
            "",
            "#endif",
            "",
        ]
    )


def _weights(program: Program, codes: list[StepCode]) -> str:
    lines = [
        f"/* The constants of {comment(program.name)}, in flash. {_GENERATED} */",
        '#include "weights.h"',
        "",
        *(constant.definition() for code in codes for constant in code.constants),
    ]
    return "\n".join(lines)


def _model(program: Program, plan: Plan, codes: list[StepCode]) -> str:
    headers = sorted({header for code in codes for header in code.headers})
    title = (
        f"{comment(program.name)}: {len(plan.steps)} steps, {program.macs:,} multiply-accumulates."
    )
    lines = [
        f"/* {title} {_GENERATED} */",
        "#include <stddef.h>",
        "",
        *(f'#include "kernels/{header}"' for header in ["dsp.h", *headers]),
        '#include "runtime/model.h"',
        *(['#include "runtime/stream.h"'] if plan.streams else []),
        '#include "weights.h"',
        "",
        f"const char model_name[] = {string(program.name)};",
        "",
        f"MODEL_SRAM uint8_t model_arena[{max(1, plan.arena_bytes)}];",
        f"const uint32_t model_arena_bytes = {plan.arena_bytes};",
        f"MODEL_CCM uint8_t model_scratch[{max(1, plan.ccm_bytes)}];",
        f"const uint32_t model_scratch_bytes = {plan.ccm_bytes};",
        "",
        f"const uint32_t model_input_offset = {plan.input_offset};",
        f"const uint32_t model_input_bytes = {plan.input_bytes};",
        f"const uint32_t model_output_offset = {plan.output_offset};",
        f"const uint32_t model_output_bytes = {plan.output_bytes};",
        f"const bool model_input_survives = {'true' if plan.input_survives else 'false'};",
        f"const bool model_streams = {'true' if plan.streams else 'false'};",
        "",
        "void model_init(void) {}",
        "",
        *_steps(program, plan, codes),
        "const model_layer_t model_layers[] = {",
        *(
            f"    {{{string(step.name)}, {step.macs}, {_runner(index, step, plan)}}},"
            for index, step in enumerate(plan.steps)
        ),
        "};",
        f"const uint32_t model_layer_count = {len(plan.steps)};",
        "",
    ]
    return "\n".join(lines)


def _kernels(program: Program, plan: Plan) -> str:
    codes = (step.kernel.assembly(step.name, step.operators, step.panel) for step in plan.steps)
    return "\n".join(
        [
            f"/* Cortex-M4 code of {comment(program.name)}. {_GENERATED} */",
            "    .syntax unified",
            "    .cpu cortex-m4",
            "    .fpu fpv4-sp-d16",
            "    .thumb",
            *(code for code in codes if code),
        ]
    )


def _steps(program: Program, plan: Plan, codes: list[StepCode]) -> Iterator[str]:
    streamed = plan.choices.streamed
    if streamed:
        yield stream.strips(program, plan)
    for step, code in zip(plan.steps[:streamed], codes, strict=False):
        yield stream.stage(step, code)
    if streamed:
        yield stream.layer(program, plan, codes)
    for step, code in zip(plan.steps[streamed:], codes[streamed:], strict=True):
        gives = stream.gives(plan, step) if streamed else ()
        yield _step(step, code, gives)


def _runner(index: int, step: Step, plan: Plan) -> str:
    """The function of a layer; the last streamed one's runs those before it too."""
    return "NULL" if index + 1 < plan.choices.streamed else f"run_{identifier(step.name)}"


def _step(step: Step, code: StepCode, after: tuple[str, ...]) -> str:
    calls = "\n".join(f"    {call}" for call in (*code.calls, *after))
    return (
        f"/* {comment(code.comment)} */\n{code.descriptors}\n"
        f"static void run_{identifier(step.name)}(void) {{\n{calls}\n}}\n"
    )
