"""Docstrings: every public function says what each of its arguments is."""

import ast
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parent.parent / "hil"
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


def untold(root: Path) -> list[str]:
    """Return the public functions of two arguments or more that do not name their arguments."""
    trees = {path: ast.parse(path.read_text("utf-8")) for path in sorted(root.rglob("*.py"))}
    known = Known(trees.values())
    found = []
    for path, tree in trees.items():
        classes = [one for one in tree.body if isinstance(one, ast.ClassDef)]
        shown = [one for one in classes if not one.name.startswith("_")]
        owners: list[ast.Module | ast.ClassDef] = [tree, *shown]
        for owner in owners:
            name = owner.name if isinstance(owner, ast.ClassDef) else ""
            functions = [one for one in owner.body if isinstance(one, ast.FunctionDef)]
            for one in functions:
                hidden = one.name.startswith("_") or known.overrides(name, one.name)
                taken = one.args.posonlyargs + one.args.args + one.args.kwonlyargs
                count = sum(argument.arg not in {"self", "cls"} for argument in taken)
                if count >= 2 and not hidden and "Args:" not in (ast.get_docstring(one) or ""):
                    found.append(f"{path.relative_to(root).as_posix()}:{one.name}")
    return found


def test_every_public_function_names_its_arguments() -> None:
    found = untold(ROOT)
    assert [one for one in found if one.partition(":")[0] not in LEFT] == []
    assert {one.partition(":")[0] for one in found} == {*LEFT}  # no file is left out for nothing


def test_a_function_that_does_not_is_found_and_an_override_is_not(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(
        "class Base:\n    def go(self, a, b):\n        'Go.'\n"
        "class Below(Base):\n    def go(self, a, b):\n        'Go on.'\n"
        "def told(a, b):\n    'Tell.\\n\\nArgs:\\n    a: one.\\n    b: other.'\n"
    )
    assert untold(tmp_path) == ["one.py:go"]


def test_no_docstring_leans_on_another() -> None:
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                told = (ast.get_docstring(node) or "").strip()
                assert told not in {"Those functions.", "The same.", "As above."}, path
