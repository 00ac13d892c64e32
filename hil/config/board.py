"""A kind of board, as `boards/*.toml` describes it."""

import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, structs

from hil import files
from hil.config.inventory import Unit
from hil.config.toml import Entries, read
from hil.errors import UsageError
from hil.limits import limit
from hil.paths import BOARDS

Use: TypeAlias = Literal["code", "data", "dma"]
ClockSource: TypeAlias = Literal["hsi", "hse", "hse-bypass"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,30}")  # the firmware says it in 32 bytes
_Text: TypeAlias = Annotated[str, Meta(min_length=1)]
_Address: TypeAlias = Annotated[int, Meta(ge=0, lt=1 << 32)]
_Bytes: TypeAlias = Annotated[int, Meta(gt=0, le=1 << 32)]
_Pin: TypeAlias = Annotated[str, Meta(pattern=r"^P[A-K](\d|1[0-5])$")]
_Uart: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9]*$")]
_Hertz: TypeAlias = Annotated[int, Meta(gt=0, lt=1 << 32)]


@dataclass(frozen=True)
class Region:
    """A range of addresses."""

    address: int
    bytes: int

    @property
    def end(self) -> int:
        """First address past the region."""
        return self.address + self.bytes

    def holds(self, address: int) -> bool:
        """Whether the address lies in the region."""
        return self.address <= address < self.end


@dataclass(frozen=True)
class Flash:
    """What a flash memory can do.

    Attributes:
        sectors: bytes of each sector, from the first address on; a sector is erased at once.
        programs_bytes: the widest store that is programmed at once.
        wait_states: of a read at the board's clock.
        read_bits: how wide a read is, and with it a line of the chip's flash caches.
    """

    sectors: tuple[int, ...]
    programs_bytes: int
    wait_states: int
    read_bits: int = 128


@dataclass(frozen=True)
class Sdram:
    """SDRAM behind the chip's memory controller, as its data sheet has it.

    Attributes:
        bank: of the controller. bits: of its data.
        columns, rows: bits of the addresses. cas: latency, in its cycles.
        clock_divider: the core's cycles in one of its own.
        refresh_ms: within which each row has to be refreshed.
        mode_to_active, exit_self_refresh, self_refresh, row_cycle, write_recovery, precharge,
            row_to_column: in its cycles: tMRD, tXSR, tRAS, tRC, tWR, tRP, tRCD.
        pins: all that lead there.
    """

    bank: int
    bits: int
    columns: int
    rows: int
    cas: int
    clock_divider: int
    refresh_ms: int
    mode_to_active: int
    exit_self_refresh: int
    self_refresh: int
    row_cycle: int
    write_recovery: int
    precharge: int
    row_to_column: int
    pins: tuple[str, ...]


@dataclass(frozen=True)
class Memory(Region):
    """A memory with a bus port of its own, in the chip or at its memory controller.

    Attributes:
        name: as the chip's manual spells it.
        uses: "code": the core fetches from it; "data": stores reach it; "dma": so do the other
            bus masters.
        flash: None of RAM.
        sdram: of a memory that the firmware has to bring up; None of the chip's own.
    """

    name: str
    uses: frozenset[Use]
    flash: Flash | None = None
    sdram: Sdram | None = None

    @property
    def region(self) -> Region:
        """The addresses alone, without what may lie there."""
        return Region(self.address, self.bytes)


@dataclass(frozen=True)
class SerialPort:
    """A serial port of the chip on two of its pins, such as PA9 and PA10."""

    uart: str
    tx: str
    rx: str


