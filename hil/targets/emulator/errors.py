"""Errors within the emulator; at its edges they become the harness's."""


class BusError(Exception):
    """An access to an address at which nothing answers."""

    def __init__(self, address: int) -> None:
        super().__init__(f"nothing answers at {address:#010x}")
        self.address = address


class DeniedError(BusError):
    """An access that the memory protection unit denies."""
