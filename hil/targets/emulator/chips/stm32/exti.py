"""EXTI and SYSCFG: interrupts and events from pins, and from peripherals that wake the core.

Source: RM0090 sections 9.2 and 12.3; RM0432 sections 9.2 and 18.5 for the first 32 lines.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hil.targets.emulator.chips.stm32.pins import Pins
from hil.targets.emulator.core.registers import Peripheral, Register, Storage
from hil.targets.emulator.core.source import Trigger

_PIN_LINES = 16
_LINES_OF_A_REGISTER = 4
_PINS_IRQS = {
    6: 0x0001, 7: 0x0002, 8: 0x0004, 9: 0x0008, 10: 0x0010, 23: 0x03E0, 40: 0xFC00,
}  # fmt: skip
"""The lines of each interrupt that pins have, alike in both families."""


@dataclass
class ExtiInterrupt:
    """One of the interrupts that lines share.

    Attributes:
        irq: its number. lines: as a mask.
    """

    irq: int
    lines: int
    exti: "ExternalInterrupts"

    @property
    def clocked(self) -> bool:
        """Whether one of its lines is let through."""
        return bool(self.exti.mask.value & self.lines)

    @property
    def interrupt(self) -> bool:
        """Whether the line is high."""
        return bool(self.exti.pending & self.exti.mask.value & self.lines)

    def deadline(self) -> int | None:
        """Return None: whatever raises a line has a deadline of its own."""
        return None


class ExternalInterrupts(Peripheral):
    """External interrupts, EXTI: lines of pins and of the RTC, which interrupt or wake the core.

    Args:
        irqs: the lines of each further interrupt.
        on_mask: called when other interrupts may be in use.
        on_line: called when a line may have risen or fallen.
        send_event: sets the core's event register.

    Attributes:
        mask: IMR.
        pending: PR.
    """

    models = "lines of pins and of RTC; rising, falling, software; interrupts and events"

    def __init__(
        self,
        address: int,
        irqs: Mapping[int, int],
        *,
        on_mask: Callable[[], None],
        on_line: Callable[[], None],
        send_event: Callable[[], None],
    ) -> None:
        all_irqs = {**_PINS_IRQS, **irqs}
        self.sources = [ExtiInterrupt(irq, mask, self) for irq, mask in all_irqs.items()]
        lines = sum(all_irqs.values())
        self._on_mask = on_mask
        self._on_line = on_line
        self._send_event = send_event
        self.mask, self._events = Storage(writable=lines), Storage(writable=lines)
        self._rising, self._falling = Storage(writable=lines), Storage(writable=lines)
        self.pending = 0
        self._software = 0
        self.on_listen: Callable[[], None] = lambda: None
        self.triggers = {f"EXTI{line}": Trigger() for line in range(16)}
        super().__init__(
            "EXTI",
            address,
            {
                0x00: Register(self.mask.read, self._listening(self.mask)),
                0x04: Register(self._events.read, self._listening(self._events)),
                0x08: Register(self._rising.read, self._listening(self._rising)),
                0x0C: Register(self._falling.read, self._listening(self._falling)),
                0x10: Register(lambda: self._software, self._trigger, merges=False),
                0x14: Register(lambda: self.pending, self._clear, merges=False),
            },
        )

    def reset(self) -> None:
        """Return to the state after reset."""
        for storage in (self.mask, self._events, self._rising, self._falling):
            storage.reset()
        self.pending = self._software = 0
        self.on_listen()
        self._on_mask()

    @property
    def listens_to(self) -> int:
        """The lines whose edges have an effect."""
        edges = self._rising.value | self._falling.value
        return edges & (self.mask.value | self._events.value)

    def set_level(self, line: int, *, level: bool) -> None:
        """Note an edge of a line: to a level, from the other.

        Args:
            line: its number.
            level: True for high.
        """
        if (self._rising if level else self._falling).value >> line & 1:
            self._raise(1 << line)

    def pulse(self, line: int) -> None:
        """Note that a peripheral's line has risen and fallen again."""
        self.set_level(line, level=True)
        self.set_level(line, level=False)

    def _raise(self, lines: int) -> None:
        self.pending |= lines & self.mask.value
        if lines & self._events.value:
            self._send_event()
        for line in range(lines.bit_length()):
            if lines >> line & 1 and f"EXTI{line}" in self.triggers:
                self.triggers[f"EXTI{line}"].pulse(1, 0)
        self._on_line()

    def _listening(self, storage: Storage) -> Callable[[int], None]:
        def write(value: int) -> None:
            storage.write(value)
            self.on_listen()
            self._on_mask()

        return write

    def _trigger(self, value: int) -> None:
        risen = value & ~self._software
        self._software |= value
        self._raise(risen)

    def _clear(self, value: int) -> None:
        self.pending &= ~value
        self._software &= ~value
        self._on_line()


class SystemConfiguration(Peripheral):
    """SYSCFG: which port's pin each of EXTI's first 16 lines listens to.

    Args:
        others: its other registers: offset, and what of them can be written.
    """

    models = "EXTICR1 to EXTICR4; the others keep what is written"

    def __init__(
        self,
        address: int,
        exti: ExternalInterrupts,
        pins: Pins,
        letters: str,
        others: Mapping[int, int],
    ) -> None:
        self._exti = exti
        self._pins = pins
        self._letters = letters
        self._choices = [
            Storage(writable=0xFFFF) for _ in range(_PIN_LINES // _LINES_OF_A_REGISTER)
        ]
        self._others = {offset: Storage(writable=bits) for offset, bits in others.items()}
        exti.on_listen = self._listen
        pins.on_edge = self._take_edge
        super().__init__(
            "SYSCFG",
            address,
            {
                **{offset: storage.register() for offset, storage in self._others.items()},
                **{
                    0x08 + 4 * at: Register(choice.read, self._choosing(choice))
                    for at, choice in enumerate(self._choices)
                },
            },
        )

    def reset(self) -> None:
        """Return to the state after reset."""
        for storage in (*self._choices, *self._others.values()):
            storage.reset()
        self._listen()

    def _choosing(self, choice: Storage) -> Callable[[int], None]:
        def write(value: int) -> None:
            choice.write(value)
            self._listen()

        return write

    def _port_of(self, line: int) -> str:
        choice = self._choices[line // _LINES_OF_A_REGISTER].value
        number = choice >> 4 * (line % _LINES_OF_A_REGISTER) & 0xF
        return self._letters[number] if number < len(self._letters) else ""

    def _listen(self) -> None:
        masks: dict[str, int] = {}
        for line in range(_PIN_LINES):
            if self._exti.listens_to >> line & 1:
                port = self._port_of(line)
                masks[port] = masks.get(port, 0) | 1 << line
        self._pins.hear(masks)

    def _take_edge(self, port: str, pin: int, level: bool) -> None:
        if self._port_of(pin) == port:
            self._exti.set_level(pin, level=level)