@dataclass(frozen=True)
class Board:
    """A kind of hardware.

    Attributes:
        chip: names the start-up code and linker script in `firmware/chips`, or of an installed
            package: see `hil.build.chips`.
        pyocd_target: pyOCD's name of the part, which chooses the flash algorithm.
        dev_id, rev_id: the part's identity in DBGMCU_IDCODE, and a revision of it.
        clock_hz: core clock that the firmware sets up.
        hse_hz: the board's crystal, or what drives the pin in its place.
        clock_source: what the core's clock is made from: the internal oscillator, a crystal, or a
            clock that drives the crystal's pin.
        memories: by rising address, none over another.
        uart, tx, rx, baud: the link's USART, its pins, such as PA9, and its speed.
        also: further serial ports at which the image may be greeted.
        forbidden: pins that carry something else, and are never listened to.
        led: the pin of a light, for people to tell boards apart; empty for none.
        probe_id, port: this desk's probe and serial port; empty to let pyOCD and pyserial find
            them. The name of a board of the inventory stands for its probe.
        units: the physical boards of this kind that the inventory names.
        lock_wait_s: how long to wait for one that others use.
        arena_outside: whether activations go to the external memory.
        renode: this desk's Renode, an executable or its folder; empty to look for one.
    """

    name: str
    description: str
    chip: str
    cpu: str
    pyocd_target: str
    dev_id: int
    rev_id: int
    clock_hz: int
    hse_hz: int
    memories: tuple[Memory, ...]
    uart: str
    tx: str
    rx: str
    baud: int
    also: tuple[SerialPort, ...] = ()
    forbidden: tuple[str, ...] = ()
    led: str = ""
    clock_source: ClockSource = "hsi"
    probe_id: str = ""
    port: str = ""
    renode: str = ""
    units: tuple[Unit, ...] = ()
    lock_wait_s: float = 300.0
    arena_outside: bool = False

    @property
    def ports(self) -> tuple[SerialPort, ...]:
        """The serial ports at which the image may be greeted, the board's own first."""
        return (SerialPort(self.uart, self.tx, self.rx), *self.also)

    def memory(self, name: str) -> Memory | None:
        """Return the memory of a name, as the board's file spells it; None if there is none."""
        return next((memory for memory in self.memories if memory.name == name), None)

    @property
    def flash(self) -> Memory:
        """The flash that programs stand in."""
        return next(memory for memory in self.memories if memory.flash is not None)

    @property
    def flash_wait_states(self) -> int:
        """Wait states of the flash at the board's clock."""
        return self._geometry.wait_states

    @property
    def flash_sectors(self) -> tuple[int, ...]:
        """Bytes of each sector of the flash, from its first address on."""
        return self._geometry.sectors

    @property
    def flash_read_bits(self) -> int:
        """How wide a read of the flash is."""
        return self._geometry.read_bits

    @property
    def regions(self) -> tuple[Memory, ...]:
        """The memories, RAM joined where it adjoins RAM of the same uses: SRAM1 to 3 is `sram`."""
        joined: list[Memory] = []
        for memory in self.memories:
            last = joined[-1] if joined else None
            if last and _adjoin(last, memory):
                name = last.name.rstrip("0123456789")
                joined[-1] = replace(last, name=name, bytes=last.bytes + memory.bytes)
            else:
                joined.append(memory)
        return tuple(joined)

    @property
    def sram(self) -> Memory:
        """The largest RAM of the chip that every bus master reaches."""
        return max(
            (
                one
                for one in self.regions
                if {"data", "dma"} <= one.uses and one.flash is None and one.sdram is None
            ),
            key=lambda one: one.bytes,
        )

    @property
    def external(self) -> Memory | None:
        """The memory outside the chip, None without."""
        return next((one for one in self.memories if one.sdram is not None), None)

    @property
    def arena(self) -> Memory:
        """The memory that activations are in."""
        outside = self.external if self.arena_outside else None
        return outside or self.sram

    @property
    def ccm(self) -> Memory | None:
        """RAM that the core alone reaches, for the stack and scratch; None on a chip without."""
        return next((one for one in self.regions if one.uses == {"data"}), None)

    @property
    def _geometry(self) -> Flash:
        flash = self.flash.flash
        if flash is None:
            raise UsageError(f"the board {self.name} has no flash")
        return flash

    def on_desk(
        self,
        *,
        probe_id: str | None,
        port: str | None,
        renode: str | None = None,
        units: Iterable[Unit] = (),
    ) -> "Board":
        """Return the board with this desk's probe, serial port and Renode in place of its own.

        Args:
            probe_id: as the command line names it; None for the board's file's.
            port: likewise.
            renode: likewise.
            units: of the inventory, of any kind.
        """
        return replace(
            self,
            units=tuple(unit for unit in units if unit.kind == self.name),
            probe_id=probe_id or self.probe_id,
            port=port or self.port,
            renode=renode or self.renode,
        )


def _adjoin(first: Memory, second: Memory) -> bool:
    ram = all(one.flash is None and one.sdram is None for one in (first, second))
    return ram and first.end == second.address and first.uses == second.uses


