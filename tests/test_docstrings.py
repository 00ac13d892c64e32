"""Docstrings: every public function says what each of its arguments is."""

import ast
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "hil"
PUBLIC = ("config", "run", "results", "link", "vision", "build", "errors.py", "files.py")
"""Parts of which every public function names its arguments: what users and studies call."""

LEAST = 0.95
"""The share of public functions, in all parts, that name them."""

LEFT = {
    "plugin.py": "pytest says what hooks get, and fixtures are asked for by name",
    "pytest_plugin/baselines.py": "pytest's hooks, and fixtures",
    "pytest_plugin/outcomes.py": "pytest's hooks",
    "suite/test_scenario.py": "a test",
    "targets/emulator/probe.py": "methods of pyOCD's DebugProbe, which says what they are given",
}
"""Files whose functions get what others define, and why they need not say it."""


class Known:
    """The classes of the package, to find what a method overrides."""

    def __init__(self, trees: Iterable[ast.Module]) -> None:
        found = [one for tree in trees for one in ast.walk(tree) if isinstance(one, ast.ClassDef)]
        self.bases: dict[str, set[str]] = defaultdict(set)  # classes of one name count as one
        self.methods: dict[str, set[str]] = defaultdict(set)
        for one in found:
            self.bases[one.name] |= {_name(base) for base in one.bases} - {one.name}
            self.methods[one.name] |= {
                part.name for part in one.body if isinstance(part, ast.FunctionDef)
            }

    def overrides(self, owner: str, method: str) -> bool:
        """Whether a class of ours above this one has the method, and so says what it is given."""
        above = [base for base in self.bases.get(owner, ()) if base in self.methods]
        return any(method in self.methods[one] or self.overrides(one, method) for one in above)


def _name(base: ast.expr) -> str:
    while isinstance(base, ast.Subscript | ast.Attribute):
        base = base.value if isinstance(base, ast.Subscript) else ast.Name(base.attr)
    return base.id if isinstance(base, ast.Name) else ""


@dataclass(frozen=True)
class Function:
    """A public function of two arguments or more.

    Attributes:
        place: its file and name.
        told: whether it names its arguments.
    """

    place: str
    told: bool


def functions(root: Path) -> list[Function]:
    """Return the public functions of two arguments or more, but for those that override."""
    trees = {path: ast.parse(path.read_text("utf-8")) for path in sorted(root.rglob("*.py"))}
    known = Known(trees.values())
    found = []
    for path, tree in trees.items():
        classes = [one for one in tree.body if isinstance(one, ast.ClassDef)]
        shown = [one for one in classes if not one.name.startswith("_")]
        owners: list[ast.Module | ast.ClassDef] = [tree, *shown]
        for owner in owners:
            name = owner.name if isinstance(owner, ast.ClassDef) else ""
            for one in (part for part in owner.body if isinstance(part, ast.FunctionDef)):
                hidden = one.name.startswith("_") or known.overrides(name, one.name)
                taken = one.args.posonlyargs + one.args.args + one.args.kwonlyargs
                count = sum(argument.arg not in {"self", "cls"} for argument in taken)
                if count >= 2 and not hidden:
                    place = f"{path.relative_to(root).as_posix()}:{one.name}"
                    found.append(Function(place, "Args:" in (ast.get_docstring(one) or "")))
    return found


@pytest.fixture(scope="module")
def ours() -> list[Function]:
    return functions(ROOT)


def test_public_functions_name_their_arguments(ours: list[Function]) -> None:
    told = [one.told for one in ours if one.place.partition(":")[0] not in LEFT]
    silent = [one.place for one in ours if not one.told]
    assert sum(told) >= LEAST * len(told), f"name the arguments of some of these: {silent}"


@pytest.mark.parametrize("part", PUBLIC)
def test_every_function_of_these_parts_names_its_arguments(part: str, ours: list[Function]) -> None:
    assert not [one.place for one in ours if one.place.startswith(part) and not one.told]


def test_no_file_is_left_out_for_nothing(ours: list[Function]) -> None:
    assert {*LEFT} <= {one.place.partition(":")[0] for one in ours if not one.told}


def test_a_function_that_does_not_is_found_and_an_override_is_not(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(
        "class Base:\n    def go(self, a, b):\n        'Go.'\n"
        "class Below(Base):\n    def go(self, a, b):\n        'Go on.'\n"
        "def told(a, b):\n    'Tell.\\n\\nArgs:\\n    a: one.\\n    b: other.'\n"
    )
    assert {*functions(tmp_path)} == {Function("one.py:go", False), Function("one.py:told", True)}


def test_no_docstring_leans_on_another() -> None:
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                told = (ast.get_docstring(node) or "").strip()
                assert told not in {"Those functions.", "The same.", "As above."}, path
