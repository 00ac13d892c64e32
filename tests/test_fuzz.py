"""Damaged files of every kind are read or refused in words; `fuzzing.py` does so for hours."""

from pathlib import Path
from random import Random

import pytest
from fuzz_readers import READERS
from fuzzing import Outcome, Reader, fuzz, mutant

from hil.errors import UsageError

_MUTANTS = 200
_MANY = 3000


def _fuzz(name: str, folder: Path, *, seed: int, count: int) -> None:
    reader = READERS[name]
    outcome = fuzz(reader, folder, seed=seed, count=count // reader.cost)
    assert dict(outcome.escaped) == {}
    assert outcome.count == count // reader.cost
    assert outcome.refused > outcome.count // 10 if reader.refuses else outcome.read


@pytest.mark.parametrize("name", READERS)
def test_no_damaged_file_lets_an_exception_out(name: str, tmp_path: Path) -> None:
    _fuzz(name, tmp_path, seed=1, count=_MUTANTS)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", READERS)
def test_none_of_some_thousand_damaged_files_lets_an_exception_out(
    name: str, tmp_path: Path
) -> None:
    _fuzz(name, tmp_path, seed=2, count=_MANY)


def _seed(folder: Path) -> list[Path]:
    (folder / "numbers.txt").write_text("12 34 56", encoding="utf-8")
    return [folder / "numbers.txt"]


def _careless(path: Path) -> list[int]:
    return [int(word) for word in path.read_text(encoding="utf-8").split()]


def test_a_reader_that_lets_exceptions_out_is_found_with_the_place_and_a_mutant(
    tmp_path: Path,
) -> None:
    outcome = fuzz(Reader("careless", _careless, _seed), tmp_path, seed=0, count=100)
    assert {what.split()[0] for what in outcome.escaped} >= {"ValueError", "UnicodeDecodeError"}
    assert all("test_fuzz.py" in what for what in outcome.escaped if "ValueError" in what)
    assert len(outcome.example) == len(outcome.escaped)


def test_mutants_of_a_seed_are_the_same_in_every_run_and_differ_among_each_other() -> None:
    first, again = (
        [mutant(random, [b"name = 1\n"], is_text=True) for _ in range(50)]
        for random in (Random(3), Random(3))  # noqa: S311
    )
    assert first == again
    assert len(set(first)) > 40


def test_what_is_counted_is_all_that_was_tried(tmp_path: Path) -> None:
    def refuses(path: Path) -> None:
        if path.parent == tmp_path:
            raise UsageError("no")

    outcome: Outcome = fuzz(Reader("no", refuses, _seed), tmp_path, seed=0, count=20)
    assert (outcome.count, outcome.refused, outcome.read) == (20, 20, 0)


def test_an_answer_whose_example_is_no_text_is_refused(tmp_path: Path) -> None:
    answers = READERS["answers"]
    (path,) = answers.seeds(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace('"a.jpg"', "[1]"), encoding="utf-8")
    with pytest.raises(UsageError, match="is no answer"):
        answers.read(path)