class _Sectors(Entries, frozen=True):
    """Sectors of one size, side by side."""

    count: Annotated[int, Meta(gt=0, le=4096)]
    bytes: _Bytes


_Cycles: TypeAlias = Annotated[int, Meta(ge=1, le=16)]


class _Sdram(Entries, frozen=True):
    """Table `[memory.sdram]`: what the memory's data sheet says, at the speed it runs at."""

    bank: Literal[1, 2]
    bits: Literal[16]
    columns: Annotated[int, Meta(ge=8, le=11)]
    rows: Annotated[int, Meta(ge=11, le=13)]
    cas: Annotated[int, Meta(ge=1, le=3)]
    clock_divider: Literal[2, 3]
    refresh_ms: Annotated[int, Meta(ge=1, le=1000)]
    mode_to_active: _Cycles
    exit_self_refresh: _Cycles
    self_refresh: _Cycles
    row_cycle: _Cycles
    write_recovery: _Cycles
    precharge: _Cycles
    row_to_column: _Cycles
    pins: Annotated[tuple[_Pin, ...], Meta(min_length=1)]


class _Memory(Entries, frozen=True):
    """A table of `[[memory]]`: RAM, or flash where it has sectors."""

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*$")]
    address: _Address
    bytes: _Bytes
    uses: Annotated[list[Use], Meta(min_length=1)]
    sectors: list[_Sectors] | None = None
    programs_bytes: Annotated[int, Meta(gt=0, le=1024)] | None = None
    wait_states: Annotated[int, Meta(ge=0, le=15)] | None = None
    read_bits: Literal[64, 128] = 128
    sdram: _Sdram | None = None

    def __post_init__(self) -> None:
        """Hold its entries against each other."""
        if self.address + self.bytes > 1 << 32:
            raise ValueError("the memory reaches past the last address, 0xffffffff")
        of_flash = (self.sectors, self.programs_bytes, self.wait_states)
        if any(one is not None for one in of_flash) and any(one is None for one in of_flash):
            raise ValueError("flash needs all of sectors, programs_bytes and wait_states")
        if self.sectors is not None:
            whole = sum(one.count * one.bytes for one in self.sectors)
            if whole != self.bytes:
                raise ValueError(f"its sectors have {whole:,} B, the flash {self.bytes:,} B")

    def made(self) -> Memory:
        """Return what the rest of the harness reads."""
        flash = None
        if self.sectors is not None:
            sizes = tuple(one.bytes for one in self.sectors for _ in range(one.count))
            flash = Flash(sizes, self.programs_bytes or 0, self.wait_states or 0, self.read_bits)
        sdram = Sdram(**structs.asdict(self.sdram)) if self.sdram is not None else None
        return Memory(self.address, self.bytes, self.name, frozenset(self.uses), flash, sdram)


class _Clock(Entries, frozen=True):
    """Table `[clock]`."""

    hz: _Hertz
    hse_hz: _Hertz
    source: ClockSource = "hsi"


class _Port(Entries, frozen=True):
    """A serial port: an entry of `also` in `[link]`."""

    uart: _Uart
    tx: _Pin
    rx: _Pin

    def made(self) -> SerialPort:
        """Return what the rest of the harness reads."""
        return SerialPort(self.uart, self.tx, self.rx)


class _Link(Entries, frozen=True):
    """Table `[link]`: the board's own port, and others at which the same image is greeted."""

    uart: _Uart
    tx: _Pin
    rx: _Pin
    baud: _Hertz
    also: tuple[_Port, ...] = ()
    forbidden: tuple[_Pin, ...] = ()

    def __post_init__(self) -> None:
        """Hold the ports against each other, and against pins that carry something else."""
        ports = [_Port(self.uart, self.tx, self.rx), *self.also]
        if len(ports) > limit("PORT_MOST"):
            raise ValueError(f"the firmware listens to {limit('PORT_MOST')} ports at most")
        uarts = [port.uart for port in ports]
        twice = next((uart for uart in uarts if uarts.count(uart) > 1), None)
        if twice:
            raise ValueError(f"{twice} is there twice: it can be listened to on one pin")
        for port in ports:
            pins = [pin for pin in (port.tx, port.rx) if pin in self.forbidden]
            if pins:
                raise ValueError(f"{port.uart} is on {pins[0]}, which is forbidden")


class _Led(Entries, frozen=True):
    """Table `[led]`."""

    pin: _Pin


