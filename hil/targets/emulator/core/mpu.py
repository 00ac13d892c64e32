"""The memory protection unit: eight regions and what they let through.

Source: ARM DDI 0403E B3.5.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hil.targets.emulator.core.registers import Peripheral, Register, constant

ADDRESS = 0xE000_ED90
_REGIONS = 8
_VALID = 1 << 4
_ENABLE, _HFNMIENA, _PRIVDEFENA = 1 << 0, 1 << 1, 1 << 2
_XN = 1 << 28
_SUBREGIONS = 8
_LEAST_SPLIT_BITS = 8  # regions of fewer address bits have no subregions
_NEVER_EXECUTED = (range(0x4000_0000, 0x6000_0000), range(0xA000_0000, 1 << 32))
# What AP lets privileged and unprivileged code do: table B3-15.
_READ, _WRITE = 1, 2
_BOTH = _READ | _WRITE
_PERMISSIONS = ((0, 0), (_BOTH, 0), (_BOTH, _READ), (_BOTH, _BOTH),
                (0, 0), (_READ, 0), (_READ, _READ), (_READ, _READ))  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """What may be done somewhere.

    Attributes:
        reads, writes: by loads and stores. executes: whether instructions may be fetched.
    """

    reads: bool
    writes: bool
    executes: bool


_NOTHING = Rule(reads=False, writes=False, executes=False)


@dataclass(frozen=True)
class Region:
    """One region that is enabled."""

    base: int
    bits: int
    attributes: int

    def holds(self, address: int) -> bool:
        """Whether an address lies in it, and in none of its subregions that are off."""
        offset = address - self.base
        if not 0 <= offset < 1 << self.bits:
            return False
        if self.bits < _LEAST_SPLIT_BITS:
            return True
        return not self.attributes >> 8 & 1 << (offset >> (self.bits - 3))

    def edges(self) -> Iterator[int]:
        """Yield the addresses at which another rule may begin."""
        step = 1 << self.bits - (3 if self.bits >= _LEAST_SPLIT_BITS else 0)
        yield from range(self.base, self.base + (1 << self.bits) + step, step)

    def rule(self, *, privileged: bool) -> Rule:
        """Return what it lets through."""
        allowed = _PERMISSIONS[self.attributes >> 24 & 7][0 if privileged else 1]
        return Rule(
            reads=bool(allowed & _READ),
            writes=bool(allowed & _WRITE),
            executes=bool(allowed & _READ) and not self.attributes & _XN,
        )


class MemoryProtectionUnit(Peripheral):
    """MPU of eight regions.

    Attributes:
        on_change: called when other accesses may be let through.
    """

    models = "eight regions, subregions, XN, PRIVDEFENA, HFNMIENA; faults of loads, stores, fetches"

    def __init__(self) -> None:
        self.on_change: Callable[[], None] = lambda: None
        registers = {
            0x00: constant(_REGIONS << 8),
            0x04: Register(lambda: self._control, self._write_control),
            0x08: Register(lambda: self._number, self._write_number),
        }
        # RBAR and RASR, and three aliases of the pair for multiple stores.
        for offset in range(0x0C, 0x2C, 8):
            registers[offset] = Register(self._read_base, self._write_base)
            registers[offset + 4] = Register(self._read_attributes, self._write_attributes)
        super().__init__("MPU", ADDRESS, registers)
        self._forget()

    def reset(self) -> None:
        """Return to the state after reset."""
        was_on = self.enabled
        self._forget()
        self._note(changed=was_on)

    def _forget(self) -> None:
        self._control = 0
        self._number = 0
        self._bases = [0] * _REGIONS
        self._attributes = [0] * _REGIONS
        self._cached: list[Region] | None = None

    # what it lets through

    @property
    def enabled(self) -> bool:
        """MPU_CTRL.ENABLE."""
        return bool(self._control & _ENABLE)

    @property
    def covers_faults(self) -> bool:
        """MPU_CTRL.HFNMIENA: whether it works at negative priorities."""
        return bool(self._control & _HFNMIENA)

    def regions(self) -> list[Region]:
        """Return the regions that are enabled, those that go first at the front."""
        if self._cached is not None:
            return self._cached
        found = []
        for base, attributes in zip(self._bases, self._attributes, strict=True):
            bits = (attributes >> 1 & 0x1F) + 1
            if attributes & 1 and bits >= 5:
                found.append(Region(base >> bits << bits, bits, attributes))
        self._cached = found[::-1]
        return self._cached

    def rule_at(self, address: int, *, privileged: bool) -> Rule:
        """Return what may be done at an address.

        Args:
            address: of a byte.
            privileged: whether the access is a privileged one.
        """
        for region in self.regions():
            if region.holds(address):
                return region.rule(privileged=privileged)
        if not privileged or not self._control & _PRIVDEFENA:
            return _NOTHING
        executes = not any(address in one for one in _NEVER_EXECUTED)
        return Rule(reads=True, writes=True, executes=executes)

    # registers

    def _note(self, *, changed: bool) -> None:
        self._cached = None
        if changed:
            self.on_change()

    def _write_control(self, value: int) -> None:
        before, self._control = self._control, value & 7
        self._note(changed=before != self._control)

    def _write_number(self, value: int) -> None:
        self._number = value % _REGIONS

    def _read_base(self) -> int:
        return self._bases[self._number] | self._number

    def _write_base(self, value: int) -> None:
        if value & _VALID:
            self._number = value % _REGIONS
        before, self._bases[self._number] = self._bases[self._number], value & 0xFFFF_FFE0
        self._note(changed=before != self._bases[self._number])

    def _read_attributes(self) -> int:
        return self._attributes[self._number]

    def _write_attributes(self, value: int) -> None:
        before, self._attributes[self._number] = self._read_attributes(), value & 0x173F_FF3F
        self._note(changed=before != self._read_attributes())
