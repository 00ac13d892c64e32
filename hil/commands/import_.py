"""`hil import`: networks and weights that others publish in a form of their own."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hil.commands.options import Commands, command, show, written

if TYPE_CHECKING:
    from rich.table import Table

    from hil.models import LoadedModel

_EXAMPLES = """\
examples:
  hil import vww_96_int8.tflite        an int8 network of TensorFlow Lite: a scenario beside it,
                                       vww_96_int8.toml, and how exact each layer's rounding is
  pytest --pyargs hil.suite --hil-scenario=vww_96_int8.toml
                                       built, run and judged with its own scales and zero points
  hil import edgeml q_scut_head_b_face4_model --scales rnnpool-face-4.sd --out face_m4.pth
                                       RNNPool-Face-M4 as the paper deployed it, a checkpoint
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "import",
        _run,
        "make a scenario of an int8 TensorFlow Lite file, or a checkpoint of EdgeML's C headers",
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "form",
        metavar="FILE.tflite|edgeml",
        help="an int8 network of TensorFlow Lite; or edgeml: the headers of EdgeML's deployed face "
        "detectors, face-2, face-3 and face-4",
    )
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        help="edgeml: of the headers, q_scut_head_b_face*_model",
    )
    parser.add_argument(
        "--scales",
        type=Path,
        metavar="FILE",
        help="edgeml: SeeDot's program with the range of every weight (default: the .sd in the "
        "folder)",
    )
    parser.add_argument(
        "--out",
        type=written,
        metavar="FILE",
        help="the checkpoint, or the scenario (default: beside the network, as NAME.toml)",
    )


def _run(options: argparse.Namespace) -> int:
    from hil.errors import UsageError

    if options.form.endswith(".tflite"):
        return _network(options)
    if options.form != "edgeml":
        raise UsageError(
            f"{options.form} is no form that can be imported",
            hint="name a .tflite file, or edgeml and the folder of its headers",
        )
    if options.folder is None or options.out is None:
        raise UsageError("edgeml takes the folder of the headers, and --out")
    return _headers(options)


def _headers(options: argparse.Namespace) -> int:
    import torch

    from hil.errors import UsageError
    from hil.models import edgeml_headers

    state = edgeml_headers.read(options.folder, options.scales)
    try:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, options.out)
    except (OSError, RuntimeError) as error:
        raise UsageError(f"cannot write {options.out}: {error}") from error
    values = sum(tensor.numel() for tensor in state.values())
    print(f"{options.out}: {len(state)} tensors, {values:,} values, each held against its range")
    return 0


def _network(options: argparse.Namespace) -> int:
    import os

    from hil import files, models
    from hil.errors import UsageError

    path = Path(options.form)
    if options.folder is not None or options.scales is not None:
        raise UsageError("a .tflite file takes no folder and no --scales")
    out: Path = options.out or path.with_suffix(".toml")
    if out.suffix != ".toml":
        raise UsageError(f"{out} is no scenario", hint="call it NAME.toml")
    if files.exists(out):
        raise UsageError(f"{out} is there already", hint="name another --out, or delete it")
    loaded = models.made(models.Request(str(path)))
    show(_table(loaded))
    model = os.path.relpath(path.resolve(), out.resolve().parent)
    out.parent.mkdir(parents=True, exist_ok=True)
    files.replace(
        out,
        f"# {path.name}: an int8 network with its own scales and zero points.\n\n"
        f"model = {_quoted(model)}\ndefault = false\n",
    )
    print(f"{out}: pytest --pyargs hil.suite --hil-scenario={out}")
    return 0


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _table(loaded: "LoadedModel") -> "Table":
    """Layers, their sizes, and how their rounding compares with TensorFlow Lite's."""
    from rich.table import Table

    from hil.compiler.front.imported import translated

    made = translated(loaded)
    result = Table(title=f"{loaded.weights}: {made.program.macs / 1e6:.2f} M MACs")
    for column in ("layer", "output", "MACs", "rounding"):
        result.add_column(column, justify="right" if column == "MACs" else "left")
    for operator, exact in zip(made.program.operators, made.exactness, strict=True):
        rounding = "equal" if exact.counted else "the level, or the one beside"
        if exact.missed:
            rounding = f"{exact.missed:,} of {exact.steps:,} steps one sum aside"
        size = "x".join(map(str, operator.output.shape))
        result.add_row(operator.name, size, f"{operator.macs:,}", rounding)
    return result
