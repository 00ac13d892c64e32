"""A streaming model's run: the client and the firmware's own link code, over lines with faults."""

from random import Random

import pytest
import tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st
from link_line import HELLO, LinePort, ScriptedDevice
from native_device import BUILD_ID, NativeDevice
from test_link_firmware import INPUT, faulty, say

from hil.errors import BootError, LinkError, MeasurementError
from hil.link.messages import (
    AskHello,
    AskOutputs,
    AskRun,
    AskStatistics,
    Done,
    Feed,
    Hello,
    Load,
    Message,
    Outputs,
    Proceed,
    Refusal,
    Refused,
    Started,
    Statistics,
    Wants,
)

ROW = 200
WAITS = 6  # three rows go in, three come out
RUN = AskRun(1, per_layer=True)


@pytest.fixture(scope="module")
def firmware() -> NativeDevice:
    return NativeDevice(streams=True)


def test_rows_go_in_and_come_out_while_the_model_runs(firmware: NativeDevice) -> None:
    firmware.boot()
    device = LinePort(firmware).device()
    assert device.hello(BUILD_ID).streams
    device.load_input(INPUT)
    run = device.run(iterations=2)
    assert device.outputs() == tiny_model.expected(INPUT)
    assert run.waiting_cycles == WAITS * 1000
    assert run.cycles == sum(layer.cycles for layer in run.layers)
    assert device.resends == 0


def test_waiting_for_the_host_is_counted_apart(firmware: NativeDevice) -> None:
    def cycles(host_ticks: int) -> tuple[int, int]:
        def slow_host(data: bytes) -> bytes:
            firmware.advance(host_ticks)
            return firmware(data)

        firmware.boot()
        device = LinePort(slow_host).device()
        device.load_input(INPUT)
        run = device.run()
        return run.cycles, run.waiting_cycles

    quick, slow = cycles(0), cycles(50_000)
    assert quick[0] == slow[0]
    assert slow[1] == quick[1] + WAITS * 50_000


@given(st.integers(0, 2**32), st.integers(0, 3), st.integers(0, 3), st.integers(10, 800))
def test_a_few_damaged_bytes_anywhere_change_nothing(
    firmware: NativeDevice, seed: int, to_device: int, to_host: int, every: int
) -> None:
    firmware.boot()
    random = Random(seed)  # noqa: S311
    port = LinePort(firmware, faulty(random, to_device, every), faulty(random, to_host, every))
    device = port.device()
    device.hello(BUILD_ID)
    device.load_input(INPUT)
    device.run()
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
        device.run()
        outputs = device.outputs()
    except (LinkError, BootError, MeasurementError):
        return
    assert outputs == tiny_model.expected(INPUT)


def test_a_greeting_in_the_middle_of_a_run_ends_it(firmware: NativeDevice) -> None:
    firmware.boot()
    LinePort(firmware).device().hello()
    assert say(firmware, 50, RUN) == [Started(), Wants(0, ROW)]
    device = LinePort(firmware).device()
    device.hello(BUILD_ID)
    device.load_input(INPUT)
    device.run()
    assert device.outputs() == tiny_model.expected(INPUT)


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_a_greeting_ends_a_run_that_gives_results_behind_its_streamed_steps(taken: int) -> None:
    firmware = NativeDevice(gives_behind=True)
    LinePort(firmware).device().hello()
    say(firmware, 50, RUN)
    given = say(firmware, 51, Feed(0, INPUT))[1]
    for piece in range(taken):
        given = say(firmware, 52 + piece, Proceed())[1]
    assert given == Outputs(taken * ROW, tiny_model.expected(INPUT)[taken * ROW :][:ROW])
    (greeting,) = say(firmware, 1, AskHello())
    assert isinstance(greeting, Hello)
    device = LinePort(firmware).device()
    device.load_input(INPUT)
    device.run()
    assert device.outputs() == tiny_model.expected(INPUT)


