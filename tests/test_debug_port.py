"""The debug port as pyOCD uses it: memory, registers, breakpoints, watchpoints, steps, resets."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import thumb
from emulated import BOARD

from hil.build.image import read_segments
from hil.targets import debugger
from hil.targets.emulator import powered
from hil.targets.emulator.board import EmulatedBoard, default_clock
from hil.targets.emulator.debug.port import DebugPort, TransferFault

PROGRAM = """
function start
 ldr r0, =0x20000100
 movs r1, #0
loop:
 adds r1, #1
 bl store
 b loop
function store
 str r1, [r0]
 ldr r2, [r0]
 bx lr
function usage
 b .
"""
SRAM = 0x2000_0000


@pytest.fixture
def board() -> Iterator[EmulatedBoard]:
    emulated = EmulatedBoard(BOARD, "debug-port-test", make_clock=default_clock)
    powered.add(emulated)
    yield emulated
    powered.remove(emulated)
    emulated.power_off()


@pytest.fixture
def target(board: EmulatedBoard) -> Iterator[Any]:
    from pyocd.core.session import Session
    from pyocd.probe.aggregator import DebugProbeAggregator

    for segment in read_segments(thumb.assemble(PROGRAM)):
        offset = segment.address - BOARD.flash.address
        board.chip.memory.flash[offset : offset + len(segment.data)] = segment.data
    probe = DebugProbeAggregator.get_probe_with_id(f"hil-emulator:{board.unique_id}")
    options = {"no_config": True, "reset.post_delay": 0.0, "reset.hold_time": 0.0}
    with Session(probe, options=options) as session:
        chip: Any = session.target
        chip.reset_and_halt()
        yield chip


@pytest.fixture
def port(board: EmulatedBoard) -> DebugPort:
    port = board.debug_port
    port.write_dp(0x4, 0x5000_0000)
    return port


def symbol(name: str) -> int:
    from elftools.elf.elffile import ELFFile

    with thumb.assemble(PROGRAM).open("rb") as file:
        symbols: Any = ELFFile(file).get_section_by_name(".symtab")
        (found,) = symbols.get_symbol_by_name(name)
        return int(found["st_value"]) & ~1


def wait_until(target: Any, condition: Callable[[], bool]) -> None:
    """Return when a condition holds; asking for the state lets the core go on for a moment."""
    for _ in range(2000):
        if condition():
            return
        target.get_state()
    pytest.fail("the core does not get there")


def wait_halted(target: Any) -> None:
    wait_until(target, target.is_halted)


# DP and AP


def set_up_access(port: DebugPort, address: int, size: int = 2, *, increment: bool = True) -> None:
    port.write_dp(0x8, 0)
    port.write_ap(0x0, 0x2300_0000 | increment << 4 | size)
    port.write_ap(0x4, address)


def test_power_requests_are_acknowledged(board: EmulatedBoard) -> None:
    board.debug_port.write_dp(0x4, 0x5000_0000)
    assert board.debug_port.read_dp(0x4) == 0xF000_0000


def test_access_without_power_faults(board: EmulatedBoard) -> None:
    with pytest.raises(TransferFault):
        board.debug_port.read_ap(0xC)


@pytest.mark.parametrize(("size", "lanes"), [(0, 0xFF), (1, 0xFFFF), (2, 0xFFFF_FFFF)])
def test_narrow_accesses_use_their_byte_lanes(port: DebugPort, size: int, lanes: int) -> None:
    set_up_access(port, SRAM, 2)
    port.write_ap(0xC, 0x4433_2211)
    offset = 0 if size == 2 else 2
    set_up_access(port, SRAM + offset, size)
    assert port.read_ap(0xC) >> 8 * offset & lanes == 0x4433_2211 >> 8 * offset & lanes
    set_up_access(port, SRAM + offset, size)
    port.write_ap(0xC, 0xDDCC_BBAA)
    set_up_access(port, SRAM, 2)
    kept = 0x4433_2211 & ~(lanes << 8 * offset)
    assert port.read_ap(0xC) == kept | 0xDDCC_BBAA & lanes << 8 * offset


@pytest.mark.parametrize(("size", "step"), [(0, 1), (1, 2), (2, 4)])
def test_tar_counts_up_by_the_size_and_wraps_at_four_kib(
    port: DebugPort, size: int, step: int
) -> None:
    set_up_access(port, SRAM + 0xFFC, size)
    for _ in range(4 // step):
        port.read_ap(0xC)
    assert port.read_ap(0x4) == SRAM


def test_tar_stays_without_increment(port: DebugPort) -> None:
    set_up_access(port, SRAM, 2, increment=False)
    port.read_ap(0xC)
    assert port.read_ap(0x4) == SRAM


def test_banked_data_registers_reach_four_words(port: DebugPort) -> None:
    set_up_access(port, SRAM + 0x20)
    port.write_dp(0x8, 0x10)
    for offset in (0x0, 0x4, 0x8, 0xC):
        port.write_ap(offset, 0x1000 + offset)
    set_up_access(port, SRAM + 0x20)
    assert port.read_ap_many(0xC, 4) == [0x1000, 0x1004, 0x1008, 0x100C]


def test_a_fault_is_sticky_until_it_is_cleared(port: DebugPort) -> None:
    set_up_access(port, 0x6000_0000)
    with pytest.raises(TransferFault):
        port.read_ap(0xC)
    with pytest.raises(TransferFault):
        port.read_ap(0x4)
    assert port.read_dp(0x4) & 1 << 5
    port.write_dp(0x0, 1 << 2)
    assert not port.read_dp(0x4) & 1 << 5
    assert port.read_ap(0x4) == 0x6000_0000


def test_other_access_ports_are_not_there(port: DebugPort) -> None:
    port.write_dp(0x8, 0x0100_00F0)
    assert port.read_ap(0xC) == 0


@pytest.mark.parametrize(
    ("unit", "part"),
    [(0xE000_E000, 0x00C), (0xE000_1000, 0x002), (0xE000_2000, 0x003), (0xE000_0000, 0x001)],
    ids=["SCS", "DWT", "FPB", "ITM"],
)
def test_the_rom_table_lists_units_that_say_what_they_are(
    port: DebugPort, unit: int, part: int
) -> None:
    rom = 0xE00F_F000
    set_up_access(port, rom)
    entries = port.read_ap_many(0xC, 6)
    assert unit in [rom + (entry & 0xFFFF_F000) & 0xFFFF_FFFF for entry in entries if entry & 1]
    set_up_access(port, unit + 0xFE0)
    ids = port.read_ap_many(0xC, 8)
    assert ids[0] | (ids[1] & 0xF) << 8 == part
    assert ids[4:] == [0x0D, 0xE0, 0x05, 0xB1]


def test_the_breakpoint_unit_has_six_comparators_for_code_and_two_for_literals(
    port: DebugPort,
) -> None:
    set_up_access(port, 0xE000_2000)
    assert port.read_ap(0xC) == 0x260


# through pyOCD


def test_pyocd_finds_the_core_and_its_debug_units(target: Any) -> None:
    core = target.cores[0]
    assert core.name == "Cortex-M4"
    assert core.has_fpu
    assert core.available_breakpoint_count == 6
    assert core.dwt.watchpoint_count == 4


def test_memory_is_written_and_read_in_all_sizes_and_alignments(target: Any) -> None:
    data = bytes(range(1, 42))
    for offset in range(5):
        target.write_memory_block8(SRAM + 0x1000 + offset, data)
        assert bytes(target.read_memory_block8(SRAM + 0x1000 + offset, len(data))) == data
    target.write16(SRAM + 2, 0xBEEF)
    assert target.read8(SRAM + 3) == 0xBE


def test_a_debugger_reads_any_piece_of_memory(target: Any) -> None:
    data = bytes(range(1, 42))
    target.write_memory_block8(SRAM + 0x1000, data)
    for first in range(5):
        for count in range(10):
            found = debugger._memory(target, SRAM + 0x1000 + first, count)
            assert found == data[first : first + count]


def test_an_access_to_nothing_faults_and_the_session_survives(target: Any) -> None:
    from pyocd.core.exceptions import TransferFaultError

    with pytest.raises(TransferFaultError):
        target.read32(0x6000_0000)
    with pytest.raises(TransferFaultError):
        target.write8(0x6000_0001, 1)
    target.write32(SRAM, 5)
    assert target.read32(SRAM) == 5


def test_core_and_float_registers_are_written_and_read(target: Any) -> None:
    values = {f"r{i}": 0x1000_0000 + i for i in range(13)}
    values |= {"lr": 0x0800_0101, "msp": SRAM + 0x800, "psp": SRAM + 0x400, "pc": 0x0800_0200}
    values |= {"primask": 1, "basepri": 0x40, "faultmask": 0, "control": 0, "fpscr": 0x0300_0000}
    for name, value in values.items():
        target.write_core_register(name, value)
    assert {name: target.read_core_register(name) for name in values} == values
    target.write_core_register("s7", 1.5)
    target.write_core_register("d1", 0x4000_0000_3F80_0000)
    assert target.read_core_register("s7") == 1.5
    assert target.read_core_register("s2") == 1.0
    assert target.read_core_register("s3") == 2.0


def test_every_float_register_has_its_selector(target: Any) -> None:
    names = [f"s{i}" for i in range(32)]
    for number, name in enumerate(names):
        target.write_core_register(name, float(number))
    assert [target.read_core_register(name) for name in names] == [float(i) for i in range(32)]


@pytest.mark.parametrize("name", ["msp", "psp"])
def test_a_stack_pointer_has_no_low_bits(target: Any, name: str) -> None:
    target.write_core_register(name, SRAM + 0x403)
    assert target.read_core_register(name) == SRAM + 0x400


def test_reset_and_halt_stops_at_the_reset_vector(target: Any) -> None:
    assert target.read_core_register("pc") == symbol("start")
    assert target.read_core_register("sp") == 0x2001_0000
    assert target.read_core_register("xpsr") & 1 << 24


@pytest.mark.parametrize("kind", ["SYSRESETREQ", "HARDWARE", "VECTRESET"])
def test_every_kind_of_reset_restarts_the_program(target: Any, kind: str) -> None:
    from pyocd.core.target import Target

    target.write32(SRAM + 0x100, 0xFFFF_FFFF)
    target.reset(Target.ResetType[kind])
    wait_until(target, lambda: 0 < target.read32(SRAM + 0x100) < 0xFFFF_FFFF)
    target.reset_and_halt(Target.ResetType[kind])
    assert target.read_core_register("pc") == symbol("start")


def test_a_running_core_halts_when_told(target: Any) -> None:
    target.resume()
    assert target.is_running()
    target.halt()
    assert target.is_halted()
    assert symbol("start") <= target.read_core_register("pc") <= symbol("store") + 4


def test_a_breakpoint_halts_before_its_instruction(target: Any) -> None:
    target.set_breakpoint(symbol("store"))
    for expected in (1, 2):
        target.resume()
        wait_halted(target)
        assert target.read_core_register("pc") == symbol("store")
        assert target.read_core_register("r1") == expected
        target.remove_breakpoint(symbol("store"))
        target.step()
        target.set_breakpoint(symbol("store"))


def test_a_software_breakpoint_in_ram_halts(target: Any) -> None:
    from pyocd.core.target import Target

    target.write_memory_block8(SRAM, bytes.fromhex("0130 0130 fce7"))  # 1: adds; adds; b 1b
    target.write_core_register("pc", SRAM)
    target.step()
    target.step()
    target.set_breakpoint(SRAM, Target.BreakpointType.SW)
    target.resume()
    wait_halted(target)
    assert target.read_core_register("pc") == SRAM
    assert target.get_halt_reason() is Target.HaltReason.BREAKPOINT


def test_steps_follow_the_program(target: Any) -> None:
    places = []
    for _ in range(9):
        places.append(target.read_core_register("pc"))
        target.step()
    start, store = symbol("start"), symbol("store")
    loop = start + 4
    assert places == [
        start, start + 2, loop, loop + 2, store, store + 2, store + 4, loop + 6, loop,
    ]  # fmt: skip


def test_a_step_in_an_it_block_executes_one_instruction(target: Any) -> None:
    # movs r0, #1; cmp r0, #2; ite ne; movne r1, #7; moveq r1, #8; b .
    target.write_memory_block8(SRAM, bytes.fromhex("0120 0228 14bf 0721 0821 fee7"))
    target.write_core_register("pc", SRAM)
    target.write_core_register("r1", 0)
    seen = []
    for _ in range(5):
        target.step()
        seen.append((target.read_core_register("pc") - SRAM, target.read_core_register("r1")))
    assert seen == [(2, 0), (4, 0), (6, 0), (8, 7), (10, 7)]


@pytest.mark.parametrize(("kind", "offset"), [("WRITE", 2), ("READ", 4), ("READ_WRITE", 2)])
def test_a_watchpoint_halts_behind_the_access(target: Any, kind: str, offset: int) -> None:
    from pyocd.core.target import Target

    target.set_watchpoint(SRAM + 0x100, 4, Target.WatchpointType[kind])
    target.resume()
    wait_halted(target)
    assert target.read_core_register("pc") == symbol("store") + offset
    assert target.get_halt_reason() is Target.HaltReason.WATCHPOINT
    target.remove_watchpoint(SRAM + 0x100, 4, Target.WatchpointType[kind])
    target.resume()
    assert target.is_running()


def test_a_watchpoint_halts_behind_the_access_though_a_visitor_asks_to_stop_before_it(
    board: EmulatedBoard, target: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyocd.core.target import Target

    run, run_on = board.chip.clock.run, board.chip.engine.run
    asked: list[int] = []

    def asked_to_stop() -> Any:
        if board.chip.debug.enabled and run.block_limit and len(asked) < 3:
            asked.append(run.stop)
            run.stop = 1
        return run_on()

    target.set_watchpoint(SRAM + 0x100, 4, Target.WatchpointType.WRITE)
    monkeypatch.setattr(board.chip.engine, "run", asked_to_stop)
    target.resume()
    wait_halted(target)
    assert target.read_core_register("pc") == symbol("store") + 2
    assert asked == [0, 0, 0]


def test_a_watchpoint_sees_a_wider_access_that_touches_its_byte(target: Any) -> None:
    from pyocd.core.target import Target

    target.set_watchpoint(SRAM + 0x103, 1, Target.WatchpointType.WRITE)
    target.resume()
    wait_halted(target)
    assert target.read_core_register("pc") == symbol("store") + 2


def test_a_watchpoint_that_is_hit_again_lets_the_program_make_progress(target: Any) -> None:
    from pyocd.core.target import Target

    target.set_watchpoint(SRAM + 0x100, 4, Target.WatchpointType.WRITE)
    for expected in (1, 2, 3):
        target.resume()
        wait_halted(target)
        assert target.read32(SRAM + 0x100) == expected


def test_vector_catch_halts_at_the_fault_handler(target: Any) -> None:
    from pyocd.core.target import Target

    target.set_vector_catch(Target.VectorCatch.HARD_FAULT)
    target.write_memory_block8(SRAM, bytes.fromhex("00de"))  # udf
    target.write_core_register("pc", SRAM)
    target.resume()
    wait_halted(target)
    assert target.get_halt_reason() is Target.HaltReason.VECTOR_CATCH
    assert target.read_core_register("ipsr") == 3


def test_sticky_status_bits_are_cleared_by_reading(target: Any) -> None:
    dhcsr = 0xE000_EDF0
    target.reset_and_halt()
    target.read32(dhcsr)
    assert not target.read32(dhcsr) & (1 << 24 | 1 << 25)
    target.resume()
    wait_until(target, lambda: bool(target.read32(dhcsr) & 1 << 24))
    target.write32(0xE000_ED0C, 0x05FA_0004)
    assert target.read32(dhcsr) & 1 << 25
    assert not target.read32(dhcsr) & 1 << 25


def test_a_locked_up_core_says_so_and_a_reset_frees_it(target: Any) -> None:
    from pyocd.core.target import Target

    target.write_core_register("sp", 0x10)  # stacking fails, then stacking the fault does
    target.write32(0xE000_ED08, 0x6000_0000)  # and there are no vectors
    target.write_memory_block8(SRAM, bytes.fromhex("00de"))
    target.write_core_register("pc", SRAM)
    target.resume()
    wait_until(target, lambda: target.get_state() is Target.State.LOCKUP)
    target.reset_and_halt()
    assert target.read_core_register("pc") == symbol("start")
