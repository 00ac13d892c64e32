"""What GitHub's workflows show by themselves: a summary of the step, and lines at files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from hil.results.report import annotations, markdown, subjects
from hil.results.rows import Row

_SUMMARY = "GITHUB_STEP_SUMMARY"


def tell(rows: Sequence[Row], csv: Path, environment: Mapping[str, str]) -> list[str]:
    """Append the run to the step's summary, and return the annotations to print.

    Outside a workflow of GitHub it does neither.

    Args:
        rows: of the run.
        csv: where they stand.
        environment: of the process.
    """
    if environment.get("GITHUB_ACTIONS") != "true":
        return []
    found = subjects.gather(rows, csv)
    summary = environment.get(_SUMMARY)
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(markdown.render(found))
    return annotations.render(found).splitlines()
