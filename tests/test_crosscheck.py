"""The emulated board against Renode: where they agree, and how it is told where they do not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import renodes

from hil import cli
from hil.studies import crosscheck
from hil.studies.crosscheck import Crosscheck, Trace

OUTPUTS = np.arange(-8, 8, dtype=np.int8)
TRACE = Trace("emulator", ("stem", "pool"), (10_000, 2_000_000), OUTPUTS, {"run": 1.0})
SAME = Crosscheck("face_m4", TRACE, replace(TRACE, target="renode"), OUTPUTS)


def with_renode(**changes: Any) -> Crosscheck:
    return replace(SAME, renode=replace(SAME.renode, **changes))


def test_equal_traces_do_not_disagree() -> None:
    assert SAME.disagreements() == []


def test_counts_may_differ_by_one_in_a_thousand() -> None:
    assert with_renode(instructions=(10_010, 1_998_000)).disagreements() == []


def test_a_layer_that_counts_otherwise_is_named_with_both_counts() -> None:
    assert with_renode(instructions=(10_000, 2_002_100)).disagreements() == [
        "pool: 2,000,000 instructions on emulator, 2,002,100 on renode"
    ]


def test_an_output_that_differs_is_told_from_both_sides() -> None:
    wrong = OUTPUTS.copy()
    wrong[[3, 9]] = 99
    reference, other = with_renode(outputs=wrong).disagreements()
    where = "the first is number 3: 99, not -5"
    assert reference == f"2 outputs of renode differ from those of the integer reference; {where}"
    assert other == f"2 outputs of renode differ from those of the emulator; {where}"


def test_both_being_wrong_alike_is_told_too() -> None:
    wrong = OUTPUTS + np.int8(1)
    both = replace(
        SAME,
        emulator=replace(SAME.emulator, outputs=wrong),
        renode=replace(SAME.renode, outputs=wrong),
    )
    assert len(both.disagreements()) == 2


def test_missing_outputs_and_other_layers_are_told() -> None:
    other = with_renode(outputs=OUTPUTS[:4], layers=("stem",), instructions=(10_000,))
    told = other.disagreements()
    assert told[0] == "renode gives 4 outputs, the integer reference 16"
    assert "renode ('stem',)" in told[-1]


@pytest.mark.parametrize(("shown", "status"), [(SAME, 0), (with_renode(outputs=-OUTPUTS), 1)])
def test_the_command_prints_a_row_per_layer_and_its_verdict(
    shown: Crosscheck,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(crosscheck, "run", lambda *_, **__: shown)
    assert cli.main(["crosscheck", "face_m4"]) == status
    text = capsys.readouterr().out
    assert "pool" in text
    assert "2,000,000" in text
    assert ("equal to the bit" in text) == (status == 0)
    assert ("differ from those of the emulator" in text) == (status == 1)


# One with its image in memory, one that streams, and one that streams and takes maxima.
@pytest.mark.parametrize(
    ("scenario", "outputs"), [("face_m4", 18_000), ("vww_rnnpool", 2), ("vww_maxpool", 2)]
)
def test_the_emulated_board_and_a_real_renode_agree(scenario: str, outputs: int) -> None:
    result = crosscheck.run(scenario, "stm32f439", "zig", renode=renodes.real())
    assert result.disagreements() == []
    assert result.renode.outputs.size == outputs
    assert sum(result.emulator.instructions) > 1_000_000
