"""A served board that faults are planted in, and runs that meet it as one on a desk."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest import mock

from emulated import BOARD
from test_end_to_end import LAYER, usual_options

from hil.config import inventory
from hil.config.board import Board
from hil.errors import MeasurementError, UsageError, Verdict
from hil.results import table
from hil.results.rows import Row
from hil.run import measurement, recovery
from hil.run.measurement import Measurement, Prepared
from hil.run.session import Session
from hil.targets import debugger, lock, ports
from hil.targets.emulator import serve
from hil.targets.emulator.chips.stm32.chip import Chip
from hil.targets.emulator.chips.stm32f4.option_bytes import OptionBytes
from hil.targets.emulator.faults import Faults, plant
from hil.targets.emulator.serve import Served

FACTORY = 0x0FFF_AAEC  # of FLASH_OPTCR
PATIENCE_S = 60.0
"""How long a run waits for what comes in the end, however slow the machine."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        result: None where it came to none; `error` is why.
        rows: that it has kept.
        seconds: it took, flashing in it.
    """

    result: Measurement | None
    error: Exception | None
    rows: list[Row]
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """The only verdict of its rows beside pass."""
        (one,) = {row.metric.verdict for row in self.rows} - {Verdict.PASS} or {Verdict.PASS}
        return one


@dataclass
class Desk:
    """A served board, and what runs on it.

    Attributes:
        prepared: an image for it.
        folder: of inventories, results and the port's link.
        stages: what is done when a run tells of a stage that begins with these words.
        options: of the command line, where they are not the usual ones.
        watch: told each stage.
        current: the last run.
        believed: makes of the board's file what a run takes it for.
    """

    served: Served
    prepared: Prepared
    folder: Path
    stages: dict[str, Callable[[], object]] = field(default_factory=dict)
    options: dict[str, object] = field(default_factory=dict)
    watch: Callable[[str], object] = lambda _stage: None
    believed: Callable[[Board], Board] = lambda board: board
    current: Session | None = None
    _number: int = 0
    _held: ExitStack = field(default_factory=ExitStack)

    @property
    def link(self) -> Path:
        """The serial port's."""
        return self.folder / "tty"

    @property
    def chip(self) -> Chip:
        """The board's."""
        return self.served.emulated.chip

    def program_options(self, value: int) -> None:
        """Set option bytes, as a programmer's tool would."""
        options = self.chip.options
        assert isinstance(options, OptionBytes)
        if options.value != value:
            options.program(value)

    def plant(self, faults: Faults) -> None:
        """Have the board fail so from now on."""
        plant(faults, self.served.emulated)

    def rewire(self, uart: str) -> None:
        """Put the serial port on another USART."""
        emulated = self.served.emulated
        emulated.close_terminal()
        emulated.uart = uart
        emulated.open_terminal(str(self.link))
        self.plant(Faults())

    def limit_erasing(self, seconds: float) -> None:
        """Have the harness give a sector less time than pyOCD's 10 s."""
        limit = {"flash.timeout.erase_sector": seconds}
        self._held.enter_context(mock.patch.dict(debugger._SESSION_OPTIONS, limit))

    def limit_work(self, seconds: float) -> None:
        """Have the harness give a silent inference less than its 30 s, a hello as ever."""
        patched = mock.patch.object(measurement, "longest_work_s", return_value=seconds)
        self._held.enter_context(patched)

    def limit_greeting_again(self, seconds: float) -> None:
        """Have a rung of the ladder be of no help sooner than after its 5 s."""
        self._held.enter_context(mock.patch.object(recovery, "AGAIN_S", seconds))

    def at_access(self, number: int, act: Callable[[], object]) -> None:
        """Do something at one of the debugger's accesses from now on."""
        left = iter(range(number))
        ended = object()

        def count() -> None:
            if next(left, ended) is ended:
                self.served.emulated.on_access = lambda: None
                act()

        self.served.emulated.on_access = count

    def at_step(self, step: str, act: Callable[[], object]) -> None:
        """Do something when the flash controller begins to erase, or to program."""

        def told(now: str) -> None:
            if now == step:
                act()

        self.chip.flash_controller.on_step = told

    def in_inference(self, act: Callable[[], object]) -> None:
        """Do something while the firmware computes: once it has read the cycle counter."""

        def begin() -> None:
            self.chip.dwt.on_read = None
            threading.Thread(target=act).start()

        def arm() -> None:
            self.chip.dwt.on_read = begin

        self.stages["running"] = arm

    def set_register(self, name: str, value: int) -> None:
        """Have a core register lose its value."""
        with self.chip.paused():
            self.chip.core.write_register(name, value)

    def hold(self, why: str) -> None:
        """Have somebody else use the board."""
        probe = self.served.unit.probe
        self._held.enter_context(lock.held(probe, name="faulty", why=why, wait_s=0, tell=print))

    def let_go(self) -> None:
        """Have nobody else use the board any more."""
        self._held.close()

    def wait_for_port(self, seconds: float) -> None:
        """Have the harness wait so long for the serial port."""
        self._held.enter_context(mock.patch.object(ports, "LATE_S", seconds))

    def open_port(self) -> None:
        """Have somebody else use the serial port."""
        port = ports.open_exclusively(str(self.link), BOARD.baud)
        self._held.enter_context(closing(port))

    def build(self) -> Prepared:
        """Prepare the image for what a run takes the board for."""
        session = self.session()
        return session.prepare(session.scenarios[0])

    @property
    def crystal_hz(self) -> int:
        """What the board's crystal swings at, 0 for one that is dead."""
        return self.chip.rcc._hse_hz

    @crystal_hz.setter
    def crystal_hz(self, hz: int) -> None:
        self.chip.rcc._hse_hz = hz

    def mend(self) -> None:
        """Make the board well again."""
        self._held.close()
        self.crystal_hz = BOARD.hse_hz
        self.stages.clear()
        self.options.clear()
        self.believed = lambda board: board
        self.watch = lambda _stage: None
        self.served.plug()
        self.chip.dwt.on_read = None
        self.chip.flash_controller.on_step = None
        self.chip.flash_controller.stuck = frozenset()
        self.program_options(FACTORY)
        emulated = self.served.emulated
        if emulated.terminal is None or emulated.uart != BOARD.uart or not self.link.exists():
            self.rewire(BOARD.uart)
        self.plant(Faults())

    def session(self) -> Session:
        """Return a run that takes the board, with results of its own."""
        self._number += 1
        file = self.folder / f"boards-{self._number}.toml"
        file.write_text(inventory.text(self.served.unit), encoding="utf-8")
        usual = {"hil_target": "probe", "hil_timeout": PATIENCE_S, "hil_inventory": file}
        csv, scenario = self.folder / str(self._number) / "results.csv", self.folder / "layer.toml"
        said = usual_options(csv, str(scenario), **(usual | self.options))
        session = Session.from_options(said, self._at_stage)
        session.board = self.believed(session.board)
        return session

    def _at_stage(self, stage: str) -> None:
        self.watch(stage)
        for words in [words for words in self.stages if stage.startswith(words)]:
            self.stages.pop(words)()

    def run(self) -> Outcome:
        """Run the image once."""
        self.current = session = self.session()
        began = time.monotonic()
        result, error = None, None
        try:
            with session.flashed(self.prepared) as device:
                result = session.measure(self.prepared, device)
        except (MeasurementError, UsageError) as caught:
            error = caught
        seconds = time.monotonic() - began
        assert session.store is not None
        kept = session.store.csv
        return Outcome(result, error, table.load(kept) if kept.exists() else [], seconds)

    @property
    def is_free(self) -> bool:
        """Whether nobody holds the board."""
        return lock.holder(self.served.unit.probe) is None


@contextmanager
def desk(folder: Path, prepare: Callable[[Path], Prepared]) -> Iterator[Desk]:
    """Serve a board in this process while the block runs, so that tests can reach into it."""
    scenario = folder / "layer.toml"
    scenario.write_text(LAYER, encoding="utf-8")
    prepared = prepare(scenario)
    with serve.served(BOARD, "faulty", port=0, link=folder / "tty") as served:
        yield Desk(served, prepared, folder)


def stale(prepared: Prepared) -> Prepared:
    """The image under another build id, as where a build was not flashed."""
    return replace(prepared, image=replace(prepared.image, build_id=bytes(20)))
