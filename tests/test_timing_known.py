"""Costs of blocks that are kept from run to run: the same counts, and nothing worked out twice."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import timing_machine as machine
from timing_machine import ART_OFF, CCM, FLASH, SRAM1, SRAM2, Machine

from hil import paths
from hil.build.image import Segment
from hil.config import board
from hil.targets.debugger import Debugger
from hil.targets.emulator.board import EmulatedBoard
from hil.targets.emulator.core.decode import Instructions
from hil.targets.emulator.target import EmulatedTarget
from hil.targets.emulator.timing import Rules
from hil.targets.emulator.timing.known import KnownBlocks
from hil.targets.emulator.timing.pipeline import BlockTiming, Pipeline, State

WAITS = 0x705  # caches, prefetch and five wait states
SOURCE = machine.loop_source(
    {
        "walk": "ldr r0, [r4], #2\nldr r1, [r4, #5]\nldr r2, [r4, #12]\nnop",
        "pair": "ldr r0, [r4]\nldr r1, [r5]\nnop",
        "through_stack": "ldr r0, [sp, #8]\nldr r1, [r0]\nnop\nadds r0, #1\nstr r0, [sp, #8]",
        "pointed_to": "ldr r0, =0x20000200\nldr r1, [r0]\nldm r0, {r2, r3}\nnop",
        "decided": "lsls r1, r7, #31\nitt mi\nldrmi r0, [r4]\nsdivmi r0, r0, r1\nldr r0, [r4]\nnop",
        "looked_up": "ldr r0, [r4]\nldr r0, [r0]\nldm r0, {r1, r2}\nnop",
        "floats": "vldr s0, [r4]\nvadd.f32 s1, s0, s0\nvstr s1, [r4, #4]",
    }
)
LOOPS = (
    "walk", "pair", "through_stack", "pointed_to", "decided", "looked_up", "floats", "pair",
)  # fmt: skip
ROUNDS = 5


def run(code: bytes, known: KnownBlocks | None, *, rules: Rules | None = None) -> Machine:
    """Run every loop, with and without the flash's caches, from two memories."""
    labels = machine.program(SOURCE).labels
    core = Machine(code, rules=rules)
    if known is not None:
        core.timing.know(known)
    for acr in (ART_OFF, WAITS):
        core.timing.set_acr(acr)
        for pointer in (SRAM1 + 0x100, CCM + 0x40):
            for at in range(0, 64, 4):  # what is looked up leads into SRAM1
                machine.store_word(core, pointer + at, SRAM1 + 0x100)
            machine.store_word(core, SRAM1 + 0x8008, pointer)
            for name in LOOPS:
                core.write("r4", pointer)
                core.write("r5", SRAM2)
                core.write(machine.COUNTER, ROUNDS)
                core.run(labels[name], labels[f"{name}_end"])
    return core


def figures(core: Machine) -> list[object]:
    """Return all that the timing core counts."""
    timing = core.timing
    blocks = sorted(
        (one.instructions[0].address, one.issues, one.runs, one.cost, one.by_cause)
        for one in timing.profile()
    )
    return [timing.cycles, timing.instructions, timing.stalls(), blocks]


@pytest.fixture
def code() -> bytes:
    return machine.program(SOURCE).code


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HIL_CACHE", str(tmp_path))
    return paths.cache() / "blocks"


def kept(code: bytes) -> KnownBlocks:
    return KnownBlocks.of(board.load("stm32f439"), [code])


def learn(code: bytes) -> list[object]:
    """Run with nothing known and keep what was worked out; return the counts."""
    known = kept(code)
    counted = figures(run(code, known))
    known.keep()
    return counted


def nothing_is_worked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a block was costed again")

    monkeypatch.setattr(Pipeline, "cost", refuse)


