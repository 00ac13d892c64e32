"""Docstrings: what users and studies call says what each of its arguments is."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "hil"
PUBLIC = ("config", "run", "results", "link", "vision", "build", "errors.py", "files.py")
"""Parts whose public functions name all their arguments."""

LEAST = 270
"""Functions of two arguments or more, in all parts, that name them: none may be lost."""


def functions(part: Path) -> Iterator[tuple[str, bool]]:
    """Yield each public function of two arguments or more, and whether it names them."""
    for path in sorted(part.rglob("*.py")) if part.is_dir() else [part]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        classes = [one for one in tree.body if isinstance(one, ast.ClassDef)]
        owners: list[ast.Module | ast.ClassDef] = [tree, *classes]
        for owner in owners:
            if isinstance(owner, ast.ClassDef) and owner.name.startswith("_"):
                continue
            for one in owner.body:
                if isinstance(one, ast.FunctionDef) and not one.name.startswith("_"):
                    taken = one.args.posonlyargs + one.args.args + one.args.kwonlyargs
                    count = sum(argument.arg not in {"self", "cls"} for argument in taken)
                    if count >= 2:
                        told = ast.get_docstring(one) or ""
                        yield f"{path.relative_to(ROOT)}:{one.name}", "Args:" in told


@pytest.mark.parametrize("part", PUBLIC)
def test_every_public_function_names_its_arguments(part: str) -> None:
    found = dict(functions(ROOT / part))
    assert not [name for name, named in found.items() if not named]


def test_arguments_that_are_named_stay_named() -> None:
    assert sum(named for _, named in functions(ROOT)) >= LEAST


def test_no_docstring_leans_on_another() -> None:
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                told = (ast.get_docstring(node) or "").strip()
                assert told not in {"Those functions.", "The same.", "As above."}, path
