"""Draw what a command prints as the SVG pictures of the README: python docs/images/render.py."""

import io
import re
import subprocess
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

HERE = Path(__file__).parent
PICTURES = {
    "summary": ["pytest", "-q", "hil/", "--board=stm32f439"],
    "profile": ["hil", "profile", "face_m4"],
    "plan": ["hil", "plan", "face_m4"],
}
_DEADLINE_S = 600
_REMOTE_FONTS = re.compile(r"@font-face \{.*?\}", re.DOTALL)


def draw(name: str, command: list[str]) -> None:
    """Run a command from the project's root and keep its output as docs/images/<name>.svg."""
    answer = subprocess.run(
        command,
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        timeout=_DEADLINE_S,
        check=True,
    )
    console = Console(record=True, width=100, file=io.StringIO())
    console.print(Text(f"$ {' '.join(command)}", style="bold"))
    console.print(Text.from_ansi(answer.stdout.rstrip()))
    svg = console.export_svg(title="rnnpool-hil", theme=MONOKAI)
    (HERE / f"{name}.svg").write_text(_REMOTE_FONTS.sub("", svg), encoding="utf-8")


if __name__ == "__main__":
    for name, command in PICTURES.items():
        draw(name, command)
