"""Memory outside the chip: dead until it was brought up as the manual says, then the arena's."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_model
from emulated import finished, registers
from random_programs import Builder

from hil import models
from hil.build import symbols
from hil.build.firmware import build, find_toolchain
from hil.compiler import emit, plan, reference
from hil.compiler.plan import Budget
from hil.compiler.synthetic import synthetic_program
from hil.config import board as boards
from hil.config import scenario
from hil.config.board import Board
from hil.errors import FirmwareFault, MemoryLimitError
from hil.link.client import Device
from hil.run import measurement, network
from hil.run.measurement import Stopwatch
from hil.studies.counts import count
from hil.targets.emulator.chips.stm32f4.chip import Stm32F4
from hil.targets.emulator.chips.stm32f4.fmc import MemoryController
from hil.targets.emulator.errors import BusError
from hil.targets.emulator.target import EmulatedTarget

BOARD = boards.load("stm32f429i_disc1")
OUTSIDE = replace(BOARD, arena_outside=True)
INPUT = bytes(i * 5 % 256 for i in range(tiny_model.INPUT_BYTES))
RCC_AHB1ENR, RCC_AHB3ENR, GPIOA, FMC = 0x4002_3830, 0x4002_3838, 0x4002_0000, 0xA000_0000
SDCR1, SDCR2, SDTR1, SDTR2, SDCMR, SDRTR = (FMC + at for at in range(0x140, 0x158, 4))
BANK_2 = 1 << 3
SDRAM = 0xD000_0000
START = {
    SDCR1: 2 << 10,
    SDCR2: 0 | 1 << 2 | 1 << 4 | 1 << 6 | 3 << 7 | 2 << 10,
    SDTR1: 6 << 12 | 1 << 20,
    SDTR2: 1 | 6 << 4 | 3 << 8 | 2 << 16 | 1 << 24,
}
COMMANDS = (1 | BANK_2, 2 | BANK_2, 3 | BANK_2 | 7 << 5, 4 | BANK_2 | 0x230 << 9)


@pytest.fixture
def chip() -> Stm32F4:
    made = Stm32F4(BOARD)
    write(made, RCC_AHB1ENR, 0x7F)
    write(made, RCC_AHB3ENR, 1)
    sdram = BOARD.external
    assert sdram is not None
    assert sdram.sdram is not None
    for pin in sdram.sdram.pins:
        port, number = GPIOA + 0x400 * (ord(pin[1]) - ord("A")), int(pin[2:])
        half, shift = port + 0x20 + 4 * (number // 8), 4 * (number % 8)
        write(made, half, read(made, half) | 12 << shift)
        write(made, port, read(made, port) & ~(3 << 2 * number) | 2 << 2 * number)
    return made


def with_little_of_its_own(of_each: int) -> Board:
    """Return the board with so many bytes of SRAM and of CCM in its chip."""
    memories = tuple(
        replace(one, bytes=of_each) if one.name in {"sram1", "ccm"} else one
        for one in BOARD.memories
        if one.name not in {"sram2", "sram3"}
    )
    return replace(BOARD, memories=memories)


def write(chip: Stm32F4, address: int, value: int) -> None:
    chip.memory.write_device(address, 4, value)


def read(chip: Stm32F4, address: int) -> int:
    return chip.memory.read_device(address, 4)


def controller(chip: Stm32F4) -> MemoryController:
    assert chip.fmc is not None
    return chip.fmc


def start(
    chip: Stm32F4,
    *,
    pause: int = 2000,
    change: Callable[[dict[int, int]], object] = lambda _: None,
    commands: tuple[int, ...] = COMMANDS,
    refresh: int = 100,
) -> str:
    """Bring the memory up at 16 MHz, and return why it stays dead; nothing where it lives."""
    registers = dict(START)
    change(registers)
    for address, value in registers.items():
        write(chip, address, value)
    for command in commands:
        write(chip, SDCMR, command)
        chip.clock.add_cycles(pause)
    write(chip, SDRTR, refresh << 1)
    controller(chip).settle()
    return controller(chip).why


def test_memory_is_dead_until_the_manuals_steps_are_done(chip: Stm32F4) -> None:
    with pytest.raises(BusError):
        chip.bus.read(SDRAM, 4)
    assert start(chip) == ""
    chip.bus.write(SDRAM + 0x7F_FFFC, b"last")
    assert chip.bus.read(SDRAM + 0x7F_FFFC, 4) == b"last"
    with pytest.raises(BusError):
        chip.bus.read(SDRAM + 0x80_0000, 4)


def test_a_reset_takes_the_memory_away(chip: Stm32F4) -> None:
    start(chip)
    controller(chip).reset()
    assert not controller(chip).alive
    with pytest.raises(BusError):
        chip.bus.read(SDRAM, 4)


@pytest.mark.parametrize(
    ("says", "wrong"),
    [
        ("clock has run for less than 100 us", {"pause": 100}),
        ("refresh is step 2", {"commands": (COMMANDS[0], *COMMANDS[2:])}),
        ("refresh is set behind 3 steps", {"commands": COMMANDS[:3]}),
        ("it is refreshed 1 times", {"commands": (*COMMANDS[:2], 3 | BANK_2, COMMANDS[3])}),
        ("its mode is 0x220", {"commands": (*COMMANDS[:3], 4 | BANK_2 | 0x220 << 9)}),
        ("refresh every 2000 cycles", {"refresh": 2000}),
        ("it needs 8", {"change": lambda them: them.update({SDCR2: START[SDCR2] | 1})}),
        ("FMC_SDCR has clock_divider 0", {"change": lambda them: them.update({SDCR1: 0})}),
        ("FMC_SDTR has row_cycle 6", {"change": lambda them: them.update({SDTR1: 0x0010_5000})}),
        ("FMC_SDTR has row_to_column 1", {"change": lambda to: to.update({SDTR2: 0x0002_0361})}),
    ],
)  # fmt: skip
def test_a_step_that_is_wrong_leaves_it_dead_and_says_why(
    chip: Stm32F4, says: str, wrong: dict[str, object]
) -> None:
    assert says in start(chip, **wrong)  # type: ignore[arg-type]
    assert not controller(chip).alive


def test_wrong_timings_may_be_forgiven_and_are_told(
    chip: Stm32F4, caplog: pytest.LogCaptureFixture
) -> None:
    """As hil emulate does without --strict: public programs have them, and run on silicon."""
    chip.forgive()
    start(chip, change=lambda to: to.update({SDTR2: 0x0002_0361}))
    assert controller(chip).alive
    assert "the SDRAM goes on, where silicon may not: FMC_SDTR has" in caplog.text


def test_a_fault_in_memory_that_is_dead_has_its_address() -> None:
    program = f"""
    function start
     ldr r0, ={SDRAM + 0x1234:#x}
     ldr r1, [r0]
     bkpt 0
    function hard
     ldr r0, =0xE000ED38
     ldr r4, [r0]
     bkpt 0
    """
    with finished(program, board=boards.load("stm32f429i_disc1")) as chip:
        assert registers(chip, "r4") == (SDRAM + 0x1234,)


def test_pins_that_lead_elsewhere_leave_it_dead(chip: Stm32F4) -> None:
    write(chip, GPIOA + 0x400 * 6, 0)  # port G's are inputs
    assert "PG0 is not connected to the FMC" in start(chip)


def test_a_controller_without_clock_is_dead(chip: Stm32F4) -> None:
    write(chip, RCC_AHB3ENR, 0)
    start(chip)
    assert not controller(chip).alive


def test_firmware_brings_it_up_and_takes_longer_there(tmp_path: Path) -> None:
    cycles = []
    for board in (BOARD, OUTSIDE):
        image = build(tiny_model.write(tmp_path / "model"), board, find_toolchain("zig"))
        with EmulatedTarget(board) as target:
            target.flash(image)
            target.reset()
            device = Device(target.serial(), timeout_s=60)
            device.expect(image)
            device.load_input(INPUT)
            cycles.append(device.run().cycles)
            assert device.outputs() == tiny_model.expected(INPUT)
            (arena,) = (one for one in symbols.read(image.elf) if one.name == "model_arena")
            assert board.arena.holds(arena.address)
            assert target.emulated.chip.broken == ""
    assert cycles[1] > 3 * cycles[0]


def test_an_image_for_memory_that_the_board_lacks_is_told(tmp_path: Path) -> None:
    image = build(tiny_model.write(tmp_path / "model"), OUTSIDE, find_toolchain("zig"))
    lacking = replace(
        OUTSIDE, memories=tuple(one for one in OUTSIDE.memories if one.name != "sdram")
    )
    with EmulatedTarget(lacking) as target:
        target.flash(image)
        target.reset()
        with pytest.raises(FirmwareFault, match="address=0xD0000000"):
            Device(target.serial(), timeout_s=60).expect(image)


def test_a_plan_uses_it_only_where_the_chips_own_memory_is_too_small() -> None:
    b = Builder(1, (60, 60, 3))
    small = b.program(b.pool("pool", b.input, 4, 2, (4, 4), repeat=0))
    assert plan.plan_on(small, BOARD)[1] is BOARD
    own = with_little_of_its_own(4096)
    with pytest.raises(MemoryLimitError):
        plan.make_plan(small, Budget.of(own))
    made, board = plan.plan_on(small, own)
    assert board.arena_outside
    assert made.arena_bytes > own.sram.bytes


def test_a_scenario_that_the_chips_own_memory_rules_out_is_built_for_the_boards(
    tmp_path: Path,
) -> None:
    shape = "rows = 96\ncolumns = 96\nchannels = 3\n"
    (tmp_path / "large.toml").write_text(
        f'model = "rnnpool_layer"\nstream = false\n[variant]\n{shape}'
    )
    chosen = scenario.load(str(tmp_path / "large.toml"))
    own = with_little_of_its_own(16_384)
    assert not count.planned(network.structure(chosen), own, streams=chosen.stream).obstacle
    prepared = measurement.prepare(chosen, own, find_toolchain("zig"), Stopwatch())
    (arena,) = (one for one in symbols.read(prepared.image.elf) if one.name == "model_arena")
    assert prepared.board.arena_outside
    assert arena.address >= SDRAM


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_network_that_the_chips_own_memory_rules_out_runs_there_to_the_bit(
    tmp_path: Path,
) -> None:
    """RNNPool-Face-C, on weights of a seed: 1,449,472 B of activations, 921,600 B of input."""
    program = synthetic_program(models.structure("face_c"))
    with pytest.raises(MemoryLimitError):
        plan.make_plan(program, Budget.of(BOARD))
    made, board = plan.plan_on(program, BOARD)
    emit.write(program, made, tmp_path)
    image = build(tmp_path, board, find_toolchain("zig"))
    x = np.random.default_rng(1).integers(-128, 128, program.input.shape, np.int8)
    with EmulatedTarget(board) as target:
        target.flash(image)
        target.reset()
        device = Device(target.serial(), timeout_s=1200)
        device.expect(image)
        device.load_input(x.tobytes())
        device.run()
        outputs = np.frombuffer(device.outputs(), np.int8)
    assert np.array_equal(outputs, reference.run(program, x).ravel())
