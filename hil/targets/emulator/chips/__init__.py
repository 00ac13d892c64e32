"""The chips that are emulated, by the name that a board's file says.

A package of others adds a chip by an entry point of the group `hil.emulated_chips`, named as the
chip is: `stm32g4 = "my_chips.stm32g4.chip:Stm32G4"`.
"""

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from hil.errors import ProbeError

if TYPE_CHECKING:
    from hil.targets.emulator.chips.stm32.chip import Chip

GROUP = "hil.emulated_chips"
_OURS = {
    "stm32f4": "hil.targets.emulator.chips.stm32f4.chip:Stm32F4",
    "stm32l4": "hil.targets.emulator.chips.stm32l4.chip:Stm32L4",
}


def names() -> list[str]:
    """Chips that can be emulated."""
    return sorted({*_OURS, *(point.name for point in entry_points(group=GROUP))})


def find(name: str) -> "type[Chip]":
    """Return a chip's class.

    Raises:
        ProbeError: none of that name is emulated (the error lists those that are), or what an
            installed package offers for it is no chip.
    """
    from hil.targets.emulator.chips.stm32.chip import Chip

    point = _entry(name)
    if point is None:
        raise ProbeError(
            f"the emulated board has no chip {name}",
            hint=f"emulated: {', '.join(names())}; an entry point of {GROUP} adds one; a board of "
            "this chip runs with --hil-target=probe",
        )
    try:
        found = point.load()
    except (ImportError, AttributeError) as error:
        raise ProbeError(
            f"the chip {name} cannot be imported from {point.value}: {error}"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Chip)):
        raise ProbeError(f"the chip {name}: {point.value} is no class derived from {Chip.__name__}")
    return found


def _entry(name: str) -> EntryPoint | None:
    if name in _OURS:
        return EntryPoint(name, _OURS[name], GROUP)
    return next((one for one in entry_points(group=GROUP) if one.name == name), None)
