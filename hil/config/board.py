"""A kind of board, as `boards/*.toml` describes it."""

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hil.errors import UsageError
from hil.paths import BOARDS


@dataclass(frozen=True)
class Region:
    """A memory region of the chip."""

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
class Board:
    """A kind of hardware.

    Attributes:
        chip: names the start-up code and linker script in `firmware/chips`.
        pyocd_target: pyOCD's name of the part, which chooses the flash algorithm.
        clock_hz: core clock that the firmware sets up.
        uart, baud: the link's USART and its speed.
        probe_id, port: this desk's probe and serial port; empty to let pyOCD and pyserial find
            them.
        renode: this desk's Renode, an executable or its folder; empty to look for one.
    """

    name: str
    description: str
    chip: str
    cpu: str
    pyocd_target: str
    clock_hz: int
    flash_wait_states: int
    flash: Region
    sram: Region
    ccm: Region
    uart: str
    baud: int
    probe_id: str = ""
    port: str = ""
    renode: str = ""

    def on_desk(
        self, *, probe_id: str | None, port: str | None, renode: str | None = None
    ) -> "Board":
        """Return the board with this desk's probe, serial port and Renode in place of its own."""
        return replace(
            self,
            probe_id=probe_id or self.probe_id,
            port=port or self.port,
            renode=renode or self.renode,
        )


def names() -> list[str]:
    """Boards that can be asked for."""
    return sorted(path.stem for path in BOARDS.glob("*.toml"))


def load(name: str, directory: Path = BOARDS) -> Board:
    """Read a board's description.

    Raises:
        UsageError: there is no such board (the error lists those there are), or its file lacks an
            entry.
    """
    path = directory / f"{name}.toml"
    if not path.is_file():
        raise UsageError.unknown("board", name, [p.stem for p in directory.glob("*.toml")])
    try:
        return _parse(name, tomllib.loads(path.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error
    except KeyError as error:
        raise UsageError(
            f"{path} lacks the entry {error}", hint="compare it with boards/stm32f439.toml"
        ) from error


def _parse(name: str, entries: dict[str, Any]) -> Board:
    regions = {key: Region(**entries["memory"][key]) for key in ("flash", "sram", "ccm")}
    probe = entries.get("probe", {})
    return Board(
        name=name,
        description=entries["description"],
        chip=entries["chip"],
        cpu=entries["cpu"],
        pyocd_target=entries["pyocd_target"],
        clock_hz=entries["clock"]["hz"],
        flash_wait_states=entries["clock"]["flash_wait_states"],
        flash=regions["flash"],
        sram=regions["sram"],
        ccm=regions["ccm"],
        uart=entries["link"]["uart"],
        baud=entries["link"]["baud"],
        probe_id=probe.get("unique_id", ""),
        port=probe.get("port", ""),
    )
