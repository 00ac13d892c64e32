"""The client against the firmware's own link code, over lines with faults."""

from random import Random

import pytest
import tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st
from link_line import LinePort, Mangle
from native_device import BUILD_ID, NativeDevice

from hil.errors import BootError, FirmwareFault, LinkError, MeasurementError
from hil.link.frames import Damaged, Decoder, Frame, encode
from hil.link.messages import (
    AskLayer,
    AskOutputs,
    AskRun,
    AskStatistics,
    Booted,
    Load,
    Message,
    Misheard,
    Refusal,
    Refused,
    parse,
)

INPUT = bytes(i * 7 % 256 for i in range(tiny_model.INPUT_BYTES))


@pytest.fixture(scope="module")
def firmware() -> NativeDevice:
    return NativeDevice()


def say(firmware: NativeDevice, sequence: int, message: Message) -> list[Message]:
    """Send one request past the client, and return what the firmware answers."""
    heard = Decoder().feed(firmware(encode(Frame(message.kind, sequence, message.pack()))))
    return [parse(frame.kind, frame.body) for frame in heard if isinstance(frame, Frame)]


def faulty(random: Random, faults: int, every: int) -> Mangle:
    """Return a line that damages one byte in `every`, `faults` times in all."""
    left = faults

    def mangle(data: bytes) -> bytes:
        nonlocal left
        out = bytearray()
        for byte in data:
            if left == 0 or random.randrange(every):
                out.append(byte)
                continue
            left -= 1
            match random.randrange(5):
                case 0:
                    pass  # lost
                case 1:
                    out += bytes((byte, byte))
                case 2:
                    out.append(byte ^ 1 << random.randrange(8))
                case 3:
                    out += bytes((random.randrange(256), byte))
                case 4:
                    out[-1:] = bytes((byte, *out[-1:]))  # overtakes the one before
        return bytes(out)

    return mangle


def test_a_whole_conversation(firmware: NativeDevice) -> None:
    firmware.boot()
    device = LinePort(firmware).device()
    hello = device.hello(BUILD_ID)
    assert (hello.board, hello.model, hello.layer_count) == ("host", "tiny", 2)
    assert (hello.input_bytes, hello.output_bytes, hello.input_survives) == (600, 600, False)
    device.load_input(INPUT)
    run = device.run()
    assert [(layer.name, layer.macs) for layer in run.layers] == [("first", 600), ("second", 1200)]
    assert run.cycles == sum(layer.cycles for layer in run.layers) == 2000
    assert device.outputs() == tiny_model.expected(INPUT)
    assert device.memory().stack_high_water_bytes == 300
    assert (device.resends, device.statistics().damaged_frames) == (0, 0)


def test_a_cycle_counter_that_wraps_counts_on(firmware: NativeDevice) -> None:
    firmware.boot()
    device = LinePort(firmware).device()
    device.load_input(INPUT)
    firmware.start_counting_at(2**32 - 1500)
    assert [layer.cycles for layer in device.run().layers] == [1000, 1000]


@given(st.integers(0, 2**32), st.integers(0, 3), st.integers(0, 3), st.integers(10, 800))
def test_a_few_damaged_bytes_anywhere_change_nothing(
    firmware: NativeDevice, seed: int, to_device: int, to_host: int, every: int
) -> None:
    firmware.boot()
    random = Random(seed)  # noqa: S311
    device = LinePort(
        firmware, faulty(random, to_device, every), faulty(random, to_host, every)
    ).device()
    device.hello(BUILD_ID)
    device.load_input(INPUT)
    run = device.run()
    assert run.cycles == 2000
    assert device.outputs() == tiny_model.expected(INPUT)


@settings(max_examples=30, deadline=None)  # each may cost its 32 KiB
@given(st.integers(0, 2**32), st.integers(2, 200))
def test_a_hopeless_line_ends_in_an_error_and_never_in_a_wrong_result(
    firmware: NativeDevice, seed: int, every: int
) -> None:
    firmware.boot()
    random = Random(seed)  # noqa: S311
    port = LinePort(firmware, faulty(random, 10**9, every), faulty(random, 10**9, every))
    device = port.device()
    try:
        device.hello(BUILD_ID)
        device.load_input(INPUT)
        run = device.run()
        outputs = device.outputs()
    except (LinkError, BootError, MeasurementError):
        return
    assert run.cycles == 2000
    assert outputs == tiny_model.expected(INPUT)


@given(st.binary(max_size=5000))
def test_noise_moves_the_firmware_to_nothing_but_misheard(
    firmware: NativeDevice, noise: bytes
) -> None:
    firmware.boot()
    for item in Decoder().feed(firmware(noise)):
        assert isinstance(item, Frame)
        assert parse(item.kind, item.body) == Misheard()
    firmware(b"\0")
    LinePort(firmware).device().hello(BUILD_ID)


