"""`hil import`: trained weights that others publish in a form of their own, as a checkpoint."""

import argparse
from pathlib import Path

from hil.commands.options import Commands, command

_EXAMPLES = """\
examples:
  hil import edgeml q_scut_head_b --scales face-4.sd --out face_m4.pth
                                       RNNPool-Face-M4 as the paper deployed it
  pytest --hil-scenario=face_m4 --hil-checkpoint=face_m4.pth
                                       measured with these weights
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "import",
        _run,
        "make a checkpoint of trained weights that come as C headers",
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "form",
        choices=("edgeml",),
        help="edgeml: the headers of EdgeML's deployed face detectors, face-2, face-3 and face-4",
    )
    parser.add_argument("folder", type=Path, help="of the headers, q_scut_head_b_face*_model")
    parser.add_argument(
        "--scales",
        type=Path,
        metavar="FILE",
        help="SeeDot's program with the range of every weight (default: the .sd in the folder)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the checkpoint")


def _run(options: argparse.Namespace) -> int:
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
