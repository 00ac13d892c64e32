"""What a program says, on one screen: several voices are told apart by a label each."""

from collections.abc import Callable

SEMIHOSTING = "semihosting"


class Console:
    """Joins what UARTs and semihosting say.

    While one of them speaks, it is passed on as it comes. Once a second one does, whole lines are
    passed on, each with the name of who says it.

    Args:
        write: takes the text's bytes.
        label: makes what a line begins with of a name.
        always: whether lines have labels from the first on.
    """

    def __init__(
        self,
        write: Callable[[bytes], None],
        label: Callable[[str], str] = "[{}] ".format,
        *,
        always: bool = False,
    ) -> None:
        self._write, self._label = write, label
        self._first = ""
        self._labels = always
        self._partial: dict[str, bytes] = {}
        self._ends_line = True

    def take(self, name: str, data: bytes) -> None:
        """Take what somebody says.

        Args:
            name: whose bytes they are: a port's.
            data: bytes, of any number of lines.
        """
        self._first = self._first or name
        if name != self._first and not self._labels:
            self._labels = True
            if not self._ends_line:
                self._write(b"\n")
        if not self._labels:
            self._ends_line = data.endswith(b"\n")
            self._write(data)
            return
        *lines, self._partial[name] = (self._partial.get(name, b"") + data).split(b"\n")
        for line in lines:
            self._write(self._label(name).encode() + line + b"\n")

    def end(self) -> None:
        """Pass on lines that have not ended."""
        for name in tuple(self._partial):
            self.finish(name)

    def finish(self, name: str) -> None:
        """Pass on the line of one of them that has not ended."""
        if self._partial.get(name):
            self.take(name, b"\n")

    def voice(self, name: str) -> Callable[[bytes], None]:
        """Return what takes the words of one of them."""
        return lambda data: self.take(name, data)
