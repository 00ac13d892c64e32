"""What a core is doing, as its debug registers say: for when its firmware says nothing any more."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hil.targets import chips

# ARM DDI 0403E C1.6.2 and B3.2.
_DHCSR, _CFSR, _HFSR = 0xE000_EDF0, 0xE000_ED28, 0xE000_ED2C
_S_HALT, _S_SLEEP, _S_LOCKUP = 1 << 17, 1 << 18, 1 << 19
_SLEEPS = {0xBF20, 0xBF30}
_LOOKS, _BETWEEN_S = 10, 0.05
_pause = threading.Event()  # never set: a probe has no way to call


@dataclass(frozen=True)
class CoreState:
    """A core that was looked at.

    Attributes:
        halted, locked_up: before the debugger halted it.
        asleep: then, or at one of the places in a loop around WFI or WFE.
        places: program counters of a few moments; the core ran on between them.
        lr, primask: of the last of these.
        cfsr, hfsr: fault status.
        stacked: the return address of the exception that locked it up, 0 where there is none.
        resets: why the chip was reset since this was last forgotten, by the firmware's own doing.
        supply: the same, by others: its supply, its reset pin.
    """

    halted: bool
    asleep: bool
    locked_up: bool
    places: tuple[int, ...]
    lr: int
    primask: int
    cfsr: int
    hfsr: int
    stacked: int
    resets: tuple[str, ...]
    supply: tuple[str, ...]

    @property
    def pc(self) -> int:
        """Where it was last."""
        return self.places[-1]


def look(target: Any, chip: str, enough: Callable[[int], bool]) -> CoreState:
    """Look at the core behind pyOCD's target, and let it run on if it ran.

    Args:
        target: pyOCD's.
        chip: of the board, which says where reset causes stand.
        enough: whether a program counter says all there is to know; else it is looked at again.
    """
    status = target.read32(_DHCSR)
    halted = bool(status & _S_HALT)
    stuck = halted or bool(status & _S_LOCKUP)
    places: list[int] = []
    while not places or not (stuck or enough(places[-1]) or len(places) == _LOOKS):
        _pause.wait(_BETWEEN_S if places else 0)
        target.halt()
        places.append(target.read_core_register("pc"))
        lr, primask = target.read_core_register("lr"), target.read_core_register("primask")
        if not stuck:
            target.resume()
    resets, supply = _causes(target, chip)
    return CoreState(
        halted=halted,
        asleep=bool(status & _S_SLEEP)
        or (not stuck and any(_is_sleep(target, place) for place in places)),
        locked_up=bool(status & _S_LOCKUP),
        places=tuple(places),
        lr=lr,
        primask=primask & 1,
        cfsr=target.read32(_CFSR),
        hfsr=target.read32(_HFSR),
        stacked=_stacked(target) if status & _S_LOCKUP else 0,
        resets=resets,
        supply=() if resets else supply,
    )


def _causes(target: Any, chip: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return why the chip was reset: by the firmware's own doing, and by others."""
    known = chips.find(chip)
    if known is None:
        return (), ()
    flags = target.read32(known.resets.register)
    named = (known.resets.of_firmware, known.resets.of_supply)
    by_firmware, by_supply = (
        tuple(name for bit, name in names.items() if flags >> bit & 1) for names in named
    )
    return by_firmware, by_supply


def _stacked(target: Any) -> int:
    """Read the return address that exception entry has put on the stack: its seventh word."""
    from pyocd.core.exceptions import TransferError

    try:
        return int(target.read32(target.read_core_register("sp") + 24))
    except TransferError:  # the stack is lost
        return 0


def _is_sleep(target: Any, place: int) -> bool:
    """Whether an instruction before or at a place is WFI or WFE: bytes that arrive may end each."""
    code = bytes(target.read_memory_block8(place - 2, 4))
    return bool(_SLEEPS & {int.from_bytes(code[at : at + 2], "little") for at in (0, 2)})


def forget_resets(target: Any, chip: str) -> None:
    """Clear the reset causes, so that later ones are told from the harness's own reset.

    Args:
        target: pyOCD's.
        chip: of the board.
    """
    known = chips.find(chip)
    if known is not None:
        register, forget = known.resets.register, known.resets.forget
        target.write32(register, target.read32(register) | forget)
        target.write32(register, target.read32(register) & ~forget)
