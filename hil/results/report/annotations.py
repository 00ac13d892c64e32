"""What failed, as GitHub's workflow commands: each stands at the scenario's file in the change.

Source: docs.github.com, "Workflow commands for GitHub Actions".
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from hil.results.report.against import Against
from hil.results.report.markdown import explain
from hil.results.report.subjects import Subject

_FOLDER = Path("scenarios")


def render(
    found: Sequence[Subject],
    against: Against | None = None,
    files: Mapping[str, Path] | None = None,
) -> str:
    """Write one `::error` for each thing that failed, one `::warning` for what else moved.

    Args:
        found: the run's scenarios.
        against: what moved against a baseline.
        files: of the scenarios by name; others are looked for in `scenarios/`.
    """
    known = files or {}
    lines = [
        _command("error", known.get(one.name), one.name, str(metric.verdict), explain(metric))
        for one in found
        for metric in one.failures
    ]
    for change in against.changes if against else ():
        level = "error" if change.is_worse else "warning"
        lines += [
            _command(level, known.get(change.scenario), change.scenario, change.outcome, line)
            for line in change.lines
        ]
    return "".join(f"{line}\n" for line in lines)


def _command(level: str, file: Path | None, scenario: str, what: str, text: str) -> str:
    path = file or _FOLDER / f"{scenario}.toml"
    place = f"file={_property(path.as_posix())}," if path.is_file() else ""
    return f"::{level} {place}title={_property(f'{scenario}: {what}')}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
