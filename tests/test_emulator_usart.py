"""Flags of a USART, and its DMA: RM0090 sections 30.3 and 30.6, with the core standing by."""

import threading
from collections.abc import Callable

import pytest
from emulated import DEADLINE_S, StillChip

from hil.targets.emulator.line import Line

USART1, SR, DR, BRR, CR1, CR2, CR3 = 0x4001_1000, 0x0, 0x4, 0x8, 0xC, 0x10, 0x14
UE, TE, RE, IDLEIE, RXNEIE, TCIE = 1 << 13, 1 << 3, 1 << 2, 1 << 4, 1 << 5, 1 << 6
FE, ORE, IDLE, RXNE, TC, TXE, LBD = (1 << bit for bit in (1, 3, 4, 5, 6, 7, 8))
EIE, DMAR, DMAT, LINEN = 1 << 0, 1 << 6, 1 << 7, 1 << 14
DIVIDER = 139
BYTE = 10 * DIVIDER
USART1_IRQ = 37

BUFFER = 0x2000_1000
DMA2 = 0x4002_6400
RX_STREAM, TX_STREAM = DMA2 + 0x10 + 0x18 * 2, DMA2 + 0x10 + 0x18 * 7
RX_IRQ, TX_IRQ = 58, 70
CHANNEL_4, MINC, CIRC, TO_PERIPHERAL = 4 << 25, 1 << 10, 1 << 8, 1 << 6
TCIE_DMA, HTIE_DMA, EN = 1 << 4, 1 << 3, 1


@pytest.fixture(params=[False, True], ids=["bytes at once", "bytes in time"])
def chip(request: pytest.FixtureRequest) -> StillChip:
    return _chip(times_bytes=request.param)


@pytest.fixture
def timed() -> StillChip:
    return _chip(times_bytes=True)


def _chip(*, times_bytes: bool) -> StillChip:
    chip = StillChip()
    chip.chip.usarts["usart1"].times_bytes = times_bytes
    chip.write(0x4002_0024, 0x770)
    chip.write(0x4002_0000, 0xA828_0000)
    chip.write(USART1 + BRR, DIVIDER)
    chip.write(USART1 + CR1, UE | TE | RE)
    return chip


def _send(chip: StillChip, data: bytes) -> None:
    chip.chip.usarts["usart1"].line.send(data)
    chip.chip.interrupts.pend()
    chip.read(USART1 + SR)  # the first byte begins when somebody looks at the line


def _sent(chip: StillChip) -> bytes:
    line = chip.chip.usarts["usart1"].line
    return line.receive(line.in_waiting(), 0)


def test_bytes_that_come_while_the_core_dozes_are_heard_one_by_one(
    timed: StillChip, monkeypatch: pytest.MonkeyPatch
) -> None:
    usart = timed.chip.usarts["usart1"]
    woken = []

    def doze(arrived: Callable[[], bool]) -> None:
        assert not arrived()
        usart.line.send(b"HAL")
        woken.append(arrived())
        timed.wait(4 * BYTE)  # the host's time, counted when the core is awake

    monkeypatch.setattr(usart._core, "doze", doze)
    while not woken:
        timed.read(USART1 + SR)
    assert woken == [True]
    heard = bytearray()
    for _ in range(3):
        timed.wait(BYTE + 2)
        assert timed.read(USART1 + SR) & (RXNE | ORE) == RXNE
        heard.append(timed.read(USART1 + DR))
    assert heard == b"HAL"


def _receive_by_dma(chip: StillChip, count: int, control: int = 0) -> None:
    chip.write(RX_STREAM + 4, count)
    chip.write(RX_STREAM + 8, USART1 + DR)
    chip.write(RX_STREAM + 12, BUFFER)
    chip.write(RX_STREAM, CHANNEL_4 | MINC | control | EN)
    chip.write(USART1 + CR3, DMAR)


def _buffer(chip: StillChip, length: int) -> bytes:
    return chip.chip.bus.read(BUFFER, length)


def test_a_byte_that_comes_while_the_last_is_unread_is_lost_and_sets_ore(
    timed: StillChip,
) -> None:
    _send(timed, b"ab")
    timed.wait(2 * BYTE + 2)
    assert timed.read(USART1 + SR) & (ORE | RXNE) == ORE | RXNE
    assert timed.read(USART1 + DR) == ord("a")
    assert timed.read(USART1 + SR) & (ORE | RXNE) == 0


def test_ore_stays_until_the_status_has_been_read_before_the_data(timed: StillChip) -> None:
    _send(timed, b"ab")
    timed.wait(2 * BYTE + 2)
    timed.read(USART1 + DR)
    assert timed.read(USART1 + SR) & (ORE | RXNE) == ORE


def test_ore_interrupts_with_rxneie(timed: StillChip) -> None:
    timed.write(USART1 + CR1, UE | RE | RXNEIE)
    _send(timed, b"ab")
    timed.wait(2 * BYTE + 2)
    timed.read(USART1 + DR)
    timed.chip.exceptions.state.pending.clear()
    timed.wait(1)
    assert timed.pending == {USART1_IRQ}


