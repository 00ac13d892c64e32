"""The command that holds the model against silicon: its sums, its runs and its refusals."""

import csv
import math
import shutil
from pathlib import Path

import pytest
import thumb

from hil.config import board
from hil.errors import UsageError
from hil.studies.timing_validation import aes, compare, coremark, embench, pqm4, program, sram2
from hil.studies.timing_validation import run as validate_timing
from hil.studies.timing_validation.compare import Comparison
from hil.studies.timing_validation.core import CoreRun
from hil.studies.timing_validation.run import Checkouts
from hil.targets.emulator.timing import TIMING_VERSION, Rules

CHIP = board.load("stm32f439")
TWO = (Comparison("suite", "fast", 90, 100), Comparison("suite", "slow", 125, 100))


def test_errors_weigh_too_fast_and_too_slow_alike() -> None:
    found = compare.errors([Comparison("s", "a", 50, 100), Comparison("s", "b", 200, 100)])
    assert math.isclose(found.geometric_mean, 1.0)
    assert math.isclose(found.mean_error, 1.0)


def test_the_worst_is_the_farthest_ratio() -> None:
    assert compare.errors(TWO).worst.benchmark == "slow"


def test_the_csv_has_a_row_for_each_figure(tmp_path: Path) -> None:
    compare.write_csv({"all rules": TWO, "without it": TWO[:1]}, tmp_path / "timing.csv", "m4-3")
    with (tmp_path / "timing.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["timing"], row["rules"], row["benchmark"], row["ratio"]) for row in rows] == [
        ("m4-3", "all rules", "fast", "0.90000"),
        ("m4-3", "all rules", "slow", "1.25000"),
        ("m4-3", "without it", "fast", "0.90000"),
    ]


def test_figures_that_were_not_looked_at_are_summed_up_apart() -> None:
    parts = compare.by_look([*TWO, Comparison("suite", "unseen", 101, 100.5, "known")])
    assert [len(part) for part in parts.values()] == [2, 1]
    assert "1 figures" in compare.summary(parts[compare.LOOKS["known"]])
    assert compare.by_look(TWO) == {}


def test_a_figure_that_counts_one_of_many_is_compared_with_one(tmp_path: Path) -> None:
    source = "function start\nbl first\n" + "adds r0, #1\n" * 8 + "bl second\nb .\n"
    source += "function first\nbx lr\nfunction second\nbx lr"
    figure = program.Figure("aes", "one", "adds", 1.5, "known")
    one = program.Program(
        (figure,),
        ("first", "second"),
        lambda elf: shutil.copyfile(thumb.assemble(source), elf),
        {"adds": 8},
    )
    (found,) = program.compare(one, CHIP, tmp_path)
    assert (found.modelled, found.published, found.looked_at) == ((1 + 3 + 8 + 1) / 8, 1.5, "known")


def test_every_program_of_the_table_is_known_to_its_suite() -> None:
    for name in program.programs("aes"):
        assert name in aes.PROGRAMS
    for suite in ("pqm4", "aes", "chacha", "polymul"):
        assert {f.looked_at for f in program.figures(suite)} <= set(compare.LOOKS)


def test_a_program_is_counted_from_function_to_function() -> None:
    source = """
    function start
        bl first
        adds r0, #1
        adds r0, #1
        bl second
        b .
    function first
        bx lr
    function second
        bx lr
    """
    first, second = CoreRun(thumb.assemble(source), CHIP, acr=0).reach(["first", "second"])
    # Refill of the first BL, BX with its refill of two, two additions, BL.
    assert second.cycles - first.cycles == 1 + (1 + 2) + 2 + 1
    assert second.instructions - first.instructions == 4


def test_a_function_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match="no function elsewhere"):
        CoreRun(thumb.assemble("function start\nb ."), CHIP, acr=0).reach(["elsewhere"])


def test_without_a_checkout_there_is_nothing_to_do() -> None:
    with pytest.raises(UsageError, match="--embench"):
        validate_timing.run(Checkouts())


def test_a_rule_that_cannot_be_taken_away_is_told_with_those_that_can(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="wide_run_with_cache"):
        validate_timing.run(Checkouts(embench=tmp_path), without=["simple"])


def test_each_rule_that_can_be_taken_away_is_another_reading() -> None:
    for name in Rules.removable():
        assert Rules.without(name) != Rules()


def test_errors_without_a_rule_stand_beside_those_with_all() -> None:
    out = compare.ablation({"all rules": TWO[:1], "without it": TWO}, "suite")
    assert out.row_count == 2


def test_a_wrong_checkout_is_refused_with_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"embench-2\.0rc1"):
        embench.compare(tmp_path, "crc32", CHIP, tmp_path)
    with pytest.raises(UsageError, match="Round3"):
        next(pqm4.programs(tmp_path))
    with pytest.raises(UsageError, match="aes-armcortexm"):
        next(aes.programs(tmp_path))
    with pytest.raises(UsageError, match="chacha-arm-cortex-m"):
        next(sram2.chacha(tmp_path))
    with pytest.raises(UsageError, match="polymul-z2mx-m4"):
        next(sram2.polymul(tmp_path))
    with pytest.raises(UsageError, match="coremark"):
        coremark.measure(tmp_path, CHIP)


def test_the_page_has_every_rule_as_the_code_has_it() -> None:
    page = (Path(__file__).parents[1] / "docs" / "timing.md").read_text(encoding="utf-8")
    assert TIMING_VERSION in page
    for name, value, what, source in Rules().table():
        assert f"| `{name}` | {value} | {what} | {source} |" in page
