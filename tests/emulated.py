"""An emulated chip with a tiny program, for tests."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import thumb

from hil.config import board
from hil.config.board import Board
from hil.targets.emulator.board import default_clock
from hil.targets.emulator.chips.stm32.chip import Chip
from hil.targets.emulator.chips.stm32f4.chip import Stm32F4

BOARD = board.load("stm32f439")
DEADLINE_S = 120.0
USART1_CLOCKS = """
 ldr r0, =0x40023800
 ldr r1, [r0, #0x30]
 orr r1, r1, #1
 str r1, [r0, #0x30]
 ldr r1, [r0, #0x44]
 orr r1, r1, #16
 str r1, [r0, #0x44]
"""
USART1_PINS = """
 ldr r0, =0x40020000
 ldr r1, =0x770
 str r1, [r0, #0x24]
 ldr r1, =0xA8280000
 str r1, [r0]
"""
USART1_BAUD = """
 ldr r0, =0x40011000
 movs r1, #139
 str r1, [r0, #8]
"""
USART1 = USART1_CLOCKS + USART1_PINS + USART1_BAUD
"""Everything of USART1 but its control register: r0 holds its address behind it."""


def set_ccr(bits: int) -> str:
    """Return instructions that set bits of the configuration and control register."""
    return f"""
     ldr r0, =0xE000ED14
     ldr r1, [r0]
     orr r1, r1, #{bits}
     str r1, [r0]
     dsb
     isb
    """


def heard_from_reset(chip: Stm32F4, data: bytes) -> None:
    """Have a host send bytes to a chip's USART1 as soon as it is out of reset."""
    usart: Any = chip.usarts["usart1"]
    reset = usart.reset

    def with_data() -> None:
        reset()
        usart.line.send(data)

    usart.reset = with_data


def chip_with(source: str, board: Board = BOARD, **settings: Any) -> Stm32F4:
    """Return a chip, without power yet, that has a program in its flash."""
    return Stm32F4(
        board, flash=flash_with(source, board), **{"make_clock": default_clock, **settings}
    )


def flash_with(source: str, board: Board) -> bytearray:
    """Return a flash that has a program in it."""
    program = thumb.flash_bytes(thumb.assemble(source))
    return bytearray(program.ljust(board.flash.bytes, b"\xff"))


@contextmanager
def running(chip: Chip) -> Iterator[Chip]:
    """Give a chip power for a while."""
    chip.power_on()
    try:
        yield chip
    finally:
        chip.power_off()


@contextmanager
def finished(source: str, chip: Chip | None = None, **settings: Any) -> Iterator[Chip]:
    """Run a program to its first BKPT, and hold it there."""
    chip = chip or chip_with(source, **settings)
    done = threading.Event()

    def at_breakpoint(_address: int) -> bool:
        done.set()
        chip.debug.control = 1  # as if a debugger had come: BKPT halts
        return False

    chip.endings.on_breakpoint = at_breakpoint
    chip.runner.on_lockup = done.set
    with running(chip):
        if not done.wait(DEADLINE_S) or chip.runner.lockup_pc is not None:
            chip.core.halt(0)
            pc = chip.runner.lockup_pc or chip.core.read_register("pc")
            raise AssertionError(f"the program reached no BKPT; pc is {pc:#010x}")
        wait_until_halted(chip)
        yield chip


def wait_until_halted(chip: Chip) -> None:
    """Return once the core is halted."""
    for _ in range(10_000):
        chip.core.linger()
        if chip.core.halted:
            return
    raise AssertionError("the core does not halt")


def registers(chip: Chip, *names: str) -> tuple[int, ...]:
    """Return core registers of a halted chip."""
    return tuple(chip.core.read_register(name) for name in names)


def memory_words(chip: Chip, address: int, count: int) -> list[int]:
    """Return words of memory."""
    data = chip.bus.read(address, 4 * count)
    return [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]


class StillChip:
    """A chip whose core executes nothing: a test is its bus master, and lets cycles pass.

    Every peripheral has its clock.
    """

    _ENABLES = (0x4002_3830, 0x4002_3834, 0x4002_3838, 0x4002_3840, 0x4002_3844)

    def __init__(self, board: Board = BOARD) -> None:
        self.chip = Stm32F4(board)
        self.chip.reset()
        for enable in self._ENABLES:
            self.write(enable, 0xFFFF_FFFF)

    def read(self, address: int) -> int:
        """Read a word of memory or a register."""
        return int.from_bytes(self.chip.bus.read(address, 4), "little")

    def write(self, address: int, value: int) -> None:
        """Write a word of memory or a register."""
        self.chip.bus.write(address, value.to_bytes(4, "little"))

    def wait(self, cycles: int) -> None:
        """Let cycles pass; what is due is done at its time, as between two runs of a core."""
        run, interrupts = self.chip.clock.run, self.chip.interrupts
        end = run.cycles + cycles
        while run.cycles < end:
            interrupts.set_deadline()
            self.chip.clock.add_cycles(min(max(run.deadline, run.cycles + 1), end) - run.cycles)
            interrupts.pend()

    @property
    def pending(self) -> set[int]:
        """The numbers of the interrupts that are pending."""
        return {number - 16 for number in self.chip.exceptions.state.pending if number >= 16}