class _Probe(Entries, frozen=True):
    """Table `[probe]`."""

    unique_id: str = ""
    port: str = ""


class _BoardFile(Entries, frozen=True):
    """A file of boards/."""

    description: _Text
    chip: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*$")]
    cpu: Literal["cortex-m4"]
    pyocd_target: _Text
    dev_id: Annotated[int, Meta(ge=0, le=0xFFF)]
    rev_id: Annotated[int, Meta(ge=0, le=0xFFFF)]
    clock: _Clock
    memory: list[_Memory]
    link: _Link
    led: _Led | None = None
    probe: _Probe = _Probe()

    def __post_init__(self) -> None:
        """Hold the memories against each other."""
        names = [one.name for one in self.memory]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"two of [[memory]] are named {twice!r}")
        for first, second in pairwise(self.sorted_memory()):
            if first.address + first.bytes > second.address:
                raise ValueError(f"the memories {first.name!r} and {second.name!r} overlap")
        if sum(one.sectors is not None for one in self.memory) != 1:
            raise ValueError("one of [[memory]] must be flash: have sectors")
        own = [one for one in self.memory if one.sectors is None and one.sdram is None]
        if sum(one.sdram is not None for one in self.memory) > 1:
            raise ValueError("one of [[memory]] at most may have an sdram table")
        if not any({"data", "dma"} <= {*one.uses} for one in own):
            raise ValueError('one of [[memory]] must be RAM: uses = ["code", "data", "dma"]')

    def sorted_memory(self) -> list[_Memory]:
        """The memories by rising address."""
        return sorted(self.memory, key=lambda one: one.address)


def folders() -> list[Path]:
    """Return where boards are looked for by name, the first that has one wins.

    These are the folders of $HIL_BOARDS, separated as in $PATH, the current project's `boards/`,
    and the package's.
    """
    named = [Path(one) for one in os.environ.get("HIL_BOARDS", "").split(os.pathsep) if one]
    return [*named, Path("boards"), BOARDS]


def names() -> list[str]:
    """Boards that can be asked for by name."""
    return sorted({path.stem for folder in folders() for path in folder.glob("*.toml")})


def known() -> list[Board]:
    """Return the boards that can be asked for by name and whose files can be read."""
    found = []
    for name in names():
        with suppress(UsageError):
            found.append(load(name))
    return found


def load(name: str, directory: Path | None = None) -> Board:
    """Read a board's description.

    Args:
        name: of the board, or the path of its TOML file.
        directory: where names are looked for; None for `folders()`.

    Raises:
        UsageError: there is no such board (the error lists those there are), or its file says
            something wrong (the error names the key).
    """
    path = _path(name, [directory] if directory else folders())
    if not _NAME.fullmatch(path.stem):
        raise UsageError(
            f"{path}: {path.stem!r} is no name of a board",
            hint="letters, digits, '_' and '-', at most 31 of them",
        )
    entries = read(path, _BoardFile)
    return Board(
        name=path.stem,
        description=entries.description,
        chip=entries.chip,
        cpu=entries.cpu,
        pyocd_target=entries.pyocd_target,
        dev_id=entries.dev_id,
        rev_id=entries.rev_id,
        clock_hz=entries.clock.hz,
        hse_hz=entries.clock.hse_hz,
        clock_source=entries.clock.source,
        memories=tuple(one.made() for one in entries.sorted_memory()),
        uart=entries.link.uart,
        tx=entries.link.tx,
        rx=entries.link.rx,
        baud=entries.link.baud,
        also=tuple(port.made() for port in entries.link.also),
        forbidden=entries.link.forbidden,
        led=entries.led.pin if entries.led else "",
        probe_id=entries.probe.unique_id,
        port=entries.probe.port,
    )


def _path(name: str, places: Sequence[Path]) -> Path:
    """Find a board's file. Raises UsageError."""
    if name.endswith(".toml"):
        path = Path(name).expanduser()
        if files.is_file(path):
            return path
        raise UsageError(f"there is no file {name} of a board", hint="name one that exists")
    found = (folder / f"{name}.toml" for folder in places if _NAME.fullmatch(name))
    path_found = next((path for path in found if files.is_file(path)), None)
    if path_found is None:
        known = sorted({path.stem for folder in places for path in folder.glob("*.toml")})
        error = UsageError.unknown("board", name, known)
        error.hint += "; or the path of a TOML file"
        raise error
    return path_found
