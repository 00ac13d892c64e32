"""What `hil emulate` says of a program that is stopped, or uses what is not modelled."""

import re

import pytest
import thumb
from emulated import BOARD

from hil.cli import main
from hil.errors import FirmwareFault
from hil.studies import emulate
from hil.targets.emulator.register_names import RegisterNames

HASH_WAITS = """
.type start, %function
function start
 ldr r0, =0x40023800
 movs r1, #32
 str r1, [r0, #0x34]
 bl await_digest
 b .
.type await_digest, %function
function await_digest
 push {lr}
 ldr r0, =0x50060400
1: ldr r1, [r0, #0x24]
 cmp r1, #1
 bne 1b
 pop {pc}
"""


def stopped(source: str, seconds: float = 0.3) -> tuple[str, list[str]]:
    """Return what is said at the end, and what on the way."""
    warnings: list[str] = []
    outcome = emulate.run(thumb.assemble(source), BOARD, max_seconds=seconds, warn=warnings.append)
    assert outcome.exit_status == 124
    return "\n".join(outcome.stopped), warnings


def test_a_program_that_polls_is_told_where_and_what() -> None:
    text, warnings = stopped(HASH_WAITS)
    assert re.search(r"stands at 0x0800\w+ in await_digest", text)
    assert "called by way of start > await_digest" in text
    assert re.search(r"polls HASH_SR \(0x50060424\): [\d,]+ reads \([\d,]+ a second\)", text)
    assert "gave nothing but 0x00000000; it is not modelled" in text
    assert "registers that are not modelled: HASH_SR (0x50060424)" in text
    (warning,) = warnings
    assert warning.startswith("HASH_SR (0x50060424), which is not modelled, used in await_digest:")


def test_a_peripheral_without_its_clock_is_said_to_have_none() -> None:
    text, _ = stopped("""
    function start
     ldr r0, =0x40004400
    1: ldr r1, [r0]
     lsls r1, r1, #24
     bpl 1b
    """)
    assert "polls USART2_SR" in text
    assert "gave nothing but 0x00000000; USART2 has no clock" in text


def test_a_modelled_register_that_is_polled_is_not_said_to_be_missing() -> None:
    text, warnings = stopped("""
    function start
     ldr r0, =0x40023800
     movs r1, #1
     str r1, [r0, #0x30]
     ldr r0, =0x40020000
    1: ldr r1, [r0, #0x10]
     lsrs r1, r1, #1
     bcc 1b
     b .
    """)
    assert "polls GPIOA_IDR (0x40020010)" in text
    assert "not modelled" not in text
    assert warnings == []


def test_a_fault_handler_that_spins_is_told_from_a_finished_program() -> None:
    text, _ = stopped("""
    .type start, %function
    function start
     ldr r0, =0x60000000
     ldr r1, [r0]
     b .
    .type hard, %function
    function hard
     b .
    """)
    assert re.search(r"stands at 0x0800\w+ in hard\b", text)
    assert "in the handler of HardFault" in text
    assert re.search(
        r"last fault was taken as HardFault at 0x0800\w+ in start: CFSR 0x00008200, "
        r"HFSR 0x40000000, MMFAR 0x00000000, BFAR 0x60000000",
        text,
    )


def test_a_finished_program_has_no_fault() -> None:
    text, _ = stopped(".type start, %function\nfunction start\n b .\n")
    assert re.fullmatch(r"it stands at 0x0800\w+ in start", text)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("function start\n cpsid i\n1: wfi\n b 1b\n", "WFI; what may wake it: nothing is enabled"),
        ("function start\n wfe\n b .\n", "WFE; what may wake it: nothing is enabled"),
        (
            "function start\n ldr r0, =0xE000E104\n movs r1, #32\n str r1, [r0]\n1: wfi\n b 1b\n",
            "WFI; what may wake it: interrupt 37",
        ),
    ],
    ids=["WFI", "WFE", "an interrupt"],
)
def test_a_program_that_sleeps_is_told_what_it_waits_for(source: str, said: str) -> None:
    text, _ = stopped(source)
    assert f"it sleeps in {said}" in text


def test_strict_makes_an_unmodelled_register_a_fault() -> None:
    with pytest.raises(FirmwareFault, match=r"used HASH_SR \(0x50060424\), which is not modelled"):
        emulate.run(thumb.assemble(HASH_WAITS), BOARD, max_seconds=20, strict=True)


def test_the_command_says_it_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["emulate", str(thumb.assemble(HASH_WAITS)), "--max-seconds", "0.3"])
    said = capsys.readouterr()
    assert status == 124
    assert said.out == ""
    assert "hil emulate: stopped after 0.3 s; it stands at" in said.err
    assert "it polls HASH_SR" in said.err


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (0x5006_0804, "RNG_SR (0x50060804)"),
        (0x4000_0000, "TIM2_CR1 (0x40000000)"),
        (0x4000_00F0, "TIM2+0xf0 (0x400000f0)"),
        (0xD000_0000, "0xd0000000"),
    ],
)
def test_registers_have_the_names_of_the_manual(address: int, name: str) -> None:
    assert RegisterNames("STM32F439x.svd").name(address) == name


def test_a_chip_without_a_description_has_addresses() -> None:
    assert RegisterNames("").name(0x5006_0804) == "0x50060804"
