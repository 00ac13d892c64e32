"""Changes planted in real firmware, found and named on the emulated board."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import planted_firmware
import pytest
from planted_firmware import NOPS, changed, held_to, measured, take_in

from hil.compiler import reference
from hil.results.compare import Outcome
from hil.results.rows import Row
from hil.run.against import Against
from hil.run.measurement import Prepared
from hil.run.session import Session

AVERAGE = "static void run_net_average(void) {\n"
CLASSIFIER_ENDS = "(int8_t *)model_arena + 224, (int8_t *)model_arena + 0);\n}"
INIT = "void model_init(void) {}\n"
MUTANTS = "HIL_MUTANTS"  # in the environment: how many, beside the usual few
FEW_MUTANTS = 10
EQUAL = "HIL_EQUAL_RUNS"  # in the environment: how many, beside the usual few
FEW_EQUAL = 4
MOST_IN_A_PROCESS = 100


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return planted_firmware.open_small(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def prepared(session: Session) -> Prepared:
    return session.prepare(session.scenarios[0])


@pytest.fixture(scope="module")
def rows(session: Session, prepared: Prepared) -> list[Row]:
    found, _ = measured(session, prepared)
    return found


@pytest.fixture(scope="module")
def baseline(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("baseline") / "stm32f439.csv"
    take_in(file, rows)
    return file


@pytest.fixture(scope="module")
def against(baseline: Path, session: Session) -> Against:
    return held_to(baseline, session)


def judged(against: Against, rows: Sequence[Row]) -> tuple[Outcome, bool, str]:
    """The outcome, whether it fails the run, and what is said."""
    found = against.compare(rows, "thumbs")
    return found.outcome, against.fails(found), against.explain(found)


@pytest.fixture(scope="module")
def with_a_nop(prepared: Prepared) -> Prepared:
    """The firmware with a NOP in the code of the layer `average`.

    Behind it stands no other, which would hide the second cycle of a load.
    """
    code = '__asm__ volatile("nop.w\\n mov r8, r8" ::: "lr");'
    return changed(prepared, AVERAGE, f"{AVERAGE}    {code}\n")


@pytest.fixture(scope="module")
def one_cycle_apart(session: Session, with_a_nop: Prepared) -> tuple[list[Row], list[Row]]:
    """Rows with a NOP, which takes one cycle, and with a load in its place, which takes two."""
    load = b"\xdd\xf8\x00\xe0"  # ldr.w lr, [sp]
    place = planted_firmware.find(with_a_nop.image, NOPS[4])
    loads = replace(with_a_nop, image=planted_firmware.patched(with_a_nop.image, place, load))
    return measured(session, with_a_nop)[0], measured(session, loads)[0]


def test_equal_firmware_is_unchanged(against: Against, rows: list[Row]) -> None:
    assert judged(against, rows)[:2] == (Outcome.UNCHANGED, False)


EQUAL_RUNS = """
import sys
from dataclasses import replace
from pathlib import Path
import planted_firmware
file, folder = map(Path, sys.argv[1:3])
session = planted_firmware.open_small(folder)
prepared = session.prepare(session.scenarios[0])
against = planted_firmware.held_to(file, session)
with planted_firmware.kept_board() as board:
    kept = replace(session, target=board, store=None)
    for _ in range(int(sys.argv[3])):
        rows, _ = planted_firmware.measured(kept, prepared)
        print(against.compare(rows, "thumbs").outcome)
