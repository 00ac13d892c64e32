"""What `hil evaluate` prints: tables of figures, and the same as CSV."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hil.run.evaluation.scores import Figure, Scores

if TYPE_CHECKING:
    from rich.table import Table


_WHOSE = ("float", "integers")


def table(scores: Scores) -> "Table":
    """Lay the figures out for a person: float, integers, what these lose."""
    from rich import box
    from rich.table import Table

    out = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    out.add_column("figure")
    for heading in ("float", "integers", "lost, points", "standard error"):
        out.add_column(heading, justify="right")
    for figure in scores.figures:
        out.add_row(figure.name, *_cells(figure))
    return out


def _cells(figure: Figure) -> tuple[str, ...]:
    shares = (figure.of_float, figure.of_integers, figure.drop, figure.standard_error)
    return tuple(f"{100 * share:.2f}" for share in shares)


def facts(scores: Scores) -> list[str]:
    """Say in sentences how the figures came about."""
    least, most = scores.sqnr_db[1], scores.clipped[1]
    noise = f"outputs' SQNR {scores.sqnr_db[0]:.1f} dB, least {least:.1f} dB"
    clipped = f"clipped {scores.clipped[0]:.2%}, most {most:.2%}"
    lines = [f"{scores.photographs:,} photographs; {noise}; {clipped}"]
    if scores.on_board:
        verdict = f"{scores.mismatches:,} outputs differ" if scores.mismatches else "all equal"
        lines.append(f"{scores.on_board:,} on the board: {verdict} (integer reference)")
    lines += [f"not answered: {name}: {error}" for name, error in scores.failed]
    return lines


def confusion_tables(scores: Scores, classes: Sequence[str]) -> "list[Table]":
    """Lay out how often each class is taken for each, by float and by integers; none to detect.

    Args:
        scores: the figures.
        classes: their names, in the network's order.
    """
    from rich import box
    from rich.table import Table

    tables = []
    for whose, accuracy in zip(_WHOSE, scores.confusion or (), strict=False):
        title = f"answers, {whose}"
        out = Table("label", *classes, box=box.SIMPLE_HEAD, pad_edge=False, title=title)
        for name, counts in zip(classes, accuracy.confusion, strict=True):
            out.add_row(name, *(f"{int(count):,}" for count in counts))
        tables.append(out)
    return tables


def write_confusion(scores: Scores, classes: Sequence[str], path: Path) -> None:
    """Write how often each class is taken for each as CSV, for classification.

    Args:
        scores: the figures.
        classes: their names, in the network's order.
        path: of the file.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "answer", *_WHOSE])
        if scores.confusion is None:
            return
        of_float, of_integers = scores.confusion
        for i, label in enumerate(classes):
            for j, answer in enumerate(classes):
                counts = (of_float.confusion[i, j], of_integers.confusion[i, j])
                writer.writerow([label, answer, *map(int, counts)])


def write_figures(scores: Scores, path: Path) -> None:
    """Write the figures as CSV; shares are 0 to 1.

    Args:
        scores: the figures.
        path: of the file.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["figure", "float", "integers", "drop", "standard_error"])
        for f in scores.figures:
            writer.writerow([f.name, f.of_float, f.of_integers, f.drop, f.standard_error])
        writer.writerow(["sqnr_db.mean", "", scores.sqnr_db[0], "", ""])
        writer.writerow(["sqnr_db.least", "", scores.sqnr_db[1], "", ""])
        writer.writerow(["clipped.mean", "", scores.clipped[0], "", ""])
        writer.writerow(["clipped.most", "", scores.clipped[1], "", ""])
