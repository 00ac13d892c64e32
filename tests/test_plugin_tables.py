"""Which runs take away the table of an earlier one: those that ask for one of their own."""

from pathlib import Path

import pytest

from hil import paths


def test_a_run_that_ends_in_a_usage_error_leaves_no_table_of_an_earlier_one(
    pytester: pytest.Pytester,
) -> None:
    csv = pytester.path / "results.csv"
    csv.write_text("rows of yesterday")
    options = ("--hil-scenario=face_m5", f"--hil-csv={csv}")
    result = pytester.runpytest_subprocess("--pyargs", "hil.suite", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert not csv.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--pyargs", "hil.suite", "--an-unknown-option"),
        (str(Path(paths.__file__).parent / "suite"), "--an-unknown-option"),
        ("--board=stm32f439", "--hil-iterations=many"),
        ("--hil-csv", "other.csv", "--hil-xyz"),
        ("--hil-csv=other.csv", "--hil-toolchain=cc"),
    ],
)
def test_a_run_that_pytest_refuses_leaves_no_table_of_an_earlier_one(
    pytester: pytest.Pytester, arguments: tuple[str, ...]
) -> None:
    usual, other = pytester.path / paths.RESULTS, pytester.path / "other.csv"
    usual.parent.mkdir(parents=True)
    for csv in (usual, other):
        csv.write_text("rows of yesterday")
    result = pytester.runpytest_inprocess(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    named_other = any("other.csv" in one for one in arguments)
    assert (usual.exists(), other.exists()) == (named_other, not named_other)


@pytest.mark.parametrize(
    "arguments",
    [("--an-unknown-option",), ("--version", "--board=stm32f439"), ("no_such_file.py",)],
)
def test_what_asks_nothing_of_the_harness_leaves_its_table(
    pytester: pytest.Pytester, arguments: tuple[str, ...]
) -> None:
    csv = pytester.path / paths.RESULTS
    csv.parent.mkdir(parents=True)
    csv.write_text("rows of yesterday")
    pytester.runpytest_inprocess(*arguments)
    assert csv.exists()
