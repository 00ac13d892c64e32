"""The link over lines that damage bytes all the time: right, or given up, and never wrong."""

from io import StringIO
from typing import TYPE_CHECKING, cast

import pytest
import tiny_model
from link_line import HELLO, LinePort, ScriptedDevice
from native_device import BUILD_ID, NativeDevice
from rich.console import Console

from hil.errors import BootError, LinkError, SilenceError
from hil.link.client import Device
from hil.link.frames import DATA_BYTES, Decoder, Frame, encode
from hil.link.messages import (
    AskHello,
    AskOutputs,
    Hello,
    Load,
    Loaded,
    Message,
    Misheard,
    Outputs,
)
from hil.link.pieces import SMALLEST_BYTES, Pieces
from hil.studies.bench.link import Outcome, table
from hil.studies.bench.noise import Noise, NoisyPort

if TYPE_CHECKING:
    from serial import SerialBase

INPUT = bytes(i * 7 % 256 for i in range(tiny_model.INPUT_BYTES))
PHOTOGRAPH = bytes(i * 31 % 251 for i in range(76_800))


@pytest.fixture(scope="module", params=[False, True], ids=["loads", "streams"])
def firmware(request: pytest.FixtureRequest) -> NativeDevice:
    return NativeDevice(streams=request.param)


def noisy(firmware: NativeDevice, rate: float, seed: int) -> LinePort:
    return LinePort(firmware, Noise(rate, 2 * seed), Noise(rate, 2 * seed + 1))


def converse(device: Device) -> bytes:
    device.hello(BUILD_ID)
    device.load_input(INPUT)
    device.run()
    return device.outputs()


def test_one_damaged_byte_in_a_thousand_changes_no_output(firmware: NativeDevice) -> None:
    resends = 0
    for seed in range(100):
        firmware.boot()
        device = noisy(firmware, 1e-3, seed).device()
        assert converse(device) == tiny_model.expected(INPUT), seed
        resends += device.resends
    assert resends > 100  # the lines were damaged


def test_one_damaged_byte_in_a_hundred_ends_right_or_in_an_error(firmware: NativeDevice) -> None:
    right = 0
    for seed in range(20):
        firmware.boot()
        try:
            outputs = converse(noisy(firmware, 1e-2, seed).device())
        except (LinkError, BootError, SilenceError):
            continue
        assert outputs == tiny_model.expected(INPUT), seed
        right += 1
    assert right >= 5  # of the others the line was given up


class Keeps:
    """A device of 76,800 B of input that gives it back as its outputs, and holds the order."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self._held = bytearray()
        self._decoder = Decoder()
        self._last: tuple[int, bytes] = (0, b"")

    def __call__(self, data: bytes) -> bytes:
        said = b""
        for frame in self._decoder.feed(data):
            if not isinstance(frame, Frame):
                said += encode(Frame(Misheard.kind, 0))
                continue
            if frame.sequence != self._last[0]:
                message = self._answer(frame)
                self._last = (
                    frame.sequence,
                    encode(Frame(message.kind, frame.sequence, message.pack())),
                )
            said += self._last[1]
        return said

    def _answer(self, frame: Frame) -> Message:
        if frame.kind == AskHello.kind:
            size = len(PHOTOGRAPH)
            return Hello(**{**vars(HELLO), "input_bytes": size, "output_bytes": size})
        if frame.kind == AskOutputs.kind:
            asked = AskOutputs.unpack(frame.body)
            return Outputs(asked.offset, bytes(self._held[asked.offset :][: asked.count]))
        piece = Load.unpack(frame.body)
        assert piece.offset in {0, len(self._held)}
        self.sizes.append(len(piece.data))
        self._held[piece.offset :] = piece.data
        return Loaded(len(self._held))


def both_ways(rate: float) -> tuple[Keeps, LinePort]:
    """Load a photograph over a line, and read it back."""
    keeps = Keeps()
    port = LinePort(keeps, Noise(rate, 1), Noise(rate, 2))
    device = port.device()
    device.load_input(PHOTOGRAPH)
    assert device.outputs() == PHOTOGRAPH
    return keeps, port


def test_a_line_without_faults_carries_the_largest_frames_only() -> None:
    keeps, _ = both_ways(0)
    assert keeps.sizes == [DATA_BYTES] * 75


@pytest.mark.parametrize(
    ("rate", "least", "most"),
    [(1e-4, 512, DATA_BYTES), (1e-3, 64, 256), (1e-2, SMALLEST_BYTES, SMALLEST_BYTES)],
)
def test_frames_become_as_small_as_a_lines_damages_make_it_best(
    rate: float, least: int, most: int
) -> None:
    keeps, _ = both_ways(rate)
    assert least <= sorted(keeps.sizes)[len(keeps.sizes) // 2] <= most


class EndsOnce:
    """A line to the host that loses the last byte once, a frame's end."""

    def __init__(self, at: int) -> None:
        self._left = at

    def __call__(self, data: bytes) -> bytes:
        self._left -= 1
        return data[:-1] if self._left == 0 else data


