"""Draw what commands print as the pictures of the README, and measure its table of poolings.

python docs/images/render.py             all of them
python docs/images/render.py poolings    only this: some minutes; README.md gets the new table
python docs/images/render.py report      two parts of the page of build/hil/, that `make hil` leaves
"""

import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

if TYPE_CHECKING:
    from playwright.sync_api import Page, ViewportSize

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PICTURES = {
    "summary": ["pytest", "-q", "hil/", "--board=stm32f439"],
    "profile": ["hil", "profile", "face_m4"],
    "plan": ["hil", "plan", "face_m4"],
}
AS_TEXT = {"summary"}
"""Pictures that the package's page at an index shows as text."""

POOLINGS = ["hil", "poolings", "--markdown", "--svg", str(HERE / "poolings.svg")]
SCHEDULES = ["hil", "plan", "face_m4", "--pareto", "--svg", str(HERE / "schedules.svg")]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WINDOW: "ViewportSize" = {
    "width": 1000,
    "height": 800,
}  # pixels, of which a photograph has two each way
_CARD = "#s-face_m4-emulator-zig"
PHOTOGRAPHS: dict[str, tuple[Literal["light", "dark"], str, str]] = {
    "report": ("light", "header", "#pareto-title"),
    "report-dark": ("dark", _CARD, f"{_CARD} .card h4:has-text('CCM over the schedule')"),
}
"""Of the report's page: colours, the element a picture begins at, and the first below it."""

_MARGIN = 20  # pixels above an element
_TABLE = re.compile(r"(<!-- hil poolings --markdown -->\n).*?\n?(<!-- end -->)", re.DOTALL)
_DEADLINE_S = 1200
_COLUMNS = 82  # of a terminal of 80, and two more that keep the last from the frame
_OF_WORKERS = re.compile(r"^bringing up nodes\.\.\.\n", re.MULTILINE)  # pytest-xdist's own
_REMOTE_FONTS = re.compile(r"@font-face \{.*?\}", re.DOTALL)


def answer(command: list[str]) -> str:
    """Run a command from the project's root; return what it prints."""
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=_DEADLINE_S, check=True
    )
    return done.stdout.rstrip()


def draw(name: str, command: list[str]) -> None:
    """Keep a command's output as docs/images/<name>.svg."""
    console = Console(record=True, width=_COLUMNS, file=io.StringIO())
    console.print(Text(f"$ {' '.join(command)}", style="bold"))
    said = _OF_WORKERS.sub("", answer(command))
    console.print(Text.from_ansi(said))
    if name in AS_TEXT:
        (HERE / f"{name}.txt").write_text(f"$ {' '.join(command)}\n{said}\n", encoding="utf-8")
    svg = console.export_svg(title="rnnpool-hil", theme=MONOKAI)
    (HERE / f"{name}.svg").write_text(_REMOTE_FONTS.sub("", svg), encoding="utf-8")


def photograph_report() -> None:
    """Keep two parts of the last run's page: its head, light, and a scenario's card, dark."""
    from playwright.sync_api import sync_playwright

    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit("no Chromium on this machine (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = Path(folder) / "report.html"
        answer(["hil", "report", "--out", str(page)])
        opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for name, (scheme, begin, end) in PHOTOGRAPHS.items():
            tab = opened.new_page(viewport=WINDOW, color_scheme=scheme, device_scale_factor=2)
            tab.goto(page.as_uri())
            tab.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
            top, bottom = (_top(tab, selector) for selector in (begin, end))
            clip = {"x": 0, "y": top, "width": WINDOW["width"], "height": bottom - top}
            picture = HERE / f"{name}.png"
            tab.screenshot(path=picture, clip=clip, full_page=True)
            _fewer_colours(picture)
            tab.close()
        opened.close()


def _top(tab: "Page", selector: str) -> float:
    """Return where an element begins on the page, in pixels from its top, less a margin."""
    box = tab.locator(selector).first.bounding_box()
    if box is None:
        raise SystemExit(f"the page of the last run has no {selector}: run all scenarios first")
    return max(0, box["y"] - _MARGIN)


def _fewer_colours(picture: Path) -> None:
    from PIL import Image

    with Image.open(picture) as shot:
        few = shot.convert("RGB").quantize(256)
    few.save(picture, optimize=True)


def measure_poolings() -> None:
    """Draw the chart of poolings, and put their table between its marks in docs/models.md."""
    page = ROOT / "docs" / "models.md"
    table = answer(POOLINGS)
    text, count = _TABLE.subn(
        lambda found: f"{found[1]}\n{table}\n\n{found[2]}", page.read_text(encoding="utf-8")
    )
    if count != 1:
        raise SystemExit(f"{page} has no place, or several, for the table of poolings")
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    others = {
        "schedules": lambda: answer(SCHEDULES),
        "poolings": measure_poolings,
        "report": photograph_report,
    }
    asked = sys.argv[1:] or [*PICTURES, *others]
    for name in asked:
        if name in others:
            others[name]()
        elif name in PICTURES:
            draw(name, PICTURES[name])
        else:
            raise SystemExit(f"no picture {name!r}; there are {', '.join([*PICTURES, *others])}")
