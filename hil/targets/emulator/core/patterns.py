"""Looking for instructions in the bytes of code, quicker than one by one.

Code is looked through whenever a block is translated, and nearly always in vain.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Like:
    """What some instructions look like.

    Attributes:
        expression: a regular expression of their bytes, the lower one of each halfword first.
        part: bytes that each of them has, of which most code has none.
    """

    expression: re.Pattern[bytes]
    part: bytes = b""

    def found_in(self, code: bytes) -> list[int]:
        """Return at which of its halfwords code looks so; some may be second ones.

        Args:
            code: its bytes.
        """
        if self.part not in code:
            return []
        return [match.start() for match in self.expression.finditer(code) if not match.start() & 1]


def like(expression: bytes, part: bytes = b"") -> Like:
    """Return what finds instructions.

    Args:
        expression: as the attribute.
        part: as the attribute.
    """
    # Looked for at every byte, without taking any: a match at an odd place hides none behind it.
    return Like(re.compile(b"(?=" + expression + b")", re.DOTALL), part)


def one_of(values: Iterable[int]) -> bytes:
    """Return a regular expression of one byte that has one of some values."""
    return b"[" + re.escape(bytes(values)) + b"]"
