"""`silicon-report.csv`: all that a check of one board found, to send back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from hil import files
from hil.errors import UsageError
from hil.results import table
from hil.results.rows import RunIdentity
from hil.studies.boards import ledger
from hil.studies.boards.check import Checked
from hil.studies.boards.finding import Finding
from hil.studies.boards.ledger import Entry
from hil.studies.boards.runs import Layer

FILE = "silicon-report.csv"
COLUMNS = (
    *("when", "commit", "version", "kind", "uid", "probe", "timing"),
    *("what", "name", "state", "value", "modelled", "difference", "unit", "detail"),
)


@dataclass(frozen=True)
class Report:
    """A board's check with what earlier runs on it have shown.

    Attributes:
        findings: of the check and of the runs.
        layers: that silicon and the model have both counted.
    """

    checked: Checked
    findings: tuple[Finding, ...]
    layers: tuple[Layer, ...]

    @property
    def entries(self) -> list[Entry]:
        """The ledger, filled in."""
        return ledger.fill(self.findings)


def write(report: Report, path: Path) -> None:
    """Write all of it as one table. Raises UsageError where the file cannot be written.

    Args:
        report: what was found.
        path: of the file.
    """
    identity, checked = RunIdentity.now(Path.cwd()), report.checked
    board = {
        "when": identity.when,
        "commit": identity.commit,
        "version": version("rnnpool-hil"),
        "kind": checked.unit.kind,
        "uid": checked.uid,
        "probe": checked.probe,
        "timing": checked.timing,
    }
    rows = [board | row for row in _rows(report)]
    try:
        files.replace(path, table.text(COLUMNS, rows))
    except OSError as error:
        raise UsageError(
            f"the report cannot be written: {error}", hint="choose another file with --report"
        ) from error


def _rows(report: Report) -> Iterator[dict[str, object]]:
    for entry in report.entries:
        yield _row("assumption", entry.assumption.name, str(entry.state), entry.detail)
    for one in report.findings:
        state = {True: "ok", False: "bad", None: "open"}[one.good]
        yield _row("look", one.name, state, one.detail) | _figures(
            one.value, one.modelled, one.difference, one.unit
        )
    for layer in report.layers:
        row = _row("layer", f"{layer.scenario} {layer.name}", "", f"{layer.part:+.3%}")
        yield row | _figures(layer.silicon, layer.modelled, layer.difference, "cycle")


def _row(what: str, name: str, state: str, detail: str) -> dict[str, object]:
    return {"what": what, "name": name, "state": state, "detail": detail} | _figures()


def _figures(
    value: float | None = None,
    modelled: float | None = None,
    difference: float | None = None,
    unit: str = "",
) -> dict[str, object]:
    return {"value": value, "modelled": modelled, "difference": difference, "unit": unit}


def gathered(checked: Checked, found: Sequence[Finding], layers: Sequence[Layer]) -> Report:
    """Put a check and what runs have shown together.

    Args:
        checked: by `hil boards check`.
        found: what runs on the board have shown.
        layers: that silicon and model have both counted.
    """
    return Report(checked, (*checked.findings, *found), tuple(layers))
