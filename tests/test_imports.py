"""Who may know whom: every import of the package, wherever it stands, against one table.

Imports are read from the sources, those under TYPE_CHECKING and inside functions too. A room is a
folder or a module of hil/; a room of the compiler is a folder or a module of hil/compiler.
"""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GROUND = {"errors", "extras", "files", "paths", "limits", "numbers"}
"""What anybody may know; of these, limits and extras know errors, limits paths too."""

COMPILER = {
    "program": set(),
    "integers": {"program"},
    "similarity": set(),
    "macs": set(),
    "operators": {"program", "integers", "similarity", "macs"},
    "front": {"program", "integers", "operators", "similarity", "code"},
    "code": {"program"},
    "kernels": {"program", "integers", "operators", "code"},
    "plan": {"program", "operators", "kernels", "code"},
    "emit": {"program", "operators", "kernels", "code", "plan"},
    "reference": {"program", "integers", "operators"},
    "equalise": {"program", "integers", "operators", "front", "similarity"},
    "sensitivity": {"program", "integers", "operators", "front", "similarity"},
    "quantise": {
        "program",
        "integers",
        "operators",
        "front",
        "similarity",
        "equalise",
        "sensitivity",
    },
    "auto": {
        "program",
        "integers",
        "operators",
        "front",
        "similarity",
        "quantise",
        "reference",
    },
    "synthetic": {"program", "integers", "operators", "front", "quantise"},
    "quality": {"program", "integers", "operators", "front", "similarity", "reference", "compiler"},
    "compiler": {
        "program",
        "front",
        "integers",
        "quantise",
        "auto",
    },  # compile_model, the way from model to program
}
"""What each room of the compiler knows of the others."""

KNOW_TORCH = {
    "front",
    "operators",
    "sensitivity",
    "quantise",
    "auto",
    "synthetic",
    "quality",
    "compiler",
}
"""Rooms of the compiler that look into float networks; what comes behind the program does not."""

FACES = {
    "plugin",
    "pytest_plugin",
    "fixtures",
    "options",
    "cli",
    "commands",
    "suite",
}
OUTSIDE_THE_COMPILER = {
    "errors": set(),
    "extras": {"errors"},
    "files": set(),
    "paths": set(),
    "numbers": set(),
    "limits": {"errors", "paths"},
    "vision": GROUND,
    "models": GROUND | {"vision"},
    "link": GROUND,
    "config": GROUND,
    "build": GROUND | {"config"},
    "targets": GROUND | {"config", "build"},
    "results": GROUND,
}
WHOLE_COMPILER = {"compiler", *(f"compiler.{room}" for room in COMPILER if room != "compiler")}
BELOW_RUN = {*OUTSIDE_THE_COMPILER, *WHOLE_COMPILER}


def allowed() -> dict[str, set[str]]:
    """The rooms that each room may import from."""
    table = {room: set(known) for room, known in OUTSIDE_THE_COMPILER.items()}
    for room, known in COMPILER.items():
        table[in_compiler(room)] = {in_compiler(one) for one in known} | GROUND
    for room in KNOW_TORCH:
        table[in_compiler(room)] |= {"models", "vision"}
    table["compiler.plan"].add("config")  # a budget is a board's memories
    table["run"] = BELOW_RUN
    table["studies"] = BELOW_RUN | {"run"}
    table["emulator"] = {"studies"}  # what the package offers for firmware of others
    faces = BELOW_RUN | {"run", "studies", "emulator"} | FACES | {"hil"}
    table |= dict.fromkeys(FACES, faces)
    table["hil"] = set()
    return table


def in_compiler(room: str) -> str:
    return "compiler" if room == "compiler" else f"compiler.{room}"


EXCEPTIONS: dict[tuple[str, str], str] = {}
"""Imports against the table that wait to be mended, each with its reason; one that is mended has to
leave the list."""


def modules() -> dict[str, Path]:
    files = sorted((ROOT / "hil").rglob("*.py"))
    return {name_of(path.relative_to(ROOT)): path for path in files}


