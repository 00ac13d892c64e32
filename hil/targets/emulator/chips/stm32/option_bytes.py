"""What option bytes of several families share: their keys, and the levels of read-out protection.

Source: RM0090 sections 3.6 and 3.7.1, RM0432 sections 3.4 and 3.5.1.
"""

KEYS = (0x0819_2A3B, 0x4C5D_6E7F)
MEMORY_BYTES = 0x400
"""Of each place where they are read."""

_OPEN, _FOR_EVER = 0xAA, 0xCC  # RDP; any other is level 1


def level_of(rdp: int) -> int:
    """Return the level of read-out protection that RDP says: 0, 1 or 2."""
    return 0 if rdp == _OPEN else 2 if rdp == _FOR_EVER else 1
