"""What is known of each chip's registers, by the name that a board's file says.

A package of others adds a chip by an entry point of the group `hil.chip_facts`, named as the chip
is, whose value is a `ChipFacts`: `stm32g4 = "my_chips.stm32g4.facts:CHIP"`. Of a chip without one,
identity, clocks, option bytes and reset causes are not looked at.
"""

from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from hil.errors import ProbeError
from hil.targets.chips import stm32f4, stm32l4
from hil.targets.chips.facts import ChipFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

GROUP = "hil.chip_facts"
_OURS: "Mapping[str, ChipFacts]" = {"stm32f4": stm32f4.CHIP, "stm32l4": stm32l4.CHIP}


def find(name: str) -> ChipFacts | None:
    """Return what is known of a chip; None where nothing is.

    Raises:
        ProbeError: what an installed package offers for it is none, or cannot be imported.
    """
    if name in _OURS:
        return _OURS[name]
    point = next((one for one in entry_points(group=GROUP) if one.name == name), None)
    if point is None:
        return None
    try:
        found = point.load()
    except (ImportError, AttributeError) as error:
        raise ProbeError(f"{point.value} of the chip {name} cannot be imported: {error}") from error
    if not isinstance(found, ChipFacts):
        raise ProbeError(f"{point.value} of the chip {name} is no {ChipFacts.__name__}")
    return found
