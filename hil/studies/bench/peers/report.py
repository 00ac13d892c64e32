"""Our cycles and the peers', for people and for documents."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hil.studies.bench.peers.bench import Line, whole

if TYPE_CHECKING:
    from rich.table import Table

    from hil.studies.bench.peers.checkouts import Checkout

_NONE = "-"
_OURS = 3  # cells of MACs, cycles, cycles per MAC; then as many of each peer, cycles the first


def table(lines: Sequence[Line], checkouts: Sequence["Checkout"]) -> "Table":
    """Lay the steps out for a person, and each network as a whole.

    Args:
        lines: what was measured.
        checkouts: of the peers, a column each.
    """
    from rich import box
    from rich.table import Table

    said = "cycles per MAC, and times ours. " + " ".join(pedigree(lines, checkouts))
    out = Table(box=box.SIMPLE_HEAD, padding=0, caption=said, caption_justify="left")
    heads = ["", "MACs, M", "ours, M", "/MAC"]
    for head in [*heads, *(x for one in checkouts for x in (one.peer, "times"))]:
        out.add_column(head, justify="right" if head else "left", no_wrap=True)
    network = ""
    for line in _with_sums(lines):
        if line.network != network:
            network = line.network
            out.add_row(network)
        _, *cells = _cells(line)
        shown = [cell for i, cell in enumerate(cells) if i < _OURS or i % 3]  # in 80 columns
        out.add_row(f" {line.step}", *shown, end_section=line.step == "whole")
    return out


def markdown(lines: Sequence[Line], checkouts: Sequence["Checkout"]) -> str:
    """Write the table of docs/kernels.md, and what it was measured with.

    Args:
        lines: what was measured.
        checkouts: of the peers, a column each.
    """
    heads = _heads(checkouts)
    rows = [heads, ["---", *["--:"] * (len(heads) - 1)], *map(_cells, _with_sums(lines))]
    grid = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return "\n\n".join([grid, *pedigree(lines, checkouts)])


def pedigree(lines: Sequence[Line], checkouts: Sequence["Checkout"]) -> list[str]:
    """Say what was built by what, and how the outputs compare; a paragraph each.

    Args:
        lines: what was measured.
        checkouts: of the peers.
    """
    compiler = lines[0].compiler
    peers = " and ".join(map(str, checkouts))
    by = f"Ours by {compiler}; {peers}. Of each layer the table has a peer's fastest run: over its "
    said = [by + "kernels, its builds, and weights in flash and in CCM."]
    for checkout in checkouts:
        layers = [layer for line in lines for layer in line.layers[checkout.peer]]
        found = [layer.best for layer in layers if layer.best is not None]
        lacking = sum(layer.best is None for layer in layers)
        used = ", ".join(sorted({one.build for one in found}))
        share = max((one.different for one in found), default=0.0)
        off = max((one.off for one in found), default=0)
        said.append(
            f"{checkout.peer}: builds in the table {used or 'none'}; outputs off by {off} at most, "
            f"in up to {share:.1%} of a layer's values"
            + (f"; no kernel for {lacking} layers." if lacking else ".")
        )
    return said


def _with_sums(lines: Sequence[Line]) -> Iterator[Line]:
    for total in whole(lines):
        yield from (line for line in lines if line.network == total.network)
        yield total


def _heads(checkouts: Sequence["Checkout"]) -> list[str]:
    heads = ["step", "MACs, M", "ours, M", "/MAC"]
    for checkout in checkouts:
        heads += [f"{checkout.peer}, M", "/MAC", "times ours"]
    return heads


def _cells(line: Line) -> list[str]:
    cells = [f"{line.network} {line.step}", f"{line.macs / 1e6:.2f}", *_pair(line.ours, line.macs)]
    for peer in line.layers:
        cycles = line.cycles(peer)
        if cycles is None:
            cells += [_NONE] * 3
        else:
            cells += [*_pair(cycles, line.macs), f"{cycles / line.ours:.2f}"]
    return cells


def _pair(cycles: int, macs: int) -> tuple[str, str]:
    return f"{cycles / 1e6:.2f}", f"{cycles / macs:.2f}" if macs else _NONE