def test_bytes_that_are_read_in_time_are_all_there(timed: StillChip) -> None:
    _send(timed, b"abc")
    got = []
    for _ in range(3):
        timed.wait(BYTE + 2)
        assert timed.read(USART1 + SR) & (ORE | RXNE) == RXNE
        got.append(timed.read(USART1 + DR))
    assert bytes(got) == b"abc"


def test_idle_comes_a_byte_after_the_last_one_and_once(chip: StillChip) -> None:
    chip.write(USART1 + CR1, UE | RE | IDLEIE)
    _send(chip, b"a")
    chip.wait(BYTE + 2)
    chip.read(USART1 + DR)
    assert chip.read(USART1 + SR) & IDLE == 0
    assert chip.pending == set()
    chip.wait(BYTE + 2)
    assert chip.pending == {USART1_IRQ}
    assert chip.read(USART1 + SR) & IDLE
    chip.read(USART1 + DR)
    chip.wait(10 * BYTE)
    assert chip.read(USART1 + SR) & IDLE == 0


def test_tc_is_cleared_by_writing_zero_and_set_by_the_next_byte(chip: StillChip) -> None:
    assert chip.read(USART1 + SR) == TXE | TC
    chip.write(USART1 + SR, 0)
    assert chip.read(USART1 + SR) == TXE
    chip.write(USART1 + DR, 65)
    chip.wait(BYTE + 2)
    assert chip.read(USART1 + SR) == TXE | TC


def test_the_data_register_is_empty_while_the_byte_before_is_going_out(timed: StillChip) -> None:
    timed.write(USART1 + DR, 65)
    assert timed.read(USART1 + SR) == TXE
    timed.write(USART1 + DR, 66)
    assert timed.read(USART1 + SR) == 0
    timed.wait(BYTE)
    assert timed.read(USART1 + SR) == TXE
    timed.wait(BYTE)
    assert timed.read(USART1 + SR) == TXE | TC


def test_tc_interrupts_when_the_last_byte_is_out(timed: StillChip) -> None:
    timed.write(USART1 + SR, 0)
    timed.write(USART1 + CR1, UE | TE | TCIE)
    timed.write(USART1 + DR, 65)
    timed.wait(BYTE - 10)
    assert timed.pending == set()
    timed.wait(20)
    assert timed.pending == {USART1_IRQ}


@pytest.mark.parametrize(("mode", "flags"), [(0, FE | RXNE), (LINEN, FE | LBD | RXNE)])
def test_a_break_is_a_framing_error_and_in_lin_mode_a_break(
    chip: StillChip, mode: int, flags: int
) -> None:
    chip.write(USART1 + CR2, mode)
    chip.chip.usarts["usart1"].receive_break()
    assert chip.read(USART1 + SR) & (FE | LBD | RXNE) == flags
    assert chip.read(USART1 + DR) == 0
    chip.write(USART1 + SR, ~LBD & 0xFFFF_FFFF)
    assert chip.read(USART1 + SR) & (FE | LBD | RXNE) == 0


def test_parity_takes_the_eighth_bit(chip: StillChip) -> None:
    chip.write(USART1 + CR1, UE | TE | 1 << 10)
    chip.write(USART1 + DR, 0xC1)
    assert _sent(chip) == b"A"


def test_dma_sends_a_buffer(chip: StillChip) -> None:
    chip.chip.bus.write(BUFFER, b"dma\n")
    chip.write(USART1 + CR3, DMAT)
    chip.write(TX_STREAM + 4, 4)
    chip.write(TX_STREAM + 8, USART1 + DR)
    chip.write(TX_STREAM + 12, BUFFER)
    chip.write(TX_STREAM, CHANNEL_4 | MINC | TO_PERIPHERAL | TCIE_DMA | EN)
    chip.wait(5 * BYTE)
    assert _sent(chip) == b"dma\n"
    assert chip.pending == {TX_IRQ}
    assert chip.read(DMA2 + 4) >> 22 & 0x3F == 0x30  # TCIF7, HTIF7
    assert (chip.read(TX_STREAM) & EN, chip.read(TX_STREAM + 4)) == (0, 0)


def test_dma_sends_at_the_speed_of_the_line(timed: StillChip) -> None:
    timed.write(USART1 + CR3, DMAT)
    timed.write(TX_STREAM + 4, 10)
    timed.write(TX_STREAM + 8, USART1 + DR)
    timed.write(TX_STREAM + 12, BUFFER)
    timed.write(TX_STREAM, CHANNEL_4 | MINC | TO_PERIPHERAL | EN)
    timed.wait(5 * BYTE + 100)
    assert timed.read(TX_STREAM + 4) == 3  # five out, one going out, one in the data register
    timed.wait(4 * BYTE - 200)
    assert timed.read(USART1 + SR) & TC == 0
    timed.wait(BYTE + 200)
    assert timed.read(USART1 + SR) & TC == TC


