"""What the harness asks a chip's registers through a debugger, whatever firmware runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hil.config.board import Board

ReadWord = Callable[[int], int]
"""Reads 32 bits at an address of the chip."""


@dataclass(frozen=True)
class Places:
    """Where a family of chips keeps its identity.

    Attributes:
        id_code: DBGMCU_IDCODE. flash_kib: 16 bits, the flash in KiB. unique_id: 96 bits.
    """

    id_code: int
    flash_kib: int
    unique_id: int


@dataclass(frozen=True)
class ClockTree:
    """Attributes: core_hz: of the core. wait_states: of the flash; the others: what is on."""

    core_hz: int
    wait_states: int
    prefetch: bool
    instruction_cache: bool
    data_cache: bool

    @classmethod
    def with_access(cls, core_hz: int, access: int) -> "ClockTree":
        """Return what FLASH_ACR says beside a core's clock; its bits are those of every family.

        Args:
            core_hz: the core's clock.
            access: the value of FLASH_ACR.
        """
        return cls(
            core_hz=core_hz,
            wait_states=access & 15,
            prefetch=bool(access & 1 << 8),
            instruction_cache=bool(access & 1 << 9),
            data_cache=bool(access & 1 << 10),
        )


AHB_SHIFTS = {8: 1, 9: 2, 10: 3, 11: 4, 12: 6, 13: 7, 14: 8, 15: 9}
"""By how much RCC_CFGR.HPRE shifts SYSCLK, in every family."""


@dataclass(frozen=True)
class OptionBytes:
    """What a chip's option bytes forbid.

    Attributes:
        obstacles: what keeps it from being measured, each with what mends it.
        closed: sectors that must not be written.
        mend_closed: what opens them.
    """

    obstacles: tuple[tuple[str, str], ...]
    closed: frozenset[int]
    mend_closed: str


@dataclass(frozen=True)
class ResetCauses:
    """Where a chip says why it was reset.

    Attributes:
        register: RCC_CSR. forget: the bit that clears the causes.
        of_firmware, of_supply: names by bit: the firmware's own doing, and others'.
    """

    register: int
    forget: int
    of_firmware: Mapping[int, str]
    of_supply: Mapping[int, str]


@dataclass(frozen=True)
class Ports:
    """Its general-purpose ports. Attributes: address: of the first. enable: of their clocks."""

    address: int
    enable: int


@dataclass(frozen=True)
class FlashAlgorithm:
    """What pyOCD runs to erase and program, for a part that it does not know.

    Attributes:
        description: as pyOCD takes it. page_bytes: what is programmed at one call.
    """

    description: Mapping[str, Any]
    page_bytes: int


@dataclass(frozen=True)
class SerialRegisters:
    """Where a generation of serial ports has its registers: offsets.

    Attributes:
        on: UE in the control register; TE, RE and RXNE have the same places in all of them.
    """

    control: int
    baud: int
    status: int
    received: int
    sent: int
    on: int


@dataclass(frozen=True)
class Uart:
    """A serial port.

    Attributes:
        enable: its clock's register and bit. base: of its registers.
        alternate: the function of its pins. scale: its baud register counts so much of a cycle.
    """

    enable: tuple[int, int]
    base: int
    alternate: int = 7
    scale: int = 1


@dataclass(frozen=True)
class Bench:
    """What a look at a board without firmware touches.

    Attributes:
        control, configuration: RCC_CR, RCC_CFGR. HSEON, HSERDY and HSEBYP have the same places in
            every family, and SW stands lowest.
        takes_hse: SW for the crystal; 0 is what a reset leaves.
        reset_hz: of the oscillator that a reset leaves.
        access: FLASH_ACR.
        serial: of its ports' registers.
        uarts: its ports, by name.
        hsi: HSION in RCC_CR, and SW for it; None where a reset leaves it.
        pins_need: (register, bits) to set before pins work.
    """

    control: int
    configuration: int
    takes_hse: int
    reset_hz: int
    access: int
    serial: SerialRegisters
    uarts: Mapping[str, Uart]
    hsi: tuple[int, int] | None = None
    pins_need: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class ChipFacts:
    """A chip behind a debugger.

    Attributes:
        pll_is_internal: whether the PLL is fed by the internal oscillator.
        algorithm: None where pyOCD has one.
        bench: None where a board's clocks, wires and memories are not looked at.
    """

    places: Places
    resets: ResetCauses
    ports: Ports
    clock_tree: Callable[[Board, ReadWord], ClockTree]
    pll_is_internal: Callable[[ReadWord], bool]
    option_bytes: Callable[[Board, ReadWord], OptionBytes]
    algorithm: FlashAlgorithm | None = None
    bench: Bench | None = None