def test_a_frame_whose_end_is_lost_ends_soon_and_is_not_asked_for_again(
    firmware: NativeDevice,
) -> None:
    for at in range(1, 7):
        firmware.boot()
        port = LinePort(firmware, to_host=EndsOnce(at))
        device = port.device()
        assert converse(device) == tiny_model.expected(INPUT)
        assert (device.resends, port.clock()) == (0, 0.5)


class LargeFramesFail:
    """A line on which no frame longer than `most` bytes passes whole."""

    def __init__(self, most: int) -> None:
        self.tried: list[int] = []
        self._most = most

    def __call__(self, data: bytes) -> bytes:
        self.tried.append(len(data))
        return data if len(data) <= self._most else b"\0\x01\x01damage\0"


def test_an_input_begins_anew_in_smaller_frames_where_none_of_a_size_arrives() -> None:
    line = LargeFramesFail(200)
    device = LinePort(keeps := Keeps(), to_device=line).device()
    device.load_input(PHOTOGRAPH)
    assert set(keeps.sizes[:3]) == {64}
    assert max(keeps.sizes) == 64  # a size that failed is not tried again
    assert sum(size > 200 for size in line.tried) == 18  # nine of 1,024 B, nine of 256 B


def test_outputs_come_in_smaller_frames_where_none_of_a_size_arrives() -> None:
    device = LinePort(Keeps(), to_host=LargeFramesFail(400)).device()
    device.load_input(PHOTOGRAPH)
    assert device.outputs() == PHOTOGRAPH


def test_a_line_that_lets_nothing_of_any_size_pass_is_given_up_by_its_bytes() -> None:
    line = LargeFramesFail(20)
    port = LinePort(Keeps(), to_device=line)
    with pytest.raises(LinkError, match=r"damaged frames among 3[23],"):
        port.device().load_input(PHOTOGRAPH)
    assert sum(line.tried) < 64 * 1024
    assert port.clock() == 0.0


def test_a_line_damaged_until_time_is_up_is_the_links_error_and_no_silence() -> None:
    line = LinePort(ScriptedDevice(lambda _: []))
    answers = iter([b"\0garbage\0" * 9])
    line._answer = lambda _: next(answers, b"")
    with pytest.raises(LinkError, match=r"9 damaged|10 damaged") as caught:
        line.device(timeout_s=5.0)._line.ask(Load(0, b"1"), Loaded)
    assert not isinstance(caught.value, SilenceError)
    assert line.clock() == 5.0


def test_sizes_halve_at_damage_and_double_after_eight_whole_frames() -> None:
    pieces = Pieces()
    pieces.passed(damaged=True)
    assert pieces.bytes == DATA_BYTES // 2
    for _ in range(8):
        assert pieces.bytes == DATA_BYTES // 2
        pieces.passed(damaged=False)
    assert pieces.bytes == DATA_BYTES
    for _ in range(20):
        pieces.passed(damaged=True)
    assert pieces.are_smallest


def test_a_size_that_failed_is_not_grown_to_again() -> None:
    pieces = Pieces()
    pieces.failed()
    for _ in range(100):
        pieces.passed(damaged=False)
    assert pieces.bytes == DATA_BYTES // 4


def test_a_noisy_port_damages_both_ways_and_the_bench_tells_right_from_ended(
    firmware: NativeDevice,
) -> None:
    firmware.boot()
    port = NoisyPort(cast("SerialBase", LinePort(firmware)), 1e-3, 1)
    device = Device(cast("SerialBase", port), 60.0)
    assert converse(device) == tiny_model.expected(INPUT)
    outcomes = {0.0: [Outcome("right", 1.0, 0)] * 3, 1e-2: [Outcome("link", 9.0, 70)]}
    shown = Console(file=StringIO(), width=120)
    shown.print(table(outcomes))
    text = cast("StringIO", shown.file).getvalue()
    assert "right" in text
    assert "link" in text
    assert "9.00" in text
