"""What goes wrong with a board on a desk, one line each: its verdict, and the next run is green.

The board is an emulated one behind pyOCD's probe server and a pseudo-terminal, so that a run meets
it as one on a desk. docs/boards.md has the table of verdicts.
"""

import errno
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Timer

import numpy as np
import pytest
from faulty_desk import FACTORY, PATIENCE_S, Desk, desk, stale
from test_end_to_end import open_session

from hil import files
from hil.errors import UsageError, Verdict
from hil.run.measurement import Prepared
from hil.targets import lock, ports
from hil.targets.emulator.faults import Faults

PAGE = Path(__file__).parent.parent / "docs/boards.md"
GIVEN_UP_S = 200.0
"""Of any run here, on a machine that does much else."""

_RDP_1, _WATCHDOG = FACTORY & ~0xFF00 | 0x5500, FACTORY & ~(1 << 5)
_WRITE_PROTECTED = FACTORY & ~(1 << 16)
_NOWHERE, _LOOP_AT, _CCM = 0xE000_0000, 0x2001_0000, 0x1000_0000


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        name: as docs/boards.md has it.
        verdict: of the run that meets it.
        plant: makes it so.
        says: words of the error; empty where the run ends well all the same.
        refused: by the harness alone, the board as well as before: the next fault's run shows it.
        rows: metrics that the run keeps, with their values.
        counts: a metric that is above 0; empty for none.
    """

    name: str
    verdict: Verdict
    plant: Callable[[Desk], object]
    says: str = ""
    refused: bool = False
    rows: tuple[tuple[str, float], ...] = ()
    counts: str = ""


def _erased(then: Callable[[Desk], object]) -> Callable[[Desk], object]:
    """With flash that holds nothing, so that there is something to do."""

    def plant(at: Desk) -> None:
        at.chip.flash_controller._erase_all()
        then(at)

    return plant


def _silent(then: Callable[[Desk], object]) -> Callable[[Desk], object]:
    """Where nothing ever answers, however long it is waited for: not for long."""

    def plant(at: Desk) -> None:
        at.options["hil_timeout"] = 2.0
        at.limit_greeting_again(0.2)
        then(at)

    return plant


def _late(at: Desk) -> None:
    device = at.link.readlink()
    at.link.unlink()
    at.wait_for_port(PATIENCE_S)
    Timer(3.0, lambda: at.link.symlink_to(device)).start()


def _freed_while_waited_for(at: Desk) -> None:
    at.options["hil_lock_wait"] = PATIENCE_S
    at.hold("the run before")
    at.stages.update(waiting=at.let_go)


def _dead_crystal(at: Desk) -> None:
    _believe(clock_source="hse")(at)
    at.prepared = at.build()
    at.crystal_hz = 0


def _noise_at_speed(at: Desk) -> None:
    at.plant(Faults(seed=7, serial_flip=0.02, serial_bears=500_000))


def _no_greeting_at_speed(at: Desk) -> None:
    if at.current is None:
        at.run()  # so that the firmware knows its port, and answers damaged requests at once
    at.options["hil_retries"] = 1
    at.plant(Faults(seed=7, serial_flip=0.15, serial_bears=500_000))


def _hang(at: Desk) -> None:
    at.chip.load(_LOOP_AT, b"\xfe\xe7")
    at.set_register("pc", _LOOP_AT)


def _hangs(at: Desk) -> None:
    at.limit_work(2.0)
    at.in_inference(lambda: _hang(at))


def _overflow(at: Desk) -> None:
    """Let the core push for ever, wherever it was stopped, with its stack at memory's lowest."""
    at.chip.load(_LOOP_AT, b"\xff\xb5\xfd\xe7")  # again: push {r0-r7, lr}; b again
    at.set_register("sp", _CCM)
    at.set_register("pc", _LOOP_AT)


def _believe(**wrong: object) -> Callable[[Desk], object]:
    return lambda at: setattr(at, "believed", lambda board: replace(board, **wrong))


