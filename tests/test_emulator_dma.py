"""DMA from memory to memory, by programs; each rule of RM0090 sections 10.3 and 10.5."""

import pytest
from emulated import finished, memory_words, registers

SOURCE, TARGET, CCM = 0x2000_0100, 0x2000_0200, 0x1000_0000
TCIF, HTIF, TEIF = 1 << 5, 1 << 4, 1 << 3
INCREMENTS, FIXED_TARGET = 0x600, 0x200
WORDS, BYTES = 0x5000, 0
COPY = """
function start
 ldr r0, =0x40023830
 ldr r1, =0x600000
 str r1, [r0]
 ldr r0, =0x20000100
 ldr r1, =0x44332211
 ldr r2, =0x88776655
 stmia r0, {{r1, r2}}
 ldr r0, =0xE000E104
 ldr r1, =0x01000000     @ DMA2 stream 0 is interrupt 56
 str r1, [r0]
 movs r6, #0
 ldr r5, ={controller}
 ldr r1, ={items}
 str r1, [r5, #0x14]
 ldr r1, ={source}
 str r1, [r5, #0x18]
 ldr r1, ={target}
 str r1, [r5, #0x1C]
 ldr r1, ={control}
 str r1, [r5, #0x10]
 ldr r3, =1000
1: subs r3, #1
 bne 1b
 ldr r4, [r5]
 ldr r7, [r5, #0x10]
 ldr r3, [r5, #0x14]
 bkpt 0
function irq
 ldr r1, [r5]
 str r1, [r5, #8]
 mov r6, r1
 dsb
 bx lr
"""


def _copy(**changes: int) -> str:
    usual = {
        "controller": 0x4002_6400, "items": 2, "source": SOURCE, "target": TARGET,
        "control": WORDS | INCREMENTS | 0x81,
    }  # fmt: skip
    return COPY.format(**{**usual, **changes})


@pytest.mark.parametrize(
    ("items", "control", "copied"),
    [
        (2, WORDS | INCREMENTS, [0x4433_2211, 0x8877_6655]),
        (5, BYTES | INCREMENTS, [0x4433_2211, 0x55]),
        (2, WORDS | FIXED_TARGET, [0x8877_6655, 0]),
        (2, WORDS | 0x400, [0x4433_2211, 0x4433_2211]),
    ],
    ids=["words", "bytes", "to one place", "from one place"],
)
def test_a_stream_copies_and_ends(items: int, control: int, copied: list[int]) -> None:
    """TCIF and HTIF are set, EN and NDTR are cleared."""
    with finished(_copy(items=items, control=control | 0x81)) as chip:
        assert memory_words(chip, TARGET, 2) == copied
        status, left, count = registers(chip, "r4", "r7", "r3")
        assert status == TCIF | HTIF
        assert (left & 1, count) == (0, 0)


def test_the_end_of_a_copy_interrupts_and_is_cleared() -> None:
    with finished(_copy(control=WORDS | INCREMENTS | 0x91)) as chip:
        assert registers(chip, "r4", "r6") == (0, TCIF | HTIF)


@pytest.mark.parametrize(
    "changes", [{"target": CCM}, {"source": 0x6000_0000}, {"target": 0x4002_0000}],
    ids=["core-coupled memory", "nothing", "a register"],
)  # fmt: skip
def test_what_no_stream_reaches_is_a_transfer_error(changes: dict[str, int]) -> None:
    """RM0090 section 2.1: the core-coupled memory is the core's alone."""
    with finished(_copy(**changes)) as chip:
        status, control, items = registers(chip, "r4", "r7", "r3")
        assert (status, control & 1, items) == (TEIF, 0, 2)


def test_dma1_copies_no_memory() -> None:
    with finished(_copy(controller=0x4002_6000)) as chip:
        assert registers(chip, "r4", "r7") == (TEIF, WORDS | INCREMENTS | 0x80)
        assert memory_words(chip, TARGET, 1) == [0]


def test_requests_that_nobody_makes_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with finished(_copy(control=3 << 25 | 0x41 | WORDS)) as chip:
        assert registers(chip, "r4") == (0,)
        assert memory_words(chip, TARGET, 1) == [0]
    assert (
        "stream 0 of DMA2 waits for the requests of SPI1_RX, which is not modelled" in caplog.text
    )
