"""`hil new`: a project of one's own to begin with."""

import argparse
from pathlib import Path

from hil import __version__
from hil.commands.options import Commands, command
from hil.errors import UsageError
from hil.paths import TEMPLATES

_DOT = "dot_"  # stands for the dot of a hidden file's name
_SUFFIX = ".in"  # keeps tools from taking a template for what it becomes
_EXAMPLES = """\
examples:
  hil new my_project                   a folder with a network, a scenario, tests and CI
  cd my_project && pytest              runs it on the emulated board
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "new",
        _run,
        "write a project to begin with: a network, a scenario, tests, CI",
        epilog=_EXAMPLES,
    )
    parser.add_argument("directory", type=Path, help="the project's folder, new or empty")


def _run(options: argparse.Namespace) -> int:
    directory: Path = options.directory
    for path in write(directory):
        print(path)
    print(f"next: cd {directory} && pytest")
    return 0


def write(directory: Path) -> list[Path]:
    """Write the project.

    Args:
        directory: new or empty; its name is the project's.

    Returns:
        The files.

    Raises:
        UsageError: the directory holds something, or cannot be written to.
    """
    root = TEMPLATES / "project"
    words = {"@NAME@": directory.resolve().name, "@VERSION@": __version__}
    written = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise UsageError(f"{directory} is not empty", hint="name a new folder")
        for template in sorted(root.rglob(f"*{_SUFFIX}")):
            parts = template.relative_to(root).parts
            named = [
                part.replace(_DOT, ".", 1) if part.startswith(_DOT) else part for part in parts
            ]
            path = directory.joinpath(*named).with_name(named[-1].removesuffix(_SUFFIX))
            text = template.read_text(encoding="utf-8")
            for word, meaning in words.items():
                text = text.replace(word, meaning)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(path)
    except OSError as error:
        raise UsageError(f"{directory} cannot be written to: {error}") from error
    return written
