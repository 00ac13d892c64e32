"""How many bytes of inputs and outputs go into one frame: fewer on a line that damages frames.

A frame is believed whole or not at all. At one damaged byte in a thousand two of three frames of
1 KB are lost, and one in eight of 128 B. So the size is halved at each damage, and doubled again
after some whole frames: additive increase and multiplicative decrease, in powers of two.
"""

from hil.link.frames import DATA_BYTES

SMALLEST_BYTES = 32
_WHOLE_BEFORE_LARGER = 8


class Pieces:
    """The size of the next piece.

    Attributes:
        bytes: of data in it, from SMALLEST_BYTES to DATA_BYTES.
    """

    def __init__(self) -> None:
        self.bytes = DATA_BYTES
        self._most = DATA_BYTES
        self._whole = 0

    @property
    def are_smallest(self) -> bool:
        """Whether there is no smaller size left to try."""
        return self.bytes == SMALLEST_BYTES

    def passed(self, *, damaged: bool) -> None:
        """Note that a piece has arrived, at once or after it was sent again."""
        if damaged:
            self._use(self.bytes // 2)
            return
        self._whole += 1
        if self._whole == _WHOLE_BEFORE_LARGER:
            self._use(self.bytes * 2)

    def failed(self) -> None:
        """Note that a piece never arrived: none of its size is tried again."""
        self._most = max(SMALLEST_BYTES, self.bytes // 4)
        self._use(self._most)

    def _use(self, size: int) -> None:
        self.bytes = min(max(size, SMALLEST_BYTES), self._most)
        self._whole = 0
