"""`hil emulate`: any program, its output, its exit status, its cycles."""

from pathlib import Path

import pytest
import thumb
from emulated import BOARD, USART1

from hil.errors import BuildError, FirmwareFault
from hil.studies import emulate

SEMIHOSTING = """
.macro semihost operation
 movs r0, #\\operation
 bkpt 0xab
.endm
"""
HELLO = (
    SEMIHOSTING
    + """
function start
 ldr r1, =text
 semihost 0x04
 ldr r1, =text + 1
 semihost 0x03
 ldr r1, =open_block
 semihost 0x01
 ldr r1, =write_block
 ldr r2, =0x20000000
 str r0, [r2]
 ldr r3, [r1, #4]
 str r3, [r2, #4]
 ldr r3, [r1, #8]
 str r3, [r2, #8]
 mov r1, r2
 semihost 0x05
"""
    + USART1
    + """
 ldr r1, =0x2008
 str r1, [r0, #12]
 movs r1, #'!'
 str r1, [r0, #4]
 ldr r1, =exit_block
 semihost 0x20
.align 2
text: .asciz "hello\\n"
.align 2
console: .asciz ":tt"
.align 2
open_block: .word console, 4, 3
write_block: .word 0, text, 4
exit_block: .word 0x20026, 42
"""
)
COUNT = (
    SEMIHOSTING
    + """
function start
 ldr r2, =1000
1: subs r2, #1
 bne 1b
 ldr r1, =0x20026
 semihost 0x18
"""
)


def output_of(elf: Path) -> tuple[bytes, emulate.Outcome]:
    written = bytearray()
    outcome = emulate.run(elf, BOARD, write=written.extend, max_seconds=20)
    return bytes(written), outcome


def test_output_by_semihosting_and_uart_comes_in_order_and_the_status_too() -> None:
    written, outcome = output_of(thumb.assemble(HELLO))
    assert written == b"hello\nehell!"
    assert outcome.exit_status == 42


def test_cycles_and_instructions_are_counted_from_reset_and_always_the_same() -> None:
    _, first = output_of(thumb.assemble(COUNT))
    _, second = output_of(thumb.assemble(COUNT))
    assert first == second
    assert first.exit_status == 0
    assert first.instructions == 2003
    assert first.cycles == pytest.approx(3000, rel=0.02)


def test_wait_states_and_caches_can_be_set_for_any_program() -> None:
    elf = thumb.assemble(COUNT.replace("1: ", "1: .rept 40\n nop\n .endr\n "))
    free = emulate.run(elf, BOARD, max_seconds=20)
    slow = emulate.run(elf, BOARD, wait_states=5, art=False, max_seconds=20)
    cached = emulate.run(elf, BOARD, wait_states=5, art=True, max_seconds=20)
    assert slow.cycles > 1.2 * free.cycles
    assert free.cycles < cached.cycles < 1.05 * free.cycles


def test_a_program_that_does_not_end_is_stopped() -> None:
    outcome = emulate.run(thumb.assemble("function start\n b ."), BOARD, max_seconds=0.2)
    assert outcome.exit_status == 124
    assert outcome.instructions > 1000


def test_a_lockup_is_a_fault_that_says_where() -> None:
    with pytest.raises(FirmwareFault, match=r"locked up.*CFSR 0x00030000"):
        emulate.run(thumb.assemble("function start\n udf 0"), BOARD, max_seconds=20)


def test_a_breakpoint_that_is_no_request_is_a_fault() -> None:
    with pytest.raises(FirmwareFault, match="no request"):
        emulate.run(thumb.assemble("function start\n bkpt 1"), BOARD, max_seconds=20)


def test_what_is_no_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.elf").write_bytes(b"no ELF")
    with pytest.raises(BuildError):
        emulate.run(tmp_path / "a.elf", BOARD)


def test_files_other_than_the_console_cannot_be_opened() -> None:
    program = (
        SEMIHOSTING
        + """
    function start
     ldr r1, =open_block
     semihost 0x01
     adds r3, r0, #1
     ldr r1, =0x20000000
     ldr r2, =0x20026
     str r2, [r1]
     str r3, [r1, #4]
     semihost 0x20
    .align 2
    name: .asciz "/etc/passwd"
    .align 2
    open_block: .word name, 0, 11
    """
    )
    _, outcome = output_of(thumb.assemble(program))
    assert outcome.exit_status == 0