def _noise(rate: float) -> Callable[[Desk], object]:
    def plant(at: Desk) -> None:
        noise = Faults(seed=7, serial_loss=rate, serial_flip=rate, serial_double=rate)
        at.plant(noise)

    return plant


def _one_slow_sector(at: Desk) -> None:
    flash = at.chip.flash_controller
    flash._erase_range(0x200, 0x204)  # else nothing is to be done
    at.plant(Faults(erase_s=4.0))


def _endless_erase(at: Desk) -> None:
    at.limit_erasing(1.0)
    at.plant(Faults(erase_s=math.inf))


FAULTS = (
    Fault(
        "probe gone while connecting",
        Verdict.PROBE,
        lambda at: at.at_access(40, at.served.unplug),
        "the probe server has closed the connection",
    ),
    Fault(
        "probe gone while erasing",
        Verdict.PROBE,
        _erased(lambda at: at.at_step("erase", at.served.unplug)),
        "failed while programming",
    ),
    Fault(
        "probe gone while programming",
        Verdict.PROBE,
        _erased(lambda at: at.at_step("program", at.served.unplug)),
        "failed while programming",
    ),
    Fault(
        "probe gone while running",
        Verdict.PROBE,
        lambda at: at.stages.update(running=at.served.unplug),
        "failed while reading memory",
    ),
    Fault(
        "an erase that never ends",
        Verdict.FLASH,
        _erased(_endless_erase),
        "failed while programming",
    ),
    Fault("a sector that takes 4 s to erase", Verdict.PASS, _one_slow_sector),
    Fault(
        "flash that reads back otherwise",
        Verdict.FLASH,
        _erased(lambda at: setattr(at.chip.flash_controller, "stuck", frozenset({0x44}))),
        "flash reads 0x00 at 0x08000044",
    ),
    Fault(
        "1 % of SWD accesses answer FAULT",
        Verdict.PROBE,
        lambda at: at.plant(Faults(swd_fault=0.01)),
        "pyOCD failed",
    ),
    Fault(
        "1 % of SWD accesses answer WAIT",
        Verdict.PROBE,
        lambda at: at.plant(Faults(swd_wait=0.01)),
        "pyOCD failed",
    ),
    Fault("serial bytes lost, flipped, doubled: 1e-4 of each", Verdict.PASS, _noise(1e-4)),
    Fault(
        "serial bytes lost, flipped, doubled: 1e-3 of each",
        Verdict.PASS,
        _noise(1e-3),
        counts="link.resends",
    ),
    Fault(
        "serial line that damages bytes above 500,000 baud",
        Verdict.PASS,
        _noise_at_speed,
        rows=(("link.baud", 460_800),),
    ),
    Fault(
        "serial line on which no greeting passes above 500,000 baud",
        Verdict.PASS,
        _no_greeting_at_speed,
        rows=(("link.baud", 460_800), ("setup.recovery.slower", 1)),
    ),
    Fault("serial port 3 s late", Verdict.PASS, _late),
    Fault(
        "serial port busy",
        Verdict.LINK,
        lambda at: at.open_port(),
        "cannot be opened",
        refused=True,
    ),
    Fault(
        "serial port absent",
        Verdict.LINK,
        lambda at: at.link.unlink(),
        "cannot be opened",
        refused=True,
    ),
    Fault(
        "serial port gone half way",
        Verdict.LINK,
        lambda at: at.stages.update(running=at.served.emulated.close_terminal),
        "the serial port failed",
    ),
    Fault(
        "serial port at the wrong baud rate",
        Verdict.BOOT,
        _silent(_believe(baud=460_800)),
        "listens on PA10 (usart1), PA3 (usart2) and PD9 (usart3) at 460,800 baud",
        refused=True,
    ),
    Fault(
        "serial port on another UART",
        Verdict.BOOT,
        _silent(lambda at: at.rewire("usart6")),
        "--board=nucleo_f439zi listens on PD6",
    ),
    Fault(
        "another image answers",
        Verdict.FLASH,
        lambda at: setattr(at, "prepared", stale(at.prepared)),
        "the board runs image",
        refused=True,
    ),
    Fault(
        "a board of another kind",
        Verdict.PROBE,
        _believe(dev_id=0x413),
        "has the DEV_ID 0x419",
        refused=True,
    ),
    Fault(
        "a board that another run holds",
        Verdict.LOCK,
        lambda at: at.hold("another run"),
        "another run",
        refused=True,
    ),
    Fault("two runs that want one board", Verdict.PASS, _freed_while_waited_for),
    Fault("a crystal that is dead", Verdict.PASS, _dead_crystal, rows=(("clock.fallback", 1),)),
    Fault(
        "read-out protection",
        Verdict.PROBE,
        lambda at: at.program_options(_RDP_1),
        "read-out protection is on",
    ),
    Fault(
        "hardware watchdog",
        Verdict.PROBE,
        lambda at: at.program_options(_WATCHDOG),
        "WDG_SW",
        refused=True,
    ),
    Fault(
        "write-protected sectors",
        Verdict.FLASH,
        lambda at: at.program_options(_WRITE_PROTECTED),
        "against writing: 0",
        refused=True,
    ),
    Fault(
        "brown-out in the middle of inference",
        Verdict.LINK,
        lambda at: at.in_inference(at.chip.brown_out),
        "reset by brown-out",
    ),
    Fault(
        "firmware that hangs",
        Verdict.TIMEOUT,
        _hangs,
        "does not come back",
    ),
    Fault(
        "firmware that faults",
        Verdict.FAULT,
        lambda at: at.in_inference(lambda: at.set_register("pc", _NOWHERE)),
        "IACCVIOL",
    ),
    Fault(
        "firmware whose stack overflows",
        Verdict.FAULT,
        lambda at: at.in_inference(lambda: _overflow(at)),
        "STKERR",
    ),
)


