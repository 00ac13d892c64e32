"""Numeric options: what is out of range is refused by the option's name, with the range."""

import argparse
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil import cli, numbers


@given(st.integers(-5, 15))
def test_whole_numbers_in_the_range_are_taken_and_no_others(value: int) -> None:
    read = numbers.whole(0, 10)
    if 0 <= value <= 10:
        assert read(str(value)) == value
    else:
        with pytest.raises(argparse.ArgumentTypeError, match="from 0 to 10 is expected"):
            read(str(value))


@given(st.floats())
def test_real_numbers_in_the_range_are_taken_and_no_others(value: float) -> None:
    if numbers.LEAST_SECONDS <= value <= numbers.MOST_SECONDS:
        assert numbers.seconds(repr(value)) == value
    else:
        with pytest.raises(argparse.ArgumentTypeError, match=r"from 0\.001 to 86,400"):
            numbers.seconds(repr(value))


@pytest.mark.parametrize("text", ["", "1.5", "one", "1e2", "nan", "inf", "0x10"])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"not '{text}'"):
        numbers.whole(0, 10)(text)


def test_a_share_may_be_nothing_and_all() -> None:
    assert [numbers.share("0"), numbers.share("1")] == [0, 1]
    assert math.isclose(numbers.share("0.3"), 0.3)


WRONG = [
    ("--hil-retries", "-1"),
    ("--hil-retries", "1.5"),
    ("--hil-retries", "101"),
    ("--hil-iterations", "0"),
    ("--hil-iterations", "-3"),
    ("--hil-iterations", "nan"),
    ("--hil-timeout", "0"),
    ("--hil-timeout", "-1"),
    ("--hil-timeout", "nan"),
    ("--hil-timeout", "inf"),
]


@pytest.mark.parametrize(("option", "value"), WRONG)
def test_a_number_out_of_range_is_a_usage_error_of_pytest(
    pytester: pytest.Pytester, option: str, value: str
) -> None:
    result = pytester.runpytest(f"{option}={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*argument {option}: *from * to *, not '{value}'*"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["bench", "link", "--runs", "0"],
        ["bench", "link", "--rate", "2"],
        ["bench", "soak", "--seconds", "nan"],
        ["evaluate", "d", "--jobs", "0"],
        ["evaluate", "d", "--score", "-1"],
        ["evaluate", "d", "--limit", "-3"],
        ["train", "m", "--data", "d", "--held-back", "7"],
        ["boards", "serve", "x", "--probe-port", "70000"],
        ["mlperf-run", "i.bin", "--baud", "0"],
        ["detect", "a.png", "--score", "nan"],
        ["detect", "a.png", "--score", "1.1"],
        ["emulate", "a.elf", "--clock-hz", "0"],
        ["emulate", "a.elf", "--clock-hz", "1e6"],
        ["emulate", "a.elf", "--wait-states", "16"],
        ["emulate", "a.elf", "--wait-states", "-1"],
        ["emulate", "a.elf", "--max-seconds", "inf"],
        ["emulate", "a.elf", "--max-seconds", "0"],
        ["quantise", "face_m4", "--photographs", "0"],
    ],
)
def test_a_number_out_of_range_is_a_usage_error_of_a_command(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    told = capsys.readouterr().err
    assert f"argument {arguments[-2]}: " in told
    assert f"is expected, not '{arguments[-1]}'" in told


@pytest.mark.parametrize("aim", ["0", "-1", "1.5", "size", "nan"])
def test_an_aim_of_no_bytes_is_refused(aim: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["plan", "face_m4", f"--optimise={aim}"])
    assert f"argument --optimise: speed, ram, or a number of bytes is expected, not '{aim}'" in (
        capsys.readouterr().err
    )
