"""Numbers printed in documents are held to what is measured."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import report_rows

from hil import cli
from hil.errors import UsageError
from hil.results import table
from hil.results.figures import gather
from hil.results.rows import Metric, in_context
from hil.studies import printed, reproduce
from hil.studies.reproduce import State

ROOT = Path(__file__).parent.parent
HEAD = f"| {' | '.join(printed.HEADS)} |"
PAGE = f"""# A page

It takes <!-- rows: value small latency -->0.1 s<!-- end --> and
<!-- rows: value gone latency -->9 s<!-- end -->.

<!-- rows: scenarios small gone -->

{HEAD}
|---|--:|--:|--:|--:|--:|--:|--:|--:|
| `small` | 0.100 | 16.8 | 10.0 | 0.16 | 109,056 | 161,884 | 161,376 | 0.9991 |
| `gone` | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 |

<!-- end -->
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    arena = Metric("ram.arena", 109_056, "B")
    table.write(in_context(report_rows.CONTEXT, [*report_rows.SMALL, arena]), tmp_path / "r.csv")
    return path


def run(page: Path, *options: str) -> int:
    return cli.main(["reproduce", str(page), "--csv", str(page.parent / "r.csv"), *options])


def test_what_is_true_is_fresh_and_what_was_not_measured_is_told(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(page) == 0
    value, gone, scenarios = capsys.readouterr().out.splitlines()
    assert value == f"fresh: {page}:3 rows: value small latency"
    assert gone == f"left out: {page}:4 rows: value gone latency (gone was not measured)"
    assert scenarios.startswith("fresh: ")
    assert scenarios.endswith("(1 of its 2 scenarios were not measured)")


def test_a_stale_number_is_named_shown_and_fails(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page.write_text(PAGE.replace("0.1 s", "0.2 s").replace("161,376", "161,377"))
    assert run(page) == 1
    text = capsys.readouterr().out
    assert f"stale: {page}:3 rows: value small latency" in text
    assert "-0.2 s\n+0.1 s" in text
    assert "-| `small` | 0.100 | 16.8 | 10.0 | 0.16 | 109,056 | 161,884 | 161,377 |" in text


def test_writing_puts_right_what_is_stale_and_nothing_else(page: Path) -> None:
    page.write_text(PAGE.replace("0.1 s", "0.2 s").replace("161,376", "161,377"))
    assert run(page, "--write") == 0
    assert page.read_text() == PAGE


def test_a_commands_output_is_made_anew_only_where_asked_for(page: Path) -> None:
    page.write_text("<!-- hil --version -->\n\nhil 0\n\n<!-- end -->\n")
    assert run(page) == 0
    assert run(page, "--all") == 1
    assert run(page, "--all", "--write") == 0
    assert run(page, "--all") == 0


def test_a_command_that_fails_is_told(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page.write_text("<!-- hil plan no_such_scenario -->x<!-- end -->")
    assert run(page, "--all") == 2
    assert "hil plan no_such_scenario ended with status 2" in capsys.readouterr().err


@pytest.mark.parametrize("source", ["rows: value small", "rows: nothing x", "rows: scenarios"])
def test_a_mark_that_nothing_knows_is_refused(page: Path, source: str) -> None:
    page.write_text(f"<!-- {source} -->x<!-- end -->")
    (mark,) = reproduce.marks(page)
    with pytest.raises(UsageError, match="no mark that is known"):
        reproduce.check(mark, {}, slow=False)


def test_counts_of_instructions_do_not_pass_for_time() -> None:
    context = replace(
        report_rows.CONTEXT, timing="instructions", rules="instructions", fingerprint=""
    )
    assert printed.measured(gather(in_context(context, report_rows.SMALL))) == {}


def test_figures_of_trained_weights_are_measured_where_a_checkpoint_is_given(
    page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = page.parent / "small.pth"
    checkpoint.write_bytes(b"")
    page.write_text("<!-- rows: value small.trained latency -->9 s<!-- end -->")
    assert run(page) == 0
    assert "left out" in capsys.readouterr().out
    asked: list[str] = []

    def suite(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.extend(command)
        (csv,) = (word.removeprefix("--hil-csv=") for word in command if "--hil-csv=" in word)
        table.write(in_context(report_rows.CONTEXT, report_rows.SMALL), Path(csv))
        return subprocess.CompletedProcess(command, 1, "a limit is not kept")

    monkeypatch.setattr(subprocess, "run", suite)
    assert run(page, f"--trained=small={checkpoint}") == 1
    assert {"--hil-scenario=small", f"--hil-checkpoint={checkpoint}"} <= set(asked)
    assert "stale" in capsys.readouterr().out
    assert run(page, f"--trained=small={checkpoint}", "--write") == 0
    assert ">0.1 s<" in page.read_text()


def test_what_cannot_be_measured_with_trained_weights_is_told(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="face_m4 is no SCENARIO=CHECKPOINT"):
        reproduce.trained("face_m4")
    with pytest.raises(UsageError, match=r"no checkpoint nowhere\.pth"):
        reproduce.trained("face_m4=nowhere.pth")

    def silent(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 4, "unknown scenario")

    monkeypatch.setattr(subprocess, "run", silent)
    with pytest.raises(UsageError, match="was not measured:\nunknown scenario"):
        reproduce.trained(f"face_m5={page}")


def test_every_mark_of_this_projects_documents_is_known() -> None:
    marks = [mark for path in reproduce.documents(ROOT) for mark in reproduce.marks(path)]
    states = {mark.source: reproduce.check(mark, {}, slow=False).state for mark in marks}
    assert states["metrics"] is State.FRESH
    assert states["hil poolings --markdown"] is State.LEFT
    assert states["rows: value face_m4 latency"] is State.LEFT
    assert sum("<!-- " in path.read_text() for path in reproduce.documents(ROOT)) >= 3
    comments = sum(path.read_text().count("<!-- ") for path in reproduce.documents(ROOT))
    assert comments == 2 * len(marks)  # each has its end, and none is misspelt


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_mark_has_its_end(page: Path) -> None:
    text = re.sub(
        r"^```.*?^```$|`[^`\n]*`",
        "",
        page.read_text(encoding="utf-8"),
        flags=re.DOTALL | re.MULTILINE,
    )
    marks = [words == "end" for words in re.findall(r"<!-- (.*?) -->", text, flags=re.DOTALL)]
    assert marks == [False, True] * (len(marks) // 2)


def test_documents_without_a_marked_figure_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").touch()
    assert cli.main(["reproduce"]) == 2
    assert "no figure is marked in README.md or docs/*.md" in capsys.readouterr().err
