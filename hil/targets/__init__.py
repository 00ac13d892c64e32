"""Where an image runs, by the name that `--hil-target` takes."""

from typing import TYPE_CHECKING

from hil.errors import UsageError

if TYPE_CHECKING:
    from hil.targets.base import Target


def names() -> list[str]:
    """Return the targets that can be asked for."""
    return ["emulator", "probe", "renode"]


def find(name: str) -> "type[Target]":
    """Return a target's class.

    Raises:
        UsageError: there is none of that name; the error lists those there are.
    """
    match name:
        case "emulator":
            from hil.targets.emulator.target import EmulatedTarget

            return EmulatedTarget
        case "probe":
            from hil.targets.probe import ProbeTarget

            return ProbeTarget
        case "renode":
            from hil.targets.renode.target import RenodeTarget

            return RenodeTarget
        case _:
            raise UsageError.unknown("target", name, names())
