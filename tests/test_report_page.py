"""The report's page as a file: what it says and refers to, and whether it can be read."""

import base64
import gzip
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
import report_rows

from hil import cli
from hil.errors import Verdict
from hil.results import details, store, table
from hil.results.details import Span
from hil.results.report import beside, charts, markdown, page, subjects
from hil.results.report.charts import Dot
from hil.results.report.subjects import Subject
from hil.results.rows import Metric

CSS = (Path(page.__file__).parent / "page.css").read_text()
TEXT_ON = {
    "ink": ("page", "surface", "raised"),
    "muted": ("page", "surface", "raised", "bad-soft"),
    "accent": ("page", "surface"),
    "good": ("good-soft",),
    "bad": ("bad-soft",),
    "surface": ("input", "map", "working", "output"),  # names of buffers on their marks
    "page": ("good", "bad", "ink"),
}
MARKS = (
    *("issue", "load_store", "branch", "flash_code", "flash_data", "other", "quiet-mark"),
    *("input", "map", "working", "output", "line-strong", "accent"),
    *(f"owner-{number}" for number in range(5)),
)


def found(folder: Path) -> list[Subject]:
    csv = report_rows.write(folder)
    return subjects.gather(table.load(csv), csv, store.load_history(folder / "history"))


@pytest.fixture
def html(tmp_path: Path) -> str:
    subjects_found = found(tmp_path)
    return page.build(subjects_found, (tmp_path / "results.csv").read_text())


class Figures(HTMLParser):
    """Collects the marked figures, and every reference to something else."""

    def __init__(self) -> None:
        super().__init__()
        self.figures: list[tuple[str, str, float, str]] = []
        self.references: list[str] = []
        self._open: tuple[str, str, float] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.references += [given[name] for name in ("src", "href", "xlink:href") if name in given]
        if tag == "data":
            self._open = given["data-scenario"], given["data-metric"], float(given["value"])

    def handle_data(self, data: str) -> None:
        if self._open:
            self.figures.append((*self._open, data))
            self._open = None


def parsed(text: str) -> Figures:
    parser = Figures()
    parser.feed(text)
    return parser


def test_every_marked_figure_is_its_rows(html: str) -> None:
    values = {(r.context.scenario, r.metric.name): r.metric for r in report_rows.rows()}
    figures = parsed(html).figures
    assert len(figures) == 27
    for scenario, name, value, text in figures:
        metric = values[scenario, name]
        assert value == metric.value
        assert f"{text} {metric.unit}".strip() == subjects.shown(metric)


def test_the_page_refers_to_nothing_but_itself(html: str) -> None:
    outside = [r for r in parsed(html).references if not r.startswith(("#", "data:"))]
    assert outside == []
    assert not re.search(r"url\(|@import|https?://", html)


def test_the_verdict_comes_first_and_names_what_failed(html: str) -> None:
    header = html[html.index("<header") : html.index("</header>")]
    assert "2 of 3 scenarios fail" in header
    assert "latency" in header
    assert "limit 0.5 s" in header
    assert "the measurement ended early: sector &lt;3&gt; is protected" in header
    assert "small" not in re.sub(r"<small>.*?</small>", "", header)


def test_a_run_in_which_all_holds_says_so(tmp_path: Path) -> None:
    passing = [one for one in found(tmp_path) if one.name == "small"]
    assert "small passes" in page.build(passing, "")
    assert "Nothing was measured" in page.build([], "")


def test_names_of_rows_cannot_become_markup(html: str, tmp_path: Path) -> None:
    assert "<figure> &" not in html
    packed = html[html.index('id="csv">') + len('id="csv">') :].partition("<")[0]
    text = gzip.decompress(base64.b64decode(packed)).decode()
    assert text == (tmp_path / "results.csv").read_text()


def test_the_greatest_owners_of_each_memory_are_named_and_the_rest_is_counted(
    tmp_path: Path,
) -> None:
    (small,) = [one for one in found(tmp_path) if one.name == "small"]
    symbols = [Metric(f"flash.symbol.f{n}", 100 + n, "B", note=".text") for n in range(20)]
    buffers = [Metric("ram.buffer.heads.norms.2/ring", 512, "B", note="ccm")]
    more = {metric.name: metric for metric in [*symbols, *buffers]}
    html = page.build([replace(small, metrics=dict(small.metrics) | more)], "")
    given = [(name, value) for _, name, value, _ in parsed(html).figures if name in more]
    assert given == [
        *((f"flash.symbol.f{n}", 100 + n) for n in reversed(range(8, 20))),
        ("ram.buffer.heads.norms.2/ring", 512),
    ]
    assert '<td colspan="2">8 more</td>' in html
    assert f">{sum(100 + n for n in range(8)):,}</td>" in html


