"""What a chip says it is, read before anything on it is changed."""

from collections.abc import Callable
from dataclasses import dataclass

from hil.config.board import Board
from hil.errors import ProbeError
from hil.targets import chips

_DEV_ID = 0xFFF
_UNIQUE_ID_BYTES = 12


@dataclass(frozen=True)
class Identity:
    """What a chip says it is.

    Attributes:
        dev_id, rev_id: of the part. flash_bytes: its flash. uid: its unique id in hexadecimal.
    """

    dev_id: int
    rev_id: int
    flash_bytes: int
    uid: str


def read(chip: str, memory: Callable[[int, int], bytes]) -> Identity | None:
    """Read a chip's identity; None where the family's places are not known.

    Args:
        chip: the family, as the board's file names it.
        memory: reads so many bytes at an address; the id code takes an aligned word.
    """
    known = chips.find(chip)
    if known is None:
        return None
    places = known.places
    id_code = int.from_bytes(memory(places.id_code, 4), "little")
    flash_kib = int.from_bytes(memory(places.flash_kib, 2), "little")
    uid = memory(places.unique_id, _UNIQUE_ID_BYTES).hex()
    return Identity(id_code & _DEV_ID, id_code >> 16, flash_kib * 1024, uid)


def require(found: Identity, board: Board) -> None:
    """Refuse a chip that is not the board's. Raises ProbeError, with both shown.

    Args:
        found: what the chip says.
        board: what it should be.
    """
    for what, is_there, wanted in (
        ("DEV_ID", f"{found.dev_id:#05x}", f"{board.dev_id:#05x}"),
        ("flash", f"{found.flash_bytes:,} B", f"{board.flash.bytes:,} B"),
    ):
        if is_there != wanted:
            raise ProbeError(
                f"the chip behind the probe has the {what} {is_there}, {board.name} has {wanted}",
                hint="name the board that it is with --board",
            )