def test_a_repeated_piece_is_not_taken_twice(firmware: NativeDevice) -> None:
    firmware.boot()
    LinePort(firmware).device().hello()
    say(firmware, 50, RUN)
    piece = Feed(0, INPUT[:ROW])
    started, given = say(firmware, 51, piece)
    assert started == Started()
    assert given == Outputs(0, tiny_model.expected(INPUT[:ROW]))
    assert say(firmware, 51, piece) == [given]
    assert say(firmware, 52, Proceed()) == [Started(), Wants(ROW, ROW)]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (Load(0, b"\1"), Refusal.STREAMS),
        (AskOutputs(0, 1), Refusal.STREAMS),
        (Feed(0, bytes(ROW)), Refusal.NOT_WAITING),
        (Proceed(), Refusal.NOT_WAITING),
    ],
    ids=str,
)
def test_what_a_streaming_model_does_not_do_is_refused(
    firmware: NativeDevice, request_: Message, reason: Refusal
) -> None:
    firmware.boot()
    LinePort(firmware).device().hello()
    assert say(firmware, 9, request_) == [Refused(reason)]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (Feed(1, bytes(ROW)), Refusal.OUT_OF_RANGE),
        (Feed(0, bytes(ROW - 1)), Refusal.OUT_OF_RANGE),
        (Proceed(), Refusal.NOT_WAITING),
        (RUN, Refusal.BUSY),
    ],
    ids=str,
)
def test_a_run_that_waits_takes_only_what_it_waits_for(
    firmware: NativeDevice, request_: Message, reason: Refusal
) -> None:
    firmware.boot()
    LinePort(firmware).device().hello()
    say(firmware, 50, RUN)
    assert say(firmware, 51, request_) == [Refused(reason)]
    (statistics,) = say(firmware, 52, AskStatistics())
    assert isinstance(statistics, Statistics)
    assert say(firmware, 53, Feed(0, INPUT[:ROW]))[0] == Started()


def _scripted(*, answers: list[Message]) -> LinePort:
    """A device that streams as it is told: one answer after another."""
    queue = list(answers)
    hello = Hello(**{**vars(HELLO), "streams": True, "layer_count": 0})

    def answer(request: Message) -> list[Message]:
        return [hello] if isinstance(request, AskHello) else [queue.pop(0)]

    return LinePort(ScriptedDevice(answer))


@pytest.mark.parametrize(
    "wants",
    [Wants(2999, 2), Wants(0, 0), Wants(0, 1025), Wants(2**32 - 1, 1)],
    ids=str,
)
def test_a_device_that_wants_what_is_not_there_is_found_out(wants: Wants) -> None:
    device = _scripted(answers=[wants]).device()
    device.load_input(bytes(3000))
    with pytest.raises(LinkError, match="asks for input bytes"):
        device.run()


@pytest.mark.parametrize(
    "pieces",
    [
        [Outputs(0, bytes(1000))],
        [Outputs(0, bytes(1000)), Outputs(1001, bytes(1000)), Outputs(2001, bytes(499))],
        [Outputs(0, bytes(1000)), Outputs(900, bytes(1000)), Outputs(1900, bytes(600))],
        [Outputs(0, bytes(1024)), Outputs(1024, bytes(1024)), Outputs(2048, bytes(453))],
    ],
    ids=["short", "gap", "overlap", "long"],
)
def test_outputs_that_are_not_whole_are_an_error(pieces: list[Message]) -> None:
    device = _scripted(answers=[*pieces, Done(1, 1, 1, 0)]).device()
    device.load_input(bytes(3000))
    with pytest.raises(LinkError, match="outputs"):  # noqa: PT012
        device.run()
        device.outputs()


@pytest.mark.parametrize(
    "answer", [Wants(0, 1000), Outputs(0, bytes(1000)), Outputs(0, b"")], ids=["in", "out", "none"]
)
def test_a_run_that_never_has_enough_ends(answer: Message) -> None:
    device = _scripted(answers=[answer] * 100).device()
    device.load_input(bytes(3000))
    with pytest.raises(LinkError, match="goes on with"):
        device.run()