def test_dma_receives_into_a_ring(chip: StillChip) -> None:
    _receive_by_dma(chip, 4, CIRC | TCIE_DMA | HTIE_DMA)
    _send(chip, b"ab")
    chip.wait(3 * BYTE)
    assert chip.pending == {RX_IRQ}
    assert chip.read(DMA2) >> 16 & 0x3F == 0x10  # HTIF2
    chip.write(DMA2 + 8, 0x3F << 16)
    _send(chip, b"cde")
    chip.wait(4 * BYTE)
    assert chip.read(DMA2) >> 16 & 0x3F == 0x20  # TCIF2
    assert _buffer(chip, 4) == b"ebcd"
    assert chip.read(RX_STREAM + 4) == 3
    assert chip.read(RX_STREAM) & EN


def test_dma_and_idle_tell_of_a_message_of_unknown_length(chip: StillChip) -> None:
    _receive_by_dma(chip, 16)
    chip.write(USART1 + CR1, UE | RE | IDLEIE)
    _send(chip, b"hello")
    chip.wait(8 * BYTE)
    assert chip.pending == {USART1_IRQ}
    assert 16 - chip.read(RX_STREAM + 4) == 5
    assert _buffer(chip, 5) == b"hello"
    assert chip.read(USART1 + SR) & ORE == 0


def test_a_stream_that_is_switched_off_says_what_is_left(chip: StillChip) -> None:
    _receive_by_dma(chip, 16)
    _send(chip, b"abc")
    chip.wait(4 * BYTE)
    chip.write(RX_STREAM, CHANNEL_4 | MINC)
    assert chip.read(RX_STREAM + 4) == 13
    assert chip.read(DMA2) >> 16 & 0x20  # section 10.3.15: TCIF too


def test_two_buffers_take_turns(chip: StillChip) -> None:
    chip.write(RX_STREAM + 16, BUFFER + 0x100)
    _receive_by_dma(chip, 2, 1 << 18)
    _send(chip, b"abcde")
    chip.wait(7 * BYTE)
    assert _buffer(chip, 2) == b"eb"
    assert chip.chip.bus.read(BUFFER + 0x100, 2) == b"cd"
    assert chip.read(RX_STREAM) >> 19 & 1 == 0


def test_a_stream_that_is_on_keeps_its_settings(chip: StillChip) -> None:
    _receive_by_dma(chip, 16)
    chip.write(RX_STREAM + 4, 99)
    chip.write(RX_STREAM, CIRC | EN)
    assert chip.read(RX_STREAM + 4) == 16
    assert chip.read(RX_STREAM) == CHANNEL_4 | MINC | EN


def test_dma_from_core_coupled_memory_is_an_error(chip: StillChip) -> None:
    chip.write(USART1 + CR3, DMAT)
    chip.write(TX_STREAM + 4, 4)
    chip.write(TX_STREAM + 8, USART1 + DR)
    chip.write(TX_STREAM + 12, 0x1000_0000)
    chip.write(TX_STREAM, CHANNEL_4 | MINC | TO_PERIPHERAL | EN)
    chip.wait(BYTE)
    assert chip.read(DMA2 + 4) >> 22 & 0x3F == 8  # TEIF7
    assert chip.read(TX_STREAM) & EN == 0


def test_a_usart_that_nobody_hears_is_told_once(
    chip: StillChip, caplog: pytest.LogCaptureFixture
) -> None:
    chip.write(0x4002_0000, 0xA800_0000)
    for _ in range(2):
        chip.write(USART1 + DR, 65)
        chip.wait(BYTE + 2)
    assert _sent(chip) == b""
    assert [r.getMessage() for r in caplog.records] == [
        "USART1 sends, but no pin carries its TX: nobody hears it"
    ]


@pytest.mark.parametrize(
    ("control", "baud", "why"),
    [
        (0, 139, "UE is clear"),
        (1 << 13, 139, "TE is clear"),
        (1 << 13 | 1 << 3, 0, "its baud rate is not set"),
    ],
)
def test_a_byte_that_is_not_sent_is_told_once_with_the_reason(
    caplog: pytest.LogCaptureFixture, control: int, baud: int, why: str
) -> None:
    """RM0090 section 30.3.2: what a transmission takes."""
    chip = StillChip()
    chip.write(0x4001_1008, baud)
    chip.write(0x4001_100C, control)
    for _ in range(2):
        chip.write(0x4001_1004, 0x41)
    assert caplog.messages == [f"USART1 was given a byte to send, but {why}"]


def test_bytes_that_no_pin_brings_are_told_once(
    timed: StillChip, caplog: pytest.LogCaptureFixture
) -> None:
    timed.write(0x4002_0000, 0xA800_0000)
    _send(timed, b"ab")
    timed.wait(3 * BYTE)
    assert timed.read(USART1 + SR) & RXNE == 0
    assert [r.getMessage() for r in caplog.records] == [
        "bytes come for USART1, but no pin carries its RX: they wait"
    ]


def test_a_host_that_waits_for_several_bytes_has_them_when_the_last_has_come() -> None:
    line, had = Line("usart1", lambda: None), []
    host = threading.Thread(target=lambda: had.append(line.receive(3, DEADLINE_S)))
    host.start()
    for byte in b"abc":
        line.put(bytes((byte,)))
    host.join(DEADLINE_S)
    assert had == [b"abc"]
