"""The benches' figures as docs/kernels.md prints them: compilers side by side."""

from collections.abc import Sequence

from hil.studies.bench.kernels import Row

_SPARSE, _DENSE = "sparse ", "dense "


def kernels(rows: Sequence[Row]) -> str:
    """Write a line for each operator: MACs, then cycles and cycles per MAC by each compiler."""
    heads = ["operator", "MACs, M"]
    for compiler in _compilers(rows):
        heads += [f"{compiler} cycles, M", "cycles/MAC"]
    return _grid(heads, [_operator(beside) for beside in _beside(rows)])


def face_m4(rows: Sequence[Row], *, dense: bool) -> str:
    """Write a line for each step of the schedule, with sparse or with dense RNN weights.

    Args:
        rows: what `kernels.face_m4` measured.
        dense: whether the rows of dense RNN weights are written, or those of sparse ones.
    """
    prefix = _DENSE if dense else _SPARSE
    chosen = [row for row in rows if row.cost.name.startswith(prefix)]
    compilers = [f"{compiler} cycles, M" for compiler in _compilers(chosen)]
    lines = [
        [
            beside[0].cost.name.removeprefix(prefix),
            _millions(beside[0].cost.macs),
            *(_millions(row.cost.cycles) for row in beside),
        ]
        for beside in _beside(chosen)
    ]
    return _grid(["step", "MACs, M, unshared", *compilers], lines)


def _operator(beside: Sequence[Row]) -> list[str]:
    cells = [beside[0].cost.name, _millions(beside[0].cost.macs)]
    for row in beside:
        cells += [_millions(row.cost.cycles), f"{row.cost.cycles / row.cost.macs:.3f}"]
    return cells


def _compilers(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row.toolchain.partition(" ")[0] for row in rows))


def _beside(rows: Sequence[Row]) -> list[list[Row]]:
    """Put what several compilers made of the same beside each other."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.cost.name, []).append(row)
    return list(found.values())


def _millions(count: int) -> str:
    return f"{count / 1e6:.2f}"


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---", *["--:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