def name_of(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, name: str, known: set[str]) -> Iterator[str]:
    """Modules of ours that a source imports, a name of a package as the module that it is."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node, path, name)
            found = [f"{base}.{alias.name}" for alias in node.names]
            found = [one if one in known else base for one in found]
        else:
            continue
        yield from (one for one in found if one.partition(".")[0] == "hil" and one != name)


def packages(path: Path) -> set[str]:
    """Top-level packages that a source imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found


def absolute(node: ast.ImportFrom, path: Path, name: str) -> str:
    if not node.level:
        return node.module or ""
    package = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def room_of(module: str) -> str:
    parts = module.split(".")
    if parts[1:2] == ["compiler"]:
        return ".".join(parts[1:3])
    return parts[1] if len(parts) > 1 else "hil"


MODULES = modules()


@cache
def all_imports() -> dict[str, set[str]]:
    """What each module imports of ours, told where it is asked: every worker reads this file."""
    return {name: set(imports(path, name, set(MODULES))) for name, path in MODULES.items()}


def test_every_room_is_in_the_table() -> None:
    assert {room_of(name) for name in MODULES} <= set(allowed())


def against_the_table(found: dict[str, set[str]]) -> set[tuple[str, str]]:
    table = allowed()
    return {
        (module, other)
        for module, others in found.items()
        for other in others
        if room_of(other) not in table[room_of(module)] | {room_of(module)}
    }


def circle(found: dict[str, set[str]]) -> list[str]:
    try:
        list(TopologicalSorter(found).static_order())
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_import_is_against_the_direction() -> None:
    against = against_the_table(all_imports())
    assert against - set(EXCEPTIONS) == set(), "imports against the table of this file"
    assert set(EXCEPTIONS) - against == set(), "mended: take them from the list"


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle(all_imports()) == []


@pytest.mark.parametrize(
    ("module", "other"),
    [
        ("hil.link.frames", "hil.run.judge"),
        ("hil.models.face", "hil.compiler.program"),
        ("hil.results.table", "hil.run.session"),
        ("hil.targets.base", "hil.run.measurement"),
        ("hil.run.session", "hil.studies.doctor"),
        ("hil.compiler.kernels.pool2d", "hil.compiler.plan.place"),
        ("hil.compiler.kernels.pool2d", "hil.models.blocks"),
        ("hil.compiler.operators.pool2d", "hil.compiler.front.trace"),
        ("hil.config.board", "hil.plugin"),
    ],
)
def test_an_import_against_the_direction_is_found(module: str, other: str) -> None:
    assert {module, other} <= set(MODULES)
    assert against_the_table({module: {other}}) == {(module, other)}


def test_a_circle_is_found() -> None:
    assert circle({"hil.a": {"hil.b"}, "hil.b": {"hil.c"}, "hil.c": {"hil.a"}}) != []


def test_the_table_itself_has_no_circle_below_the_faces() -> None:
    table = {room: known - {room} for room, known in allowed().items() if room not in FACES}
    list(TopologicalSorter(table).static_order())


def test_only_the_emulator_imports_unicorn() -> None:
    """Unicorn is GPL-2.0: the rest of the package works, and is licensed, without it."""
    those = {name for name, path in MODULES.items() if "unicorn" in packages(path)}
    assert those
    assert {name for name in those if not name.startswith("hil.targets.emulator.")} == set()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import hil.errors", {"hil.errors"}),
        ("from hil.errors import HilError", {"hil.errors"}),
        ("from hil import errors", {"hil.errors"}),
        ("def f():\n    from hil.run import judge", {"hil.run.judge"}),
        ("if TYPE_CHECKING:\n    from hil.run.judge import judge", {"hil.run.judge"}),
        ("from . import board", {"hil.config.board"}),
        ("from ..errors import HilError", {"hil.errors"}),
        ("import torch", set()),
    ],
)
def test_imports_are_read_wherever_they_stand(tmp_path: Path, source: str, found: set[str]) -> None:
    path = tmp_path / "scenario.py"
    path.write_text(source)
    assert set(imports(path, "hil.config.scenario", set(MODULES))) == found
