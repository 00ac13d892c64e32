"""The lock of the flash's registers. Source: RM0090 sections 3.5.1 and 3.6.2."""


class KeySequence:
    """A lock that two writes open and a wrong one jams until the next reset."""

    def __init__(self, keys: tuple[int, int]) -> None:
        self._expected = keys
        self._position = 0
        self._jammed = False
        self.locked = True

    def write(self, value: int) -> None:
        """Take a key."""
        if self._jammed or not self.locked:
            return
        if value != self._expected[self._position]:
            self._jammed = True
        elif self._position == 0:
            self._position = 1
        else:
            self.lock()
            self.locked = False

    def lock(self) -> None:
        """Lock it; the same keys open it again."""
        self.locked = True
        self._position = 0

    def reset(self) -> None:
        """Lock it and clear a jam."""
        self.lock()
        self._jammed = False
