"""The documents as a site: built strictly, every page in its menu, every command there is."""

import html
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import markdown
import pytest
import yaml
from test_ci_files import known_options

from hil import cli

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_PROGRAMS = ("hil", "pytest", "make", "pyocd")

_EXTENSIONS = ("admonition", "tables", "toc", "pymdownx.highlight", "pymdownx.superfences")
"""Of the site, as mkdocs.yml has them."""

_NEEDS = {
    r"hil (run|test|doctor|scenarios|plan|profile|quantise|models|detect|report)\b": "tests/",
    r"hil (emulate|survey|crosscheck|compare|import|new|mlperf-run)\b": "tests/",
    r"hil (evaluate|poolings|bisect|reproduce)\b": "tests/",
    r"hil boards (list|serve)\b": "tests/",
    r"hil boards (check|lock|unlock)\b": "a board on the desk; an emulated one in tests/",
    r"hil bench\b": "minutes; its parts in tests/test_bench_*.py and tests/test_soak.py",
    r"hil validate-timing\b": "checkouts of third parties",
    r"hil train\b": "minutes; an epoch of it in tests/",
    r"pytest .*--hil-target=(probe|renode)": "a board on the desk, or Renode",
    r"pytest .*--board=nucleo_f439zi": "a board on the desk",
    r"pytest .*(--hil-checkpoint|--hil-all|\w\.toml)": "files of the reader, or minutes",
    r"pytest (hil/|mytests/)": "make hil, the main job of CI; tests/test_fixtures.py",
    r"make (hil|test|slow|gate|baseline)\b": "CI",
    r"pyocd (list|gdbserver|load)\b": "tests/test_debug_port_commands.py",
}
"""Who runs a command of the documents, or what it needs that a test has not."""


def commands(page: Path) -> Iterator[str]:
    """Yield the commands in a page's blocks of code, without comments and prompts."""
    fence = ""
    for line in page.read_text(encoding="utf-8").splitlines():
        mark = re.match(r"^```(\w*)", line)
        if mark:
            fence = "" if fence else mark[1] or "text"
            continue
        is_shell = fence in {"console", "sh", "bash", "text"} or (not fence and line[:4] == "    ")
        words = line.strip().removeprefix("$ ").split(" ", 1)
        if is_shell and words[0] in _PROGRAMS and len(words) == 2:
            command = re.split(r"\s+#\s|\s{3,}|\s[>&|]", words[1])[0].strip()
            is_said = ":" in command.split(" ")[0]  # by a command, or a job's name in a CI file
            if not is_said and not command.startswith("on the board"):
                yield f"{words[0]} {command}"


TYPED = [(page.name, command) for page in PAGES for command in commands(page)]


@pytest.mark.parametrize(("page", "command"), TYPED, ids=lambda one: one)
def test_every_command_of_the_documents_exists(page: str, command: str) -> None:
    program, *words = shlex.split(command)
    if program == "hil" and words[0] == "test":
        program, words = "pytest", words[1:]
    if program == "hil":
        assert cli._parser().parse_args(words).command == words[0], page
    elif program == "pytest":
        named = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert named - {"--pyargs", "--board"} <= known_options(), page
    elif program == "make":
        assert f"\n{words[0]}: " in (ROOT / "Makefile").read_text(encoding="utf-8"), page


def test_every_command_of_the_documents_is_run_or_marked_why_not() -> None:
    assert len(TYPED) > 50
    unmarked = [one for one in TYPED if not any(re.match(need, one[1]) for need in _NEEDS)]
    assert unmarked == []
    unused = [need for need in _NEEDS if not any(re.match(need, one[1]) for one in TYPED)]
    assert unused == []


@pytest.mark.parametrize("page", PAGES, ids=lambda one: one.name)
def test_commands_are_shown_as_code(page: Path) -> None:
    """After a list, four spaces begin a paragraph of its last item and no code."""
    drawn = markdown.markdown(page.read_text(encoding="utf-8"), extensions=_EXTENSIONS)
    blocks = re.findall(r"<pre.*?</pre>", drawn, re.DOTALL)
    code = html.unescape(re.sub(r"<[^>]+>", "", "\n".join(blocks)))
    typed = [command.partition(" ")[2] for command in commands(page)]
    assert [command for command in typed if command not in code] == []


def test_every_page_stands_in_the_menu() -> None:
    menu = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]

    def pages(entries: list[dict[str, object]]) -> Iterator[str]:
        for entry in entries:
            for value in entry.values():
                yield from pages(value) if isinstance(value, list) else [str(value)]

    assert sorted(pages(menu)) == sorted(one.name for one in (ROOT / "docs").glob("*.md"))


def test_links_between_documents_lead_somewhere() -> None:
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            if "://" not in target and not target.startswith("mailto:"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.slow
def test_the_site_is_built_strictly(tmp_path: Path) -> None:
    command = ["-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    answer = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert (tmp_path / "site" / "pytest.html").is_file()
    front = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "fonts.googleapis" not in front
