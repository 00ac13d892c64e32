"""A line that fails at the board's speed is used at a lower one, and both ends agree on it."""

from collections.abc import Callable
from random import Random

import pytest
import tiny_model
from link_line import LinePort
from native_device import BUILD_ID, NativeDevice

from hil.errors import LinkError
from hil.link.client import Device
from hil.link.messages import SetBaud
from hil.link.speed import Quality
from hil.targets.emulator.faults import _heard

INPUT = bytes(i * 7 % 256 for i in range(tiny_model.INPUT_BYTES))
BAUD = 1_000_000


@pytest.fixture(scope="module")
def firmware() -> NativeDevice:
    return NativeDevice()


class SpeedPort(LinePort):
    """A line whose ends have speeds: bytes at another's arrive as others.

    Args:
        rate: the chance of a byte to be flipped at a speed.
    """

    def __init__(self, firmware: NativeDevice, rate: Callable[[int], float]) -> None:
        firmware.boot()
        self.baudrate = BAUD
        self._rate = rate
        self._random = Random(3)  # noqa: S311
        self._firmware = firmware
        super().__init__(self._hear, self._noisy, self._noisy)

    def _noisy(self, data: bytes) -> bytes:
        rate = self._rate(self.baudrate)
        return bytes(
            byte ^ 1 << self._random.randrange(8) if self._random.random() < rate else byte
            for byte in data
        )

    def _hear(self, data: bytes) -> bytes:
        """Have the device hear byte by byte, as its speed changes between them."""
        said = b""
        for byte in data:
            heard = _heard(byte, self.baudrate, self._firmware.baud)
            before = self._firmware.baud
            answer = self._firmware(bytes((heard,)))
            said += bytes(_heard(one, before, self.baudrate) for one in answer)
        return said


def settled(firmware: NativeDevice, rate: Callable[[int], float]) -> tuple[Device, Quality, str]:
    told: list[str] = []
    device = SpeedPort(firmware, rate).device()
    device.hello(BUILD_ID)
    quality = device.settle(told.append, BAUD)
    return device, quality, "\n".join(told)


def above(baud: int, rate: float) -> Callable[[int], float]:
    return lambda speed: rate if speed > baud else 0.0


def test_a_good_line_keeps_the_boards_speed_and_says_nothing(firmware: NativeDevice) -> None:
    device, quality, told = settled(firmware, lambda _: 0.0)
    assert (quality.baud, quality.damaged, told) == (BAUD, 0, "")
    assert (quality.frames, device.resends, firmware.baud) == (8, 0, BAUD)


@pytest.mark.parametrize(
    ("bears", "speed"), [(500_000, 460_800), (300_000, 230_400), (200_000, 115_200)]
)
def test_a_line_that_fails_at_speed_steps_down_until_it_does_not(
    firmware: NativeDevice, bears: int, speed: int
) -> None:
    device, quality, told = settled(firmware, above(bears, 2e-2))
    assert (quality.baud, quality.damaged, firmware.baud) == (speed, 0, speed)
    assert "frames fail at 1,000,000 baud" in told
    assert f"it is used at {speed:,} baud" in told
    before = device.resends
    device.load_input(INPUT)
    device.run()
    assert device.outputs() == tiny_model.expected(INPUT)
    assert device.resends == before


@pytest.mark.parametrize(
    ("bears", "speed"), [(500_000, 460_800), (300_000, 230_400), (200_000, 115_200)]
)
def test_a_board_greeted_at_the_lowest_speed_steps_up_as_far_as_frames_pass(
    firmware: NativeDevice, bears: int, speed: int
) -> None:
    """Where no greeting passes at the board's speed, the debugger has set the lowest."""
    told: list[str] = []
    port = SpeedPort(firmware, above(bears, 0.25))
    with pytest.raises(LinkError, match="cannot be understood"):
        port.device().hello(BUILD_ID)
    port.baudrate = firmware.baud = 115_200
    device = port.device()
    device.hello(BUILD_ID)
    quality = device.settle(told.append, BAUD)
    assert (quality.baud, quality.damaged, firmware.baud) == (speed, 0, speed)
    (said,) = told
    assert "no greeting passes at 1,000,000 baud; 0 of 8 frames fail at 115,200 baud" in said
    assert f"it is used at {speed:,} baud" in said
    device.load_input(INPUT)
    device.run()
    assert device.outputs() == tiny_model.expected(INPUT)


def test_a_line_that_is_as_bad_at_every_speed_keeps_the_fastest(firmware: NativeDevice) -> None:
    device, quality, _ = settled(firmware, lambda _: 1.5e-3)
    assert (quality.baud, firmware.baud) == (BAUD, BAUD)
    device.load_input(INPUT)
    device.run()
    assert device.outputs() == tiny_model.expected(INPUT)


@pytest.mark.parametrize("deaf", [460_800, 230_400])
def test_a_speed_that_nothing_passes_at_is_left_by_both(firmware: NativeDevice, deaf: int) -> None:
    """As where an adapter makes another speed than it says."""
    device, quality, _ = settled(firmware, lambda speed: 1.0 if speed == deaf else 2e-2)
    assert quality.baud == firmware.baud != deaf
    assert device.statistics()


def test_a_speed_above_the_boards_is_refused(firmware: NativeDevice) -> None:
    device = SpeedPort(firmware, lambda _: 0.0).device()
    device.hello(BUILD_ID)
    for baud in (2 * BAUD, 0):
        with pytest.raises(LinkError, match="refused SetBaud: OUT_OF_RANGE"):
            device._line.ask(SetBaud(baud), Quality)  # type: ignore[type-var]
    assert firmware.baud == BAUD


def test_the_answer_that_is_lost_is_given_again_at_the_speed_before(
    firmware: NativeDevice,
) -> None:
    port = SpeedPort(firmware, lambda _: 0.0)
    device = port.device()
    device.hello(BUILD_ID)
    kept, lost = port._to_host, [True]

    def lose_one(data: bytes) -> bytes:
        if lost and firmware.baud != BAUD:
            lost.pop()
            return b""
        return kept(data)

    port._to_host = lose_one
    from hil.link.speed import Line

    line = Line(device._line, port, port.clock)
    assert line.use(115_200)
    assert firmware.baud == 115_200
    assert not lost
    assert device.statistics()
