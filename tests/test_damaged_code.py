"""Whatever stands in a core's memory, what it costs is worked out, or refused in words.

`make sanitize` runs this with the C under gcc's sanitizers.
"""

from dataclasses import replace
from itertools import islice
from random import Random
from typing import Any

import pytest
import timing_machine as machine
from damaged_code import Desk, blocks, entered

from hil.errors import EmulatorError, UsageError
from hil.targets.emulator.core.instructions import MOST_INSTRUCTIONS
from hil.targets.emulator.timing import Rules
from hil.targets.emulator.timing.desk import MOST_QUEUE
from hil.targets.emulator.timing.pipeline import Pipeline

BLOCKS = 3000
NOP, WIDE_LOAD = bytes.fromhex("00bf"), bytes.fromhex("d8f80410")


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk(Random(1))  # noqa: S311


def test_noise_and_damaged_firmware_are_costed_or_refused(desk: Desk) -> None:
    moves = (f"ldr r{n}, [r7, #{4 * n}]\nadds r{n}, #1\nstr r{n}, [r{n}]" for n in range(7))
    source = "\n".join([".global start", "function start", *moves, "bx lr"])
    firmware = machine.program(source + "\n").code
    refused = 0
    for block in islice(blocks(Random(2), firmware), BLOCKS):  # noqa: S311
        try:
            desk.look(block)
        except EmulatorError:
            refused += 1
            assert len(block.code) // 2 > MOST_INSTRUCTIONS
    assert 0 < refused < BLOCKS / 2


@pytest.mark.parametrize("code", [NOP, WIDE_LOAD])
def test_the_longest_block_is_costed_and_a_longer_one_refused(desk: Desk, code: bytes) -> None:
    random = Random(3)  # noqa: S311
    desk.look(entered(random, code * MOST_INSTRUCTIONS))
    with pytest.raises(EmulatorError, match=f"{MOST_INSTRUCTIONS + 1} instructions cannot be"):
        desk.look(entered(random, code * (MOST_INSTRUCTIONS + 1)))


def test_a_block_of_nothing_is_no_block(desk: Desk) -> None:
    desk.look(entered(Random(4), WIDE_LOAD[:2]))  # noqa: S311


@pytest.mark.parametrize("words", [0, 1, MOST_QUEUE + 1])
@pytest.mark.parametrize("which", ["fetch_queue", "fetch_queue_with_cache"])
def test_a_fetch_unit_that_the_model_has_no_room_for_is_refused(which: str, words: int) -> None:
    changed: Any = {which: words}
    with pytest.raises(UsageError, match=f"the model holds 2 to {MOST_QUEUE}"):
        Pipeline(replace(Rules(), **changed), line_bytes=16)
