"""The firmware's side of the link under frames that no host sends; `make sanitize` sends more."""

from random import Random

import pytest
import tiny_model
from fuzzing import mutant
from link_line import LinePort
from native_device import BUILD_ID, NativeDevice
from sanitizers import sanitized

from hil.link.frames import Frame, encode
from hil.link.messages import (
    AskHello,
    AskLayer,
    AskMemory,
    AskOutputs,
    AskRun,
    AskStatistics,
    Feed,
    Load,
    Message,
    Proceed,
)

_CONVERSATIONS = 20_000 if sanitized() else 300
_EDGES = (0, 1, 599, 600, 601, 1023, 1024, 1025, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)


def request(random: Random) -> Message:
    """A request with numbers at the edges of what the device has."""
    number, other = random.choice(_EDGES), random.choice(_EDGES)
    data = bytes(random.choice((0, 1, 200, 600, 1023, 1024)))
    return random.choice(
        (
            AskHello(),
            Load(number, data),
            AskRun(min(number, 3), bool(other & 1)),
            AskLayer(number),
            AskOutputs(number, other),
            AskMemory(),
            AskStatistics(),
            Feed(number, data),
            Proceed(),
        )
    )


def wire(random: Random) -> bytes:
    """A few frames: whole ones, and some with bytes damaged behind their check."""
    sent = b""
    for _ in range(random.randrange(1, 9)):
        said = request(random)
        kind, body = said.kind, said.pack()
        if random.random() < 0.3:
            changed = mutant(random, [bytes((kind,)) + body], is_text=False)
            kind, body = (changed[0], changed[1:1028]) if changed else (kind, body)
        sent += encode(Frame(kind, random.randrange(256), body))
    return mutant(random, [sent], is_text=False) if random.random() < 0.3 else sent


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.timeout(1200)
def test_whatever_comes_the_firmware_answers_a_greeting_and_a_run_as_ever(
    streams: bool,
) -> None:
    firmware = NativeDevice(streams=streams)
    data = bytes(i * 7 % 256 for i in range(tiny_model.INPUT_BYTES))
    for seed in range(_CONVERSATIONS):
        random = Random(seed)  # noqa: S311
        firmware.boot()
        for _ in range(3):
            firmware(wire(random))
        device = LinePort(firmware).device()
        device.hello(BUILD_ID)
        device.load_input(data)
        device.run()
        assert device.outputs() == tiny_model.expected(data), seed


@pytest.mark.parametrize("stale", [AskLayer(600), AskMemory(), AskOutputs(0, 1), Load(9, b"x")])
def test_a_request_whose_end_comes_with_the_greeting_is_not_taken_for_its_answer(
    stale: Message,
) -> None:
    firmware = NativeDevice()
    firmware(encode(Frame(AskHello.kind, 255)))
    firmware(encode(Frame(stale.kind, 1, stale.pack()))[:-1])  # whoever sent it was killed
    device = LinePort(firmware).device()
    assert device.hello(BUILD_ID).model == "tiny"
    assert device.resends == 0