def test_a_run_without_details_is_shown_without_them(tmp_path: Path) -> None:
    csv = report_rows.write(tmp_path)
    (details.directory(csv) / "small.json").unlink()
    text = page.build(subjects.gather(table.load(csv), csv), csv.read_text())
    assert text.count("left no details") == 3
    assert "16,800,123" in text


def test_the_command_writes_the_page_beside_the_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    csv = report_rows.write(tmp_path)
    assert cli.main(["report", "--csv", str(csv)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'report.html'}\n"
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


def test_a_table_that_is_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["report", "--csv", str(tmp_path / "none.csv")]) == 2
    assert "none.csv" in capsys.readouterr().err


def test_history_ends_with_this_run(tmp_path: Path) -> None:
    small = next(one for one in found(tmp_path) if one.name == "small")
    assert small.past == (17_000_000, 16_900_000, 16_800_123)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_marks_have_the_contrast_that_wcag_asks_for(scheme: str) -> None:
    colours = palette(scheme)
    for text, grounds in TEXT_ON.items():
        for ground in grounds:
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for mark in MARKS:
        assert contrast(colours[mark], colours["surface"]) >= 3.0, mark


def palette(scheme: str) -> dict[str, str]:
    light, dark = (dict(re.findall(r"--([\w-]+): (#\w{6})", part)) for part in halves())
    return light if scheme == "light" else light | dark


def halves() -> tuple[str, str]:
    dark = CSS.index("prefers-color-scheme: dark")
    return CSS[:dark], CSS[dark : CSS.index("* { box-sizing")]


def contrast(a: str, b: str) -> float:
    """WCAG 2.2's contrast ratio of two colours."""
    lighter, darker = sorted((luminance(a), luminance(b)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    linear = []
    for at in (1, 3, 5):
        share = int(colour[at : at + 2], 16) / 255
        linear.append(share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4)
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_front_holds_those_that_no_other_beats() -> None:
    dots = [Dot("a", 1, 50, ""), Dot("b", 2, 60, ""), Dot("c", 3, 40, ""), Dot("d", 1, 49, "")]
    assert [dot.name for dot in charts.front(dots) if dot.best] == ["d", "c"]


def test_every_buffer_of_a_memory_map_says_what_it_is() -> None:
    svg = charts.memory_map(report_rows.DETAILS, "sram", charts.WIDE)
    said = re.findall(r'aria-label="([^"]*B at[^"]*)"', svg)
    assert sorted(said) == [
        "blocks.0/ring: 32,256 B at 76,800; step 2, blocks.0",
        "input: 76,800 B at 0; step 1, pool",
        "pool: 76,800 B at 0; steps 1 to 2, pool to blocks.0",
    ]


def test_a_buffers_name_stands_where_nothing_hides_it() -> None:
    buffer, over = Span("map", "sram", 0, 100, 0, 3), [Span("x", "sram", 0, 60, 0, 1)]
    place = charts.clear_part(buffer, over)
    assert (place.first, place.steps, place.low, place.high) == (2, 2, 0, 100)
    everywhere = [Span("x", "sram", 0, 60, 0, 3)]
    place = charts.clear_part(buffer, everywhere)
    assert (place.first, place.steps, place.low, place.high) == (0, 4, 60, 100)


def test_the_page_links_the_files_that_the_runs_have_left(tmp_path: Path) -> None:
    subjects_found = found(tmp_path)
    name = subjects_found[0].name
    folder = tmp_path / subjects_found[0].context.scenario
    folder.mkdir()
    (folder / "firmware.elf").write_bytes(b"")
    (folder / "outputs a.npy").write_bytes(b"")
    linked = beside.links(subjects_found, tmp_path, tmp_path / "out" / "page.html")
    assert [shown for shown, _ in linked[name]] == ["firmware.elf", "outputs a.npy"]
    html = page.build(subjects_found, "", None, linked)
    for _, address in linked[name]:
        assert f'<a href="{address}">' in html
        assert (tmp_path / "out" / unquote(address)).resolve().is_file()
    assert page.build(subjects_found, "").count("Files of this run") == 0


def test_a_regression_is_not_set_beside_the_limit_that_it_keeps(tmp_path: Path) -> None:
    worse = replace(report_rows.SMALL[5], verdict=Verdict.REGRESSION)
    (small, *_) = found(tmp_path)
    failing = replace(small, metrics={worse.name: worse})
    text = page.build([failing], "")
    header = text[text.index("<header") : text.index("</header>")]
    assert "regression" in header
    assert "limit" not in header
    assert markdown.explain(worse) == "[regression] ram.total is 161,884 B"
