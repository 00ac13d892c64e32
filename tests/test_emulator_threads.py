"""What other threads do to an emulated core that runs: debuggers, hosts, and its own failure."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import thumb
from emulated import BOARD, USART1, chip_with, finished, running

from hil.build.image import Footprint, Image, read_segments
from hil.errors import EmulatorError, Verdict
from hil.studies import emulate
from hil.targets.emulator.chips.stm32.chip import Chip
from hil.targets.emulator.core.runner import Runner
from hil.targets.emulator.target import EmulatedTarget
from hil.targets.emulator.terminal import Terminal

ICSR, ISPR, ICPR = 0xE000_ED04, 0xE000_E200, 0xE000_E280
ALL = b"\xff\xff\xff\xff"
SOON_S = 30.0
PENDING = """
function start
 ldr r0, =0xE000E200
 ldr r1, =0xE000E280
 mvn r2, #0
again:
 str r2, [r0]
 str r2, [r0, #4]
 str r2, [r1]
 str r2, [r1, #4]
 b again
"""
COUNTING = """
function start
 ldr r0, =0xE000E010
 ldr r3, =400000
again:
 mul r4, r3, r3
 tst r3, #255
 it eq
 ldreq r5, [r0]
 subs r3, #1
 bne again
 bkpt 0
"""


HAMMERED_S = 1.5
"""However many accesses that makes: a race shows within a second."""


@contextmanager
def often_switching() -> Iterator[None]:
    """Have Python change threads so often that a race shows within a second."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def read_icsr(chip: Chip) -> None:
    chip.bus.read(ICSR, 4)


def write_pending(chip: Chip) -> None:
    for address in (ISPR, ISPR + 4, ICPR, ICPR + 4):
        chip.bus.write(address, ALL)


@pytest.mark.parametrize("access", [read_icsr, write_pending])
def test_a_debugger_reaches_the_nvic_while_firmware_pends_interrupts(
    access: Callable[[Chip], None],
) -> None:
    with often_switching(), running(chip_with(PENDING)) as chip:
        before, enough = chip.core.instructions(), time.monotonic() + HAMMERED_S
        while time.monotonic() < enough or chip.core.instructions() == before:
            access(chip)
        chip.core.raise_failure()


def test_a_debugger_that_looks_at_registers_costs_the_firmware_no_cycle() -> None:
    with finished(COUNTING) as chip:
        alone = (chip.clock.run.cycles, chip.core.instructions())
    chip = chip_with(COUNTING)
    looking, done = threading.Event(), threading.Event()

    def look() -> None:
        while not done.is_set():
            chip.bus.read(ICSR, 4)
            chip.bus.write(ICPR, ALL)
            looking.set()

    debugger = threading.Thread(target=look)
    debugger.start()
    try:
        assert looking.wait(60)
        with finished(COUNTING, chip=chip):
            watched = (chip.clock.run.cycles, chip.core.instructions())
    finally:
        done.set()
        debugger.join()
    assert watched == alone


def test_a_host_that_drops_what_it_sent_does_not_race_with_firmware_that_reads() -> None:
    program = f"""
    function start
     {USART1}
     ldr r1, =0x2004
     str r1, [r0, #12]
    again:
     ldr r1, [r0, #4]
     b again
    """
    with often_switching(), running(chip_with(program)) as chip:
        line = chip.usarts["usart1"].line
        for _ in range(20_000):
            line.send(b"ab")
            line.discard_sent()
        chip.core.raise_failure()


# a failure of the emulator itself


class DefectError(RuntimeError):
    """A defect of the emulator, for tests."""


@pytest.fixture
def defect(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Make every core of this process fail once the event is set."""
    turn, happens = Runner.turn, threading.Event()

    def failing(runner: Runner) -> None:
        if happens.is_set():
            raise DefectError("a peripheral's model is wrong")
        turn(runner)

    monkeypatch.setattr(Runner, "turn", failing)
    return happens


@contextmanager
def failing_soon() -> Iterator[None]:
    """Expect the emulator's own error, with its cause, long before any time-out."""
    began = time.monotonic()
    with pytest.raises(EmulatorError, match="DefectError: a peripheral's model is wrong") as told:
        yield
    assert time.monotonic() - began < SOON_S
    assert isinstance(told.value.__cause__, DefectError)
    assert told.value.verdict is Verdict.PROBE
    assert not told.value.is_worth_retry


@contextmanager
def target() -> Iterator[EmulatedTarget]:
    segments = read_segments(thumb.assemble(PENDING))
    opened = EmulatedTarget(BOARD)
    opened.open()
    opened.flash(Image(Path("none.elf"), bytes(20), (), segments, Footprint(*[0] * 6)))
    opened.reset()
    try:
        yield opened
    finally:
        emulated = opened.emulated
        with suppress(EmulatorError):
            opened.close()
        assert not emulated.chip.powered


@pytest.mark.parametrize("waits", [True, False])
def test_a_failure_of_the_emulator_reaches_the_serial_port_at_once(
    defect: threading.Event, *, waits: bool
) -> None:
    with target() as board:
        port = board.serial()
        port.timeout = 60.0
        defect.set()
        attend = board.emulated.chip.waiting.attend
        timer = threading.Timer(0.2 if waits else 0.0, attend)
        timer.start()
        with failing_soon():
            port.read(1)
        timer.join()
        with failing_soon():
            port.write(b"a")


def test_a_failure_of_the_emulator_reaches_the_debugger_at_once(defect: threading.Event) -> None:
    with target() as board:
        defect.set()
        with failing_soon():
            board.reset()


def test_a_program_ends_when_the_emulator_fails(defect: threading.Event) -> None:
    defect.set()
    with failing_soon():
        emulate.run(thumb.assemble(PENDING), BOARD)


def test_the_traceback_of_a_failure_is_in_the_log(
    defect: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    defect.set()
    with running(chip_with(PENDING)) as chip, failing_soon():
        chip.core.halt(0)
        chip.core.halt(0)
    assert "DefectError: a peripheral's model is wrong" in caplog.text
    assert "in failing" in caplog.text


# pseudo-terminals


@pytest.mark.parametrize("unread", [0, 100, 70_000, 500_000])
def test_a_terminal_closes_whatever_nobody_has_read(unread: int) -> None:
    chip = chip_with(PENDING)
    line = chip.usarts["usart1"].line
    terminal = Terminal(line)
    line.put(bytes(unread))
    closing = threading.Thread(target=terminal.close, daemon=True)
    closing.start()
    closing.join(SOON_S)
    assert not closing.is_alive()


def test_a_terminal_gives_all_that_the_firmware_sent_to_who_reads_late() -> None:
    line = chip_with(PENDING).usarts["usart1"].line
    terminal = Terminal(line)
    sent = bytes(i % 251 for i in range(200_000))
    line.put(sent)
    try:
        with Path(terminal.device).open("rb", buffering=0) as port:
            read = b""
            while len(read) < len(sent):
                read += port.read(len(sent))
            assert read == sent
    finally:
        terminal.close()
