"""A figure that contradicts what is known otherwise ends the measurement: faults are planted."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from planted_firmware import Place, patched
from serial import SerialBase
from test_end_to_end import LAYER, measure, open_session, verdicts

from hil.build.image import Image
from hil.config import board as boards
from hil.config import scenario
from hil.config.board import Board
from hil.errors import LinkError, MismatchError, Verdict
from hil.link.client import Device, Run
from hil.link.messages import Memory
from hil.run import plausible
from hil.run.measurement import Measurement, Prepared
from hil.run.session import Session
from hil.targets import clock_tree
from hil.targets.chips.facts import ClockTree
from hil.targets.emulator.chips.stm32.flash import AccessControl
from hil.targets.emulator.target import EmulatedTarget

BOARD = boards.load("stm32f439")
RCC_CFGR, HALF_SPEED = 0x4002_3808, 0b10 | 8 << 4 | 4 << 10  # the UART's clock stays as it was


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    session = open_here(tmp_path_factory.mktemp("layer"))
    return session.prepare(session.scenarios[0])


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return open_here(tmp_path)


def open_here(folder: Path) -> Session:
    path = folder / "layer.toml"
    path.write_text(LAYER, encoding="utf-8")
    session = open_session(folder)
    session.scenarios = [scenario.load(str(path))]
    return session


def told(session: Session, prepared: Prepared) -> str:
    """What the error of a measurement with a planted fault says; it must leave no figure."""
    with pytest.raises(MismatchError) as error:
        measure(session, prepared)
    assert [row.metric.name for row in session.rows] == ["outcome"]
    assert session.rows[0].metric.verdict is Verdict.MISMATCH
    return str(error.value)


def test_a_sound_board_s_figures_are_believed(session: Session, prepared: Prepared) -> None:
    result = measure(session, prepared)
    assert verdicts(result) == set()
    assert result.iterations[0].counts == tuple(layer.cycles for layer in result.layers)


def off(_core: Callable[[], int]) -> Callable[[], int]:
    """A counter that moves by one at a read."""
    return itertools.count().__next__


def divided(core: Callable[[], int]) -> Callable[[], int]:
    return lambda: core() // 16


@pytest.mark.parametrize("counter", [off, divided])
def test_a_cycle_counter_that_counts_otherwise_than_the_core(
    session: Session, prepared: Prepared, counter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = EmulatedTarget.open

    def plant(target: EmulatedTarget) -> None:
        opened(target)
        dwt = target.emulated.chip.dwt
        dwt._now = counter(dwt._now)

    monkeypatch.setattr(EmulatedTarget, "open", plant)
    text = told(session, prepared)
    assert "by the board's own count" in text
    assert "does DWT CYCCNT count" in text


# What `access` in clock.c is compiled to, and what is planted there: (code, other code).
CACHES = ("mov.w r0, #0x700", b"\x4f\xf4\xe0\x60", b"\x4f\xf0\x00\x00")  # none of them on
WAITS = ("orr r3, r0, #5", b"\x40\xf0\x05\x03", b"\x40\xf0\x07\x03")
WAITS_READ = ("movs r2, #5", b"\x05\x22", b"\x07\x22")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([CACHES], ["prefetch is off", "instruction cache is off", "data cache is off"]),
        ([WAITS, WAITS_READ], ["wait states is 7, not 5"]),
    ],
    ids=["caches", "wait states"],
)
def test_firmware_that_sets_the_flash_up_otherwise(
    session: Session,
    prepared: Prepared,
    changes: list[tuple[str, bytes, bytes]],
    words: list[str],
) -> None:
    image = prepared.image
    for _, code, other in changes:
        image = patched(image, within(image, "empty_caches", "access", code), other)
    text = told(session, replace(prepared, image=image))
    for word in words:
        assert f"clock: {word}" in text


def within(image: Image, *rest: Any) -> Place:
    """Where code stands, once, in those of some functions that the image has; the code is last."""
    *functions, code = rest
    with image.elf.open("rb") as file:
        table: Any = ELFFile(file).get_section_by_name(".symtab")
        spans = [
            range(symbol["st_value"] & ~1, (symbol["st_value"] & ~1) + symbol["st_size"])
            for symbol in table.iter_symbols()
            if symbol.name.removeprefix("port_") in functions
        ]
    (found,) = {
        one.address + at
        for one in image.segments
        for at in range(0, len(one.data), 2)
        if one.data[at : at + len(code)] == code and any(one.address + at in span for span in spans)
    }
    return Place(found, len(code))


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        (0x100, ["prefetch is off"]),
        (0x200, ["instruction cache is off"]),
        (0x400, ["data cache is off"]),
    ],
)
def test_a_chip_whose_accelerator_does_not_come_on(
    session: Session,
    prepared: Prepared,
    monkeypatch: pytest.MonkeyPatch,
    lost: int,
    words: list[str],
) -> None:
    written = AccessControl.write
    monkeypatch.setattr(
        AccessControl, "write", lambda access, value: written(access, value & ~lost)
    )
    text = told(session, prepared)
    assert [word for word in ("prefetch", "instruction cache", "data cache") if word in text] == [
        word.removesuffix(" is off") for word in words
    ]
    for word in words:
        assert f"clock: {word}" in text


def test_a_core_at_half_speed(
    session: Session, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    greeted = Device.expect

    def plant(device: Device, image: Any) -> Any:
        hello = greeted(device, image)
        target = session._targets[prepared.scenario.name]
        assert isinstance(target, EmulatedTarget)
        target.emulated.chip.bus.write(RCC_CFGR, HALF_SPEED.to_bytes(4, "little"))
        return hello

    monkeypatch.setattr(Device, "expect", plant)
    assert "clock: core hz is 84,000,000, not 168,000,000" in told(session, prepared)


def test_settings_of_the_clock_are_read_as_the_manual_has_them() -> None:
    def clock(cfgr: int, pllcfgr: int, acr: int) -> ClockTree | None:
        words = {0x4002_3804: pllcfgr, 0x4002_3808: cfgr, 0x4002_3C00: acr}
        return clock_tree.read(BOARD, words.__getitem__)

    pll = 8 | 168 << 6
    assert clock(0b1010, pll, 0x705) == clock_tree.expected(BOARD)
    hertz = {
        (0b1010, 8 | 84 << 6): 84_000_000,
        (0b1010, 8 | 168 << 6 | 1 << 16): 84_000_000,
        (0b1010, 4 | 168 << 6 | 1 << 22): 168_000_000,  # out of the crystal
        (0b0000, pll): 16_000_000,
        (0b0101, pll): 8_000_000,
        (0b1010 | 12 << 4, pll): 168_000_000 >> 6,
        (0b1010, 0): 0,
    }
    for (cfgr, pllcfgr), known in hertz.items():
        found = clock(cfgr, pllcfgr, 0x705)
        assert found is not None
        assert found.core_hz == known
    assert clock_tree.read(replace(BOARD, chip="another"), lambda _: 0) is None


Lie = Callable[[Run], Run]


def with_layers(change: Callable[[list[Any]], list[Any]]) -> Lie:
    return lambda run: replace(run, layers=tuple(change(list(run.layers))))


LIES: dict[str, tuple[Lie, str]] = {
    "a name": (with_layers(lambda a: [replace(a[0], name="x"), *a[1:]]), "layers: number 0 is x"),
    "MACs": (with_layers(lambda a: [replace(a[0], macs=1), *a[1:]]), "layers: number 0 is"),
    "a layer more": (with_layers(lambda a: [*a, replace(a[0], cycles=0)]), "layers: the board has"),
    "no layers": (with_layers(lambda _: []), "layers: the board has 0"),
    "a part": (
        with_layers(lambda a: [replace(a[0], cycles=a[0].cycles - 1), *a[1:]]),
        "cycles of all layers",
    ),
    "the whole": (lambda run: replace(run, cycles=run.cycles + 1), "cycles of all layers"),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_the_firmware_says_of_a_run_is_held_to_the_plan(good: Measurement, lie: str) -> None:
    change, words = LIES[lie]
    one = good.iterations[0]
    run = change(Run(one.cycles, one.cycles, one.cycles, 0, one.layers))  # type: ignore[arg-type]
    lied = replace(one, cycles=run.cycles, layers=run.layers)  # type: ignore[arg-type]
    assert words in contradiction(replace(good, iterations=(lied,)))


@pytest.fixture(scope="module")
def good(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Measurement:
    return measure(open_here(tmp_path_factory.mktemp("good")), prepared)


def memory(result: Measurement, **lies: int) -> Memory:
    footprint = result.prepared.image.footprint
    said = Memory(
        footprint.arena_bytes,
        footprint.static_bytes,
        footprint.stack_reserved_bytes,
        result.stack_bytes,
    )
    return replace(said, **lies)


def contradiction(result: Measurement, **lies: int) -> str:
    """What is said of a measurement without debugger; the firmware may lie of its memory."""
    evidence = plausible.Evidence(result, memory(result, **lies), debugger=None)
    with pytest.raises(MismatchError) as error:
        plausible.check(evidence)
    return str(error.value)


def test_a_measurement_without_a_debugger_may_be_believed(good: Measurement) -> None:
    plausible.check(plausible.Evidence(good, memory(good), debugger=None))


@pytest.mark.parametrize("used", [0, 32, 1 << 20])
def test_a_stack_that_start_up_cannot_have_left(good: Measurement, used: int) -> None:
    assert "stack: " in contradiction(replace(good, stack_bytes=used))


@pytest.mark.parametrize("part", ["arena_bytes", "static_bytes", "stack_bytes"])
def test_memory_that_the_image_does_not_have(good: Measurement, part: str) -> None:
    assert "64 B" in contradiction(good, **{part: 64})


def test_a_stack_mark_that_the_paint_contradicts(
    session: Session, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Device.memory

    def lie(device: Device) -> Memory:
        return replace(asked(device), stack_high_water_bytes=128)

    monkeypatch.setattr(Device, "memory", lie)
    assert "128 B by the firmware" in told(session, prepared)


def on_silicon(good: Measurement, cycles: int, seconds: float | None) -> Measurement:
    """The measurement as a board without a count of its own would give it."""
    one = good.iterations[0]
    layers = (replace(one.layers[0], cycles=cycles), *one.layers[1:])
    rest = sum(layer.cycles for layer in one.layers[1:])
    run = replace(one, cycles=cycles + rest, layers=layers, counts=(), seconds=seconds)
    return replace(good, timing="silicon", iterations=(run,))


def test_fewer_cycles_than_macs_can_take(good: Measurement) -> None:
    macs = good.prepared.program.macs
    assert f"for {macs:,} MACs" in contradiction(on_silicon(good, macs // 4, None))


@pytest.mark.parametrize(
    ("seconds", "believed"),
    [(1.0, True), (0.97, True), (1.2, True), (0.5, False), (2.0, False), (16.0, False)],
)
def test_a_run_takes_the_time_that_its_cycles_say(
    good: Measurement, seconds: float, believed: bool
) -> None:
    result = on_silicon(good, BOARD.clock_hz, seconds)
    if believed:
        plausible.check(plausible.Evidence(result, memory(result), debugger=None))
    else:
        assert "s by the host" in contradiction(result)


def test_a_streaming_run_may_take_longer_than_it_counts_but_not_less(good: Measurement) -> None:
    def streamed(seconds: float) -> Measurement:
        result = on_silicon(good, BOARD.clock_hz, seconds)
        one = replace(result.iterations[0], waiting_cycles=1000)
        return replace(result, iterations=(one,))

    slow = streamed(9.0)
    plausible.check(plausible.Evidence(slow, memory(slow), debugger=None))
    assert "s by the host" in contradiction(streamed(0.5))


class Crossed(EmulatedTarget):
    """A board whose serial port is wired to another board with the same image."""

    def __init__(self, board: Board) -> None:
        super().__init__(board)
        self._other = EmulatedTarget(board)

    def open(self) -> None:
        super().open()
        self._other.open()

    def flash(self, image: Image) -> None:
        super().flash(image)
        self._other.flash(image)

    def reset(self) -> None:
        super().reset()
        self._other.reset()

    def serial(self) -> SerialBase:
        return self._other.serial()

    def close(self) -> None:
        super().close()
        self._other.close()


def test_the_port_of_another_board_with_the_same_image(
    session: Session, prepared: Prepared
) -> None:
    session.target = Crossed
    with pytest.raises(LinkError, match="another board's than the debug probe's"):
        measure(session, prepared)
    assert session.rows[-1].metric.verdict is Verdict.LINK
