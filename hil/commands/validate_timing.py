"""`hil validate-timing`: the timing model against cycles of real chips."""

import argparse
from pathlib import Path

from hil.commands.options import Commands, command, written

_ASSEMBLER = {
    "aes": "Ko-/aes-armcortexm",
    "chacha": "joostrijneveld/chacha-arm-cortex-m, operands in SRAM2",
    "polymul": "mupq/polymul-z2mx-m4, operands in SRAM2",
}
_EXAMPLES = """\
examples:
  hil validate-timing --embench ~/embench-iot
  hil validate-timing --pqm4 ~/pqm4 --coremark ~/coremark --csv timing.csv
  hil validate-timing --aes ~/aes-armcortexm --chacha ~/chacha-arm-cortex-m
  hil validate-timing --pqm4 ~/pqm4 --without each  what every rule is worth
  hil validate-timing --mlperf ~/mlperf            holds tiny_results_v1.1 and tiny_results_v1.2
  hil validate-timing --embench ~/embench-iot --without it_folds
the checkouts are yours: nothing is fetched
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "validate-timing",
        _run,
        "hold the timing model against cycles published for real chips, on checkouts of yours",
        epilog=_EXAMPLES,
    )
    parser.add_argument("--embench", type=Path, metavar="DIR", help="embench-iot, embench-2.0rc1")
    parser.add_argument("--pqm4", type=Path, metavar="DIR", help="pqm4 Round3, with submodules")
    for name, repository in _ASSEMBLER.items():
        parser.add_argument(f"--{name}", type=Path, metavar="DIR", help=repository)
    parser.add_argument("--coremark", type=Path, metavar="DIR", help="coremark, any version")
    parser.add_argument(
        "--mlperf",
        type=Path,
        metavar="DIR",
        help="holds checkouts of github.com/mlcommons/tiny_results_*: certified images are run",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="TABLE",
        help="which of them (default: hil/studies/mlperf/images.csv)",
    )
    parser.add_argument(
        "--csv", type=written, metavar="FILE", help="write the figures there as well"
    )
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="RULE",
        help="print the errors without a rule beside those with all; may be given again; each: of "
        "all that can be taken away",
    )
    parser.add_argument("--board", default="stm32f439", help="whose memory (default: %(default)s)")


def _run(options: argparse.Namespace) -> int:
    from hil.studies.timing_validation import run as validate_timing

    return validate_timing.run(
        validate_timing.Checkouts(
            embench=options.embench,
            pqm4=options.pqm4,
            aes=options.aes,
            chacha=options.chacha,
            polymul=options.polymul,
            coremark=options.coremark,
            mlperf=options.mlperf,
            images=options.images,
        ),
        csv=options.csv,
        without=options.without,
        board=options.board,
    )