@pytest.mark.parametrize("noise", [b"\1", b"\2\2", b"\xff"], ids=["zeros", "short", "long"])
def test_an_endless_frame_stays_within_the_receiver(firmware: NativeDevice, noise: bytes) -> None:
    firmware.boot()
    firmware(noise * 3000)
    assert firmware.kept_bytes == 1034
    assert [f.kind for f in Decoder().feed(firmware(b"\0")) if isinstance(f, Frame)] == [
        Misheard.kind
    ]


@given(st.integers(0, 255), st.integers(1, 255), st.binary(max_size=1028))
def test_any_request_with_a_right_crc_is_answered(
    firmware: NativeDevice, kind: int, sequence: int, body: bytes
) -> None:
    firmware.boot()
    LinePort(firmware).device().hello()
    answers = list(Decoder().feed(firmware(encode(Frame(kind, sequence, body)))))
    assert answers
    for item in answers:
        assert not isinstance(item, Damaged)
        parse(item.kind, item.body)


def test_a_repeated_request_is_answered_again_and_not_done_again(firmware: NativeDevice) -> None:
    firmware.boot()
    LinePort(firmware).device().load_input(INPUT)
    (_, done) = say(firmware, 100, AskRun(1, per_layer=True))
    assert say(firmware, 100, AskRun(1, per_layer=True)) == [done]
    (statistics,) = say(firmware, 101, AskStatistics())
    assert isinstance(statistics, type(LinePort(firmware).device().statistics()))
    assert LinePort(firmware).device().outputs() == tiny_model.expected(INPUT)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (Load(600, b"\1"), Refusal.OUT_OF_RANGE),
        (Load(2**32 - 1, b"\1\2"), Refusal.OUT_OF_RANGE),
        (Load(0, bytes(601)), Refusal.OUT_OF_RANGE),
        (Load(1, b"\1"), Refusal.OUT_OF_RANGE),
        (AskRun(1, per_layer=False), Refusal.NO_INPUT),
        (AskRun(0, per_layer=False), Refusal.NO_INPUT),
        (AskLayer(0), Refusal.NO_RUN),
        (AskOutputs(0, 601), Refusal.OUT_OF_RANGE),
        (AskOutputs(600, 1), Refusal.OUT_OF_RANGE),
        (AskOutputs(2**32 - 1, 2), Refusal.OUT_OF_RANGE),
        (AskOutputs(0, 2**32 - 1), Refusal.OUT_OF_RANGE),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused(
    firmware: NativeDevice, request_: Message, reason: Refusal
) -> None:
    firmware.boot()
    LinePort(firmware).device().hello()
    assert say(firmware, 9, request_) == [Refused(reason)]


def test_an_input_that_a_run_overwrote_cannot_be_run_again(firmware: NativeDevice) -> None:
    firmware.boot()
    device = LinePort(firmware).device()
    device.load_input(INPUT)
    device.run()
    with pytest.raises(LinkError, match="NO_INPUT"):
        device.run()


def test_a_layer_that_does_not_exist_is_refused(firmware: NativeDevice) -> None:
    firmware.boot()
    device = LinePort(firmware).device()
    device.load_input(INPUT)
    device.run()
    assert say(firmware, 200, AskLayer(2)) == [Refused(Refusal.OUT_OF_RANGE)]


def test_after_a_reset_the_firmware_says_so_and_waits_for_a_greeting(
    firmware: NativeDevice,
) -> None:
    (frame,) = Decoder().feed(firmware.boot())
    assert frame == Frame(Booted.kind, 0)
    assert say(firmware, 3, AskRun(1, per_layer=False)) == [Refused(Refusal.NOT_GREETED)]


def test_a_fault_whose_report_was_lost_is_told_to_the_next_request(firmware: NativeDevice) -> None:
    firmware.boot()
    device = LinePort(firmware).device()
    device.load_input(INPUT)
    firmware.boot(after_crash=True)
    with pytest.raises(FirmwareFault, match="division by zero"):
        device.run()
    device.hello()
    device.load_input(INPUT)


def test_a_broken_contract_whose_report_was_lost_is_told_to_the_next_request(
    firmware: NativeDevice,
) -> None:
    firmware.boot()
    device = LinePort(firmware).device()
    device.load_input(INPUT)
    firmware.boot(after_crash=True, note="kernels/some.c:7: x > 0")
    with pytest.raises(FirmwareFault, match=r"broken contract, kernels/some\.c:7: x > 0; pc="):
        device.run()
