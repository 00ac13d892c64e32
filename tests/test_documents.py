"""README and docs print no measured figure outside of a mark, and no stale one inside."""

import re
from pathlib import Path

import documents
import pytest

from hil.run import sources
from hil.studies import printed, reproduce
from hil.studies.poolings import costs as poolings
from hil.studies.reproduce import State

ROOT = Path(__file__).parent.parent
DOCUMENTS = [path.relative_to(ROOT) for path in reproduce.documents(ROOT)]
BASELINE = ROOT / "baselines" / "stm32f439.csv"

GIVEN = {
    # the paper's figures; an image of 640x480 RGB; a memory of the part
    "README.md": ("10.45 s", "188 KB", "921,600 B", "64 KiB"),
    # an oscillator's tolerance, a fault that is planted, how long a port is waited for
    "docs/boards.md": ("5 %", "1 %", "5 s", "2 s", "3 s", "4 s"),
    # memories of the part; how long a debugger waits
    "docs/emulator.md": ("192 KiB", "64 KiB", "640 KiB", "2 ms"),
    "docs/glossary.md": ("64 KiB",),
    # times that a person asks for
    "docs/own-firmware.md": ("2.5 s", "30 s"),
    # sizes that follow from a map's shape
    "docs/kernels.md": ("76,800 B", "921,600 B", "12,544 B", "100,352 B"),
    # a memory, a map's size, a threshold and the paper's figures
    "docs/models.md": (
        *("16 KB", "192 KiB", "5 %", "250 KB", "33.68 KB", "0.6 points", "2.0 M"),
        *("10 B", "921,600 B"),
    ),
    # the protocol's own numbers
    "docs/protocol.md": (
        "0B",
        "8B",
        "1024 B",
        "20 B",
        "32 cycles",
        "1 s",
        "0.5 s",
        "32 KiB",
        "3 s",
    ),
    # what an option may cost, so that auto takes it
    "docs/quantisation.md": ("3 %", "4 KiB"),
    "docs/regressions.md": ("0.0001",),
    # Renode's memory, a quantum and time limits
    "docs/renode.md": ("256 KiB", "1 ms", "60 s", "30 s"),
    # tolerances and a threshold of ours
    "docs/results.md": ("5 %", "0.25 s", "64 B"),
    # Arm's documents
    "docs/timing.md": ("12 cycles", "17 cycles", "29 cycles"),
}
"""Numbers that no run measures, by document: of the paper, of a chip, of the design."""


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_no_measured_figure_is_printed_outside_of_a_mark(path: Path) -> None:
    given = set(GIVEN.get(path.as_posix(), ()))
    found = documents.unmarked(ROOT / path)
    unmarked = [f"{path}:{one.line}: {one.text}" for one in found if one.text not in given]
    assert unmarked == []
    assert given - {one.text for one in found} == set()  # what is no longer printed


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("It takes 80,672,550 cycles and 161,884 B.\n", ["80,672,550 cycles", "161,884 B"]),
        ("0.4801 s, -6.7 %, 43.1 dB, 201 M/s", ["0.4801 s", "-6.7 %", "43.1 dB", "201 M/s"]),
        ("a cosine of 0.99843", ["0.99843"]),
        ("| step | cycles, M |\n|---|--:|\n| pool | 32.91 |\n", ["32.91"]),
        ("| what | of |\n|---|---|\n| pool | 3 |\n", []),
        ("<!-- rows: value face_m4 latency -->0.4801 s<!-- end --> and 2 s", ["2 s"]),
        ("`hil cache prune --older-than 30 s`, version 0.17.0, m4-1, 3 bytes", []),
        ("    an example: 300 B\n\n```\n400 B\n```\n", []),
    ],
)
def test_a_figure_outside_of_marks_and_code_is_found(
    text: str, figures: list[str], tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    assert [one.text for one in documents.unmarked(page)] == figures


def test_figures_of_scenarios_are_those_of_the_baseline() -> None:
    known = printed.measured(sources.read(BASELINE))
    marks = [mark for path in DOCUMENTS for mark in reproduce.marks(ROOT / path)]
    of_rows = [mark for mark in marks if mark.source.startswith("rows:")]
    found = [reproduce.check(mark, known, slow=False) for mark in of_rows]
    assert len(found) > 10
    stale = [
        f"{one.mark.path.name}: {one.difference}"
        for one in found
        if one.body.strip() and one.state is State.STALE
    ]
    assert stale == []
    left = [one.mark.source for one in found if one.state is State.LEFT]
    assert left == [source for source in left if ".trained " in source], "a baseline has the rest"


def test_tests_that_are_said_to_hold_figures_exist() -> None:
    marks = [mark for path in DOCUMENTS for mark in reproduce.marks(ROOT / path)]
    held = {mark.source.removeprefix("held: ") for mark in marks if mark.source.startswith("held:")}
    assert held
    assert all((ROOT / name).is_file() for name in held)
    assert all(len(mark.source) > len("evidence: x") for mark in marks if "evidence" in mark.source)


def test_the_table_of_poolings_has_the_figures_of_the_baseline() -> None:
    known = printed.measured(sources.read(BASELINE))
    marks = [mark for path in DOCUMENTS for mark in reproduce.marks(ROOT / path)]
    (mark,) = [mark for mark in marks if mark.source == "hil poolings --markdown"]
    head, _, *lines = [line for line in mark.body.splitlines() if line.startswith("|")]
    heads = [cell.strip() for cell in head.split("|")]
    names = [scenario.name for scenario in poolings.scenarios("vww")]
    for name, line in zip(names, lines, strict=True):
        cells = dict(zip(heads, (cell.strip() for cell in line.split("|")), strict=True))
        value = {metric: one.value for metric, one in known[name].items()}
        wanted = {
            "s": f"{value['latency']:.3f}",
            "cycles, M": f"{value['cycles'] / 1e6:.1f}",
            "/MAC": f"{value['cycles'] / value['macs']:.2f}",
            "arena, B": f"{value['ram.arena']:,.0f}",
            "RAM, B": f"{value['ram.total']:,.0f}",
            "flash, B": f"{value['flash.total']:,.0f}",
            "cosine": f"{value['output.cosine']:.4f}",
        }
        stale = {head: (cells[head], now) for head, now in wanted.items() if cells[head] != now}
        assert stale == {}, f"{name}: hil reproduce --all --write {mark.path}"


def test_rules_of_the_emulated_board_name_tests_that_exist() -> None:
    """And every test of a rule stands in the table."""
    tests = ROOT / "tests"
    table = re.findall(r"\| `(test_\w+)` \|", (ROOT / "docs/emulator.md").read_text("utf-8"))
    known = {
        name
        for file in (*tests.glob("test_emulator_*.py"), tests / "test_option_bytes.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text("utf-8"), re.MULTILINE)
    }
    rules = re.findall(
        r"^def (test_\w+)", (tests / "test_emulator_rules.py").read_text("utf-8"), re.MULTILINE
    )
    assert len(table) == len(set(table))
    assert set(table) <= known
    assert set(rules) <= set(table)