@pytest.fixture(scope="module", autouse=True)
def _quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(lock.VARIABLE, str(tmp_path_factory.mktemp("locks")))
        patch.setattr(ports, "LATE_S", 0.5)
        yield


def _prepare(scenario: Path) -> Prepared:
    session = open_session(scenario.parent, scenario=str(scenario))
    return session.prepare(session.scenarios[0])


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("desk"), _prepare) as made:
        yield made


@contextmanager
def planted(faulty: Desk, fault: Fault) -> Iterator[None]:
    prepared = faulty.prepared
    fault.plant(faulty)
    try:
        yield
    finally:
        faulty.prepared = prepared
        faulty.mend()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.name))
def test_a_fault_has_its_verdict_and_the_next_run_is_green(faulty: Desk, fault: Fault) -> None:
    with planted(faulty, fault):
        met = faulty.run()
    assert met.verdict is fault.verdict, met.error
    assert fault.says in str(met.error)
    assert met.seconds < GIVEN_UP_S
    assert met.rows, "no row was kept"
    assert faulty.is_free  # the board is mended; only the run could hold it
    if met.result is not None:
        assert np.array_equal(met.result.outputs, faulty.prepared.expected)
        kept = {row.metric.name: row.metric.value for row in met.rows}
        assert [(name, kept.get(name)) for name, _ in fault.rows] == list(fault.rows)
        assert not fault.counts or kept[fault.counts] > 0
    if fault.refused or met.result is not None:
        return
    again = faulty.run()
    assert again.error is None
    assert again.verdict is Verdict.PASS
    assert faulty.is_free


def test_a_disk_that_is_full_ends_a_run_and_the_board_is_free(
    faulty: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(files, "replace", full)
        met = faulty.run()
    assert isinstance(met.error, UsageError)
    assert "results cannot be written: [Errno 28] No space left on device" in str(met.error)
    assert faulty.is_free
    assert faulty.run().verdict is Verdict.PASS


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.name))
def test_the_page_has_the_verdict(fault: Fault) -> None:
    ending = "ends well" if fault.verdict is Verdict.PASS else f"`{fault.verdict}`"
    assert f"| {fault.name} | {ending} |" in PAGE.read_text(encoding="utf-8")
