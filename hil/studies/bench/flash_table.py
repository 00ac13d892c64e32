"""The flash that C is stated to take, beside what compilers make of it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hil.compiler.kernels.code_size import STAGE_BYTES, STREAM_BYTES
from hil.compiler.kernels.kernel import Choices
from hil.compiler.kernels.registry import FILE_BYTES, KERNELS
from hil.compiler.plan import Budget, place
from hil.config.board import Board
from hil.studies.bench import code_size
from hil.studies.bench.fit_cases import (
    block_cases,
    plain_cases,
    product_cases,
    recurrent_cases,
    transformed_cases,
)
from hil.studies.bench.kernels import quantise

if TYPE_CHECKING:
    from rich.table import Table

    from hil.build.toolchain import Toolchain
    from hil.compiler.plan import Plan
    from hil.compiler.program import Program

_PANELS = Choices(panel_bytes=4096)


def table(board: Board, toolchains: Sequence["Toolchain"]) -> "Table":
    """Lay out each figure: what it is of, stated bytes, and the most that a compiler makes.

    Args:
        board: whose chip it is compiled for.
        toolchains: the compilers.

    Raises:
        BuildError: a source does not compile.
    """
    from rich import box
    from rich.table import Table

    out = Table("C", box=box.SIMPLE_HEAD, padding=0)
    for heading in ("stated", "most"):
        out.add_column(heading, justify="right")
    for file, size in code_size.code_bytes(toolchains).items():
        out.add_row(f"{file}.c", str(FILE_BYTES[file]), str(size))
    planned = list(_planned(board))
    steps = code_size.step_bytes(planned, toolchains)
    for kernel in KERNELS:
        out.add_row(f"a step: {kernel.name}", str(kernel.step_bytes), str(steps[kernel.name]))
    out.add_row("stream.c", str(STREAM_BYTES), str(code_size.stream_bytes(toolchains)))
    deepest = next(program for program, _ in planned if program.name.startswith("blocks"))
    added = code_size.streaming(deepest, len(deepest.operators) // 3, toolchains)
    out.add_row("a streamed step", str(STAGE_BYTES), str(added.each))
    return out


def _planned(board: Board) -> Iterator[tuple["Program", "Plan"]]:
    """Yield the networks that cycles are fitted on, some of them by panels too."""
    every = (plain_cases, product_cases, transformed_cases, block_cases, recurrent_cases)
    for case in (case for cases in every for case in cases()):
        program = quantise(case.name, case.shape, case.network(), sparse=case.sparse)
        yield program, place(program, Budget.of(board), case.choices)
        if case.name == "blocks of 48":
            panels = replace(case.choices, panel_bytes=_PANELS.panel_bytes)
            yield program, place(program, Budget.of(board), panels)