"""


@pytest.mark.slow
def test_other_processes_measure_the_same_with_a_cold_cache_and_with_a_warm_one(
    baseline: Path, tmp_path: Path
) -> None:
    runs = int(os.environ.get(EQUAL, str(FEW_EQUAL)))
    each = min(runs // 2, MOST_IN_A_PROCESS)
    for number in range(runs // each):
        cache = tmp_path / f"cache-{number // 2}"  # cold, then warm
        said = subprocess.run(
            [sys.executable, "-c", EQUAL_RUNS, str(baseline), str(tmp_path), str(each)],
            cwd=Path(__file__).parent,
            env=os.environ | {"HIL_CACHE": str(cache)},
            stdout=subprocess.PIPE,
            text=True,
            timeout=1200,
            check=True,
        ).stdout
        assert said.splitlines() == [str(Outcome.UNCHANGED)] * each
    print(f"{runs // each * each} runs in {runs // each} processes are unchanged")


def test_one_cycle_more_in_one_layer_is_a_regression_of_that_layer(
    one_cycle_apart: tuple[list[Row], list[Row]], session: Session, tmp_path: Path
) -> None:
    usual, slower = one_cycle_apart
    file = tmp_path / "usual.csv"
    take_in(file, usual)
    outcome, fails, said = judged(held_to(file, session), slower)
    assert (outcome, fails) == (Outcome.REGRESSION, True)
    assert "(+1 cycle, " in said
    assert said.splitlines()[0].endswith(": +1 cycle in average (pool2d)")


def test_an_improvement_asks_to_be_taken_in(
    one_cycle_apart: tuple[list[Row], list[Row]], session: Session, tmp_path: Path
) -> None:
    faster, usual = one_cycle_apart
    file = tmp_path / "usual.csv"
    take_in(file, usual)
    outcome, fails, said = judged(held_to(file, session), faster)
    assert (outcome, fails) == (Outcome.IMPROVEMENT, True)
    assert "-1 cycle in average (pool2d)" in said
    assert "take it in: --hil-update-baseline" in said
    assert not judged(held_to(file, session, strict=False), faster)[1]


def test_256_bytes_more_of_ram_and_of_flash_are_named(
    against: Against, session: Session, prepared: Prepared
) -> None:
    planted = (
        "static const uint8_t planted_table[256] = {1};\n"
        "MODEL_CCM uint8_t planted_buffer[256];\n"
        "void model_init(void) { planted_buffer[3] = planted_table[model_arena[0]]; }\n"
    )
    found, _ = measured(session, changed(prepared, INIT, planted))
    outcome, fails, said = judged(against, found)
    assert outcome.is_worse
    assert fails
    ram, flash = (
        next(line for line in said.splitlines() if name in line)
        for name in ("ram.total", "flash.total")
    )
    assert "+256 B" in ram
    assert "new, 256 B: planted_buffer" in ram
    assert "new, 256 B: planted_table" in flash


def test_one_output_off_by_one_is_named_with_its_place(
    against: Against, session: Session, prepared: Prepared
) -> None:
    planted = CLASSIFIER_ENDS.replace("}", "    model_arena[1]++;\n}")
    found, result = measured(session, changed(prepared, CLASSIFIER_ENDS, planted))
    assert result is not None
    outcome, fails, said = judged(against, found)
    wrong, right = int(result.outputs[1]), int(prepared.expected[1])
    assert wrong == right + 1
    assert outcome.is_worse
    assert fails
    assert (
        "1 of 2 outputs of classifier (one_pixel) differs, first at row 0, column 0, channel 1: "
        f"{wrong}, expected {right}"
    ) in said


def test_outputs_of_a_network_that_is_another_are_named_at_the_first_map_with_both_values(
    against: Against, rows: list[Row], session: Session
) -> None:
    (scenario,) = session.scenarios
    first = session.prepare(scenario)
    other = session.prepare(replace(scenario, seed=scenario.seed + 1))
    found, result = measured(session, other)
    assert rows
    assert result is not None
    outcome, fails, said = judged(against, found)
    assert outcome is not Outcome.UNCHANGED
    assert fails
    before, after = (reference.maps(one.program, one.input) for one in (first, other))
    name = next(name for name in after if (before[name] != after[name]).any())
    was, now = before[name], after[name]
    at = tuple(int(axis) for axis in np.argwhere(was != now)[0])
    (line,) = [line for line in said.splitlines() if "output.digest" in line]
    assert f"differs in {name} (integer reference: {np.count_nonzero(was != now)} of " in line
    place = f"row {at[0]}, column {at[1]}, channel {at[2]}"
    assert f"first at {place}: {now[at]}, was {was[at]})" in line


def test_a_scenario_that_is_lost_is_named(
    baseline: Path, session: Session, rows: list[Row], tmp_path: Path
) -> None:
    second = [replace(row, context=replace(row.context, scenario="second")) for row in rows]
    file = tmp_path / "two.csv"
    take_in(file, [*rows, *second])
    places = [session.place(one) for one in session.scenarios]
    assert held_to(file, session).gone(places) == ["second"]
    assert held_to(baseline, session).gone(places) == []


def test_another_version_of_the_compiler_is_said_and_not_compared(
    against: Against, session: Session, prepared: Prepared
) -> None:
    newer = replace(session.toolchain, version="99.0")
    outcome, fails, said = judged(against, measured(replace(session, toolchain=newer), prepared)[0])
    assert (outcome, fails) == (Outcome.OTHER, True)
    assert f"compiler {session.toolchain} became {newer}" in said


def test_a_slower_clock_is_said_and_not_compared(against: Against, session: Session) -> None:
    board = replace(session.board, clock_hz=120_000_000)
    slow = replace(session, board=board)
    found, _ = measured(slow, slow.prepare(session.scenarios[0]))
    outcome, fails, said = judged(against, found)
    assert (outcome, fails) == (Outcome.OTHER, True)
    assert "clock 168,000,000 Hz became 120,000,000 Hz" in said


@pytest.mark.slow
def test_an_executed_instruction_that_is_another_is_found_and_nothing_else(
    against: Against, session: Session, prepared: Prepared
) -> None:
    count = int(os.environ.get(MUTANTS, str(FEW_MUTANTS)))
    tally = planted_firmware.try_mutants(session, prepared, against, count, seed=1)
    print(f"{tally.found} found, {tally.equal} equal")
    assert tally.missed == []
    assert tally.false == []
    assert tally.found > count // 2