def worked_out(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Gather the addresses of the blocks that are costed from now on."""
    addresses: list[int] = []

    cost = Pipeline.cost

    def noted(
        pipeline: Pipeline, block: Instructions, state: State, accesses: bytes, *, cached: bool
    ) -> BlockTiming:
        addresses.append(block[0].address)
        return cost(pipeline, block, state, accesses, cached=cached)

    monkeypatch.setattr(Pipeline, "cost", noted)
    return addresses


def test_what_is_known_counts_as_what_is_worked_out(
    code: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = figures(run(code, None))
    assert learn(code) == without
    assert len(list(cache.iterdir())) == 1
    nothing_is_worked_out(monkeypatch)
    assert figures(run(code, kept(code))) == without


def test_what_adds_nothing_writes_nothing(code: bytes, cache: Path) -> None:
    learn(code)
    (file,) = cache.iterdir()
    before = file.stat().st_ino
    learn(code)
    (file,) = cache.iterdir()
    assert file.stat().st_ino == before


@pytest.mark.parametrize("damage", [b"", b"\x00" * 100, None])
def test_a_damaged_file_is_made_anew(
    damage: bytes | None, code: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = learn(code)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-9] + whole[-8:] if damage is None else damage)
    assert learn(code) == counted
    nothing_is_worked_out(monkeypatch)
    assert figures(run(code, kept(code))) == counted


@pytest.mark.usefixtures("cache")
def test_a_constant_that_changes_is_seen(code: bytes) -> None:
    """The file is asked for under the name of the first program, so that only its content helps."""
    known = kept(code)
    run(code, known)
    changed = code.replace((0x2000_0200).to_bytes(4, "little"), CCM.to_bytes(4, "little"))
    assert changed != code
    assert figures(run(changed, known)) == figures(run(changed, None))


@pytest.mark.usefixtures("cache")
def test_code_that_changes_is_costed_and_nothing_else(
    code: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = kept(code)
    run(code, known)
    at = machine.program(SOURCE).labels["pair"]
    changed = bytearray(code)
    offset = at - FLASH
    changed[offset : offset + 2] = b"\x28\x60"  # str r0, [r5]: another cost
    without = figures(run(bytes(changed), None))
    costed = worked_out(monkeypatch)
    assert figures(run(bytes(changed), known)) == without
    assert costed
    assert all(at - 2 <= one < at + 16 for one in costed)


@pytest.mark.usefixtures("cache")
def test_another_program_or_board_has_another_file(code: bytes) -> None:
    f439 = board.load("stm32f439")
    slow = replace(f439, memories=tuple(reversed(f439.memories)))
    names = {
        KnownBlocks.of(one, [content]).place
        for one in (f439, slow)
        for content in (code, code[:-1])
    }
    assert len(names) == 4


@pytest.mark.usefixtures("cache")
def test_another_reading_of_the_manual_takes_and_leaves_nothing(code: bytes) -> None:
    learn(code)
    rules = Rules.without("load_pairs")
    known = kept(code)
    counted = figures(run(code, known, rules=rules))
    assert counted == figures(run(code, None, rules=rules))
    assert counted != figures(run(code, None))
    core = Machine(code)
    core.timing.know(known)
    core.timing.study(rules)
    labels = machine.program(SOURCE).labels
    fresh = Machine(code, rules=rules)
    for one in (core, fresh):
        one.write("r4", SRAM1)
        one.write("r5", SRAM1)
        one.write(machine.COUNTER, ROUNDS)
        one.run(labels["pair"], labels["pair_end"])
    assert core.timing.cycles == fresh.timing.cycles


def test_a_cache_that_cannot_be_written_costs_time_alone(
    code: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shut = tmp_path / "file"
    shut.write_text("no folder")
    monkeypatch.setenv("HIL_CACHE", str(shut))
    assert learn(code) == figures(run(code, None))


@pytest.mark.parametrize("anew", [False, True])
def test_a_target_asks_what_is_known_of_its_image_unless_it_is_to_begin_anew(
    anew: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[bytes]] = []
    monkeypatch.setattr(EmulatedBoard, "know", lambda _, program: asked.append(list(program)))
    monkeypatch.setattr(Debugger, "program", lambda *_: None)
    target = EmulatedTarget(board.load("stm32f439"))
    target.anew = anew
    image = SimpleNamespace(segments=[Segment(FLASH, b"1234")])
    with target:
        target.flash(image)  # type: ignore[arg-type]
    assert asked == ([] if anew else [[b"1234"]])
