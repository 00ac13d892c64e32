"""The report's page in a real browser: it asks for nothing, reports no error, and works."""

import csv
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import report_rows
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from hil.results import store, table
from hil.results.report import page, subjects
from hil.results.report.against import Against, Change
from hil.results.rows import Metric, in_context

Scheme = Literal["light", "dark"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
DESK: ViewportSize = {"width": 1200, "height": 900}
PICTURE: ViewportSize = {"width": 1000, "height": 800}  # as docs/images/render.py has it
PHONE: ViewportSize = {"width": 375, "height": 800}
LONG = [
    Metric("cycles", 254_200_123, "cycle"),
    Metric("latency", 1.513, "s", 10.45, report_rows.PAPER),
    Metric("ram.total", 208_524, "B", 188_160, report_rows.PAPER),
    Metric("flash.total", 2_093_304, "B"),
    Metric("output.cosine", 0.99932, "", 1, "float PyTorch model", limit=0.995),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report_rows.write(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def report(results: Path) -> Path:
    history = store.load_history(results.parent / store.HISTORY)
    found = subjects.gather(table.load(results), results, history)
    path = results.with_name("report.html")
    page.write(page.build(found, results.read_text()), path)
    return path


def show(browser: Browser, report: Path) -> Page:
    shown = browser.new_page(viewport=DESK)
    shown.set_default_timeout(20_000)
    shown.goto(report.as_uri())
    return shown


@pytest.fixture
def desk(browser: Browser, report: Path) -> Iterator[Page]:
    shown = show(browser, report)
    yield shown
    shown.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("window", [DESK, PHONE], ids=["desk", "phone"])
def test_the_page_opens_without_an_error_a_request_or_a_sideways_scroll(
    browser: Browser, report: Path, scheme: Scheme, window: ViewportSize
) -> None:
    said: list[str] = []
    asked: list[str] = []
    shown = browser.new_page(viewport=window, color_scheme=scheme)
    shown.on("console", lambda message: said.append(message.text))
    shown.on("pageerror", lambda error: said.append(str(error)))
    shown.on("request", lambda request: asked.append(request.url))
    shown.goto(report.as_uri())
    for details in shown.query_selector_all("details"):
        details.evaluate("element => { element.open = true; }")
    width = shown.evaluate("document.documentElement.scrollWidth")
    ground = shown.evaluate("getComputedStyle(document.body).backgroundColor")
    shown.close()
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    assert width == window["width"]
    assert ground == {"light": "rgb(246, 247, 248)", "dark": "rgb(18, 21, 24)"}[scheme]


def test_no_column_of_the_table_at_a_glance_is_cut(browser: Browser, tmp_path: Path) -> None:
    """With all that a run can have: a long name, the paper's ratios, a baseline, a history."""
    name = "mnv2_rnnpool_w90"
    csv_file = tmp_path / "results.csv"
    small = in_context(report_rows.CONTEXT, report_rows.SMALL)
    table.write([*small, *in_context(replace(report_rows.CONTEXT, scenario=name), LONG)], csv_file)
    earlier = replace(report_rows.CONTEXT, run="20261101T120000-abcdef")
    for scenario in ("small", name):
        rows = in_context(replace(earlier, scenario=scenario), [Metric("cycles", 1, "cycle")])
        table.write(rows, tmp_path / "history" / f"{scenario}.csv")
    found = subjects.gather(
        table.load(csv_file), csv_file, store.load_history(tmp_path / store.HISTORY)
    )
    changes = [Change(scenario, "not in the baseline", False, ()) for scenario in ("small", name)]
    path = tmp_path / "report.html"
    page.write(page.build(found, "", Against("a baseline", "unchanged", changes)), path)
    shown = browser.new_page(viewport=PICTURE)
    shown.goto(path.as_uri())
    heads = shown.locator(".overview thead th").all_inner_texts()
    cut = shown.eval_on_selector(".overview", "e => e.scrollWidth - e.parentElement.clientWidth")
    shown.close()
    assert heads[-2:] == ["since the baseline", "cycles by run"]
    assert cut <= 0


def records(results: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(results.read_text().splitlines()))


def column(shown: Page, name: str) -> list[str]:
    heads = shown.locator("#all thead th").all_inner_texts()
    at = [head.split()[0] for head in heads].index(name) + 1
    cells = shown.locator(f"#all tbody tr:not([hidden]) td:nth-child({at})")
    return list(cells.all_inner_texts())


def test_the_table_shows_every_cell_as_the_csv_has_it(desk: Page, results: Path) -> None:
    for name in ("scenario", "metric", "value", "unit", "reference", "ratio", "limit", "verdict"):
        assert column(desk, name) == [record[name] for record in records(results)]
    assert desk.inner_text("#count") == f"{len(records(results))} of {len(records(results))} rows"


def test_figures_outside_the_table_equal_the_csv(desk: Page, results: Path) -> None:
    rows = {(r["scenario"], r["metric"]): float(r["value"]) for r in records(results)}
    figures = desk.eval_on_selector_all(
        "data", "all => all.map(d => [d.dataset.scenario, d.dataset.metric, d.value, d.innerText])"
    )
    assert {(scenario, metric) for scenario, metric, _, _ in figures} >= {
        ("small", "cycles"),
        ("small", "cycles.layer.pool"),
        ("big", "latency"),
    }
    for scenario, metric, value, text in figures:
        assert float(value) == rows[scenario, metric]
        assert float(text.replace(",", "")) == pytest.approx(rows[scenario, metric], rel=1e-3)


def test_the_table_sorts_by_number_both_ways_and_by_name(desk: Page) -> None:
    by_value = desk.locator("#all thead button", has_text="value")
    by_value.click()
    up = [float(value) for value in column(desk, "value")]
    by_value.click()
    down = [float(value) for value in column(desk, "value")]
    assert up == sorted(up)
    assert down == sorted(down, reverse=True)
    assert desk.locator("#all th[aria-sort=descending]").count() == 1
    desk.locator("#all thead button", has_text="scenario").click()
    assert column(desk, "scenario") == sorted(column(desk, "scenario"))


def test_the_table_is_filtered_by_words_and_by_limits(desk: Page) -> None:
    desk.fill("#filter", "small LAYER")
    assert column(desk, "metric") == ["cycles.layer.pool", "cycles.layer.blocks.0"]
    desk.fill("#filter", "")
    desk.check("#judged")
    assert "macs" not in column(desk, "metric")
    assert set(column(desk, "verdict")) == {"pass", "latency", "memory", "flash"}
    desk.fill("#filter", "nothing of this name")
    assert desk.inner_text("#count").startswith("0 of ")


def test_the_download_is_the_csv_to_the_byte(desk: Page, results: Path) -> None:
    with desk.expect_download() as waiting:
        desk.click("#download")
    assert Path(waiting.value.path()).read_bytes() == results.read_bytes()
    assert waiting.value.suggested_filename == "results.csv"


def test_a_buffer_says_what_it_is_under_the_pointer_and_from_the_keyboard(
    desk: Page,
) -> None:
    chart = desk.locator(".wide[aria-label='sram of small over the schedule']")
    marks = chart.locator("[data-mark]")
    assert marks.count() == 3
    chart.locator("[aria-label^='blocks.0/ring']").hover()
    assert desk.inner_text("#tip") == "blocks.0/ring: 32,256 B at 76,800; step 2, blocks.0"
    marks.nth(0).focus()
    desk.keyboard.press("ArrowRight")
    first = desk.inner_text("#tip")
    desk.keyboard.press("ArrowRight")
    assert desk.inner_text("#tip") != first
    desk.keyboard.press("Escape")
    assert not desk.is_visible("#tip")


def test_a_link_to_a_scenario_opens_it(desk: Page) -> None:
    place = desk.locator("details.subject", has_text="small").first
    place.evaluate("element => { element.open = false; }")
    desk.locator(".overview a", has_text="small").click()
    desk.wait_for_function("document.querySelector(location.hash).open")


def test_every_control_and_region_can_be_reached_and_has_a_name(desk: Page) -> None:
    desk.wait_for_selector("[data-mark]", state="attached")  # named by the page's script
    nameless = desk.evaluate(
        """() => [...document.querySelectorAll("a, button, input, [tabindex='0'], img, section")]
            .filter((e) => !(e.innerText || e.getAttribute("aria-label") || e.alt
                || e.getAttribute("aria-labelledby") || (e.labels && e.labels.length)))
            .map((e) => e.outerHTML.slice(0, 80))"""
    )
    assert nameless == []
    reached = set()
    for _ in range(60):
        desk.keyboard.press("Tab")
        reached.add(
            desk.evaluate(
                "document.activeElement.id || document.activeElement.getAttribute('class')"
            )
        )
    assert {"filter", "judged", "download", "skip"} <= reached
