"""Locates a crash of the firmware: the place in the source, and the chain of callers.

The firmware resets the chip once it has reported a crash, and its stack is lost then. So the same
inference is run once more under the debugger, up to the first instruction of the fault handler,
where the stack still stands.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from hil.build import symbols
from hil.build.calls import LR, PC, SP, Calls
from hil.build.places import Places
from hil.errors import FirmwareFault, MeasurementError

if TYPE_CHECKING:
    from hil.build.image import Image
    from hil.link.client import Device
    from hil.targets.debugger import Breakpoint, Debugger

_HANDLER, _STACK = "fault_taken", ".stack"
_NAMES = {**{f"r{number}": number for number in range(13)}, "sp": SP, "lr": LR, "pc": PC}
# The words that exception entry puts on the stack, and its padding: ARMv7-M manual B1.5.6.
_STACKED = (0, 1, 2, 3, 12, LR, PC)
_FRAME_BYTES, _XPSR_AT, _PADDED = 32, 28, 1 << 9
_WORD_BYTES = 4

Read = Callable[[int], int | None]
Core = tuple[dict[int, int], Read]
"""A core's registers by number, and what reads a word of its stack."""


def explain(
    error: FirmwareFault, elf: Path, core: Core | None = None, shown: Path | None = None
) -> None:
    """Add to a crash the function, file and line of it, and of each call that led there.

    Args:
        error: with the registers of the crash; one without them stays as it is.
        elf: the image that crashed.
        core: as it crashed again, see `again`; None where callers are not known.
        shown: where a user finds the image; None for where it is.
    """
    if not error.registers:
        return
    places, calls = Places(elf), Calls(elf)
    if core is None:
        found, behind = [error.registers["pc"]], [error.registers["lr"]]
    else:
        found, behind = calls.chain(*core), []
    lines = [f"at {places.describe(found[0])}"]
    callers = takewhile(places.function, (place - 2 for place in found[1:]))
    lines += [f"called from {places.describe(place)}" for place in callers]
    lines += [f"lr is {places.describe(place)}" for place in behind if places.function(place)]
    first, _, rest = error.what.partition("\n")
    error.what = "\n".join([first, *(f"  {line}" for line in lines), *([rest] if rest else [])])
    error.hint = f"the image is {shown or elf}"


def again(image: "Image", sent: bytes, device: "Device", debugger: "Debugger") -> Core | None:
    """Run an inference that has crashed once more, and look at the core where it crashes.

    Args:
        image: the firmware.
        sent: the input.
        device: the board, which has restarted.
        debugger: of the same board.

    Returns:
        The core as it was when it crashed; None where it did not crash again.
    """
    entry = next((one.address for one in symbols.read(image.elf) if one.name == _HANDLER), None)
    stack = next((one for one in image.sections if one.name == _STACK), None)
    if entry is None or stack is None:
        return None
    with suppress(MeasurementError):
        device.hello()
        device.load_input(sent)
        with ThreadPoolExecutor(1) as pool, debugger.breakpoints() as stops:
            stops.halt()
            stops.move_to(entry)
            if stops.reached(pool.submit(device.run)):
                return _core(stops, stack.address, stack.address + stack.bytes)
    return None


def _core(stops: "Breakpoint", bottom: int, top: int) -> Core | None:
    """Read what a core was doing when the exception came whose handler it stands at."""
    sp = stops.register("sp")
    if not bottom <= sp <= top - _FRAME_BYTES:
        return None
    memory = stops.read(sp, top - sp)

    def word(address: int) -> int | None:
        at = address - sp
        inside = 0 <= at <= len(memory) - _WORD_BYTES
        return int.from_bytes(memory[at : at + _WORD_BYTES], "little") if inside else None

    registers = {number: stops.register(name) for name, number in _NAMES.items()}
    for at, number in enumerate(_STACKED):
        registers[number] = word(sp + _WORD_BYTES * at) or 0
    padding = _WORD_BYTES if (word(sp + _XPSR_AT) or 0) & _PADDED else 0
    registers[SP] = sp + _FRAME_BYTES + padding
    return registers, word
