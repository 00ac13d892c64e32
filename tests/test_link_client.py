from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from link_line import HELLO, LinePort, ScriptedDevice

from hil.errors import (
    BootError,
    FirmwareFault,
    FlashError,
    LinkError,
    SilenceError,
    UsageError,
    Verdict,
)
from hil.link.frames import Frame, encode
from hil.link.messages import (
    AskHello,
    AskLayer,
    AskOutputs,
    AskRun,
    Booted,
    Done,
    Fault,
    Layer,
    Load,
    Loaded,
    Log,
    Message,
    Outputs,
    Refusal,
    Refused,
    Started,
    layout,
)

REGISTERS = [field.name for field in layout(Fault) if field.python is int]
FAULT = Fault(**(dict.fromkeys(REGISTERS, 0) | {"exception": 3, "pc": 0x0800_1234}), note="")


def healthy(request: Message) -> list[Message]:
    match request:
        case AskHello():
            return [HELLO]
        case Load():
            return [Loaded(request.offset + len(request.data))]
        case AskRun():
            return [Started(), Done(30, 20, 40, 0)]
        case AskLayer():
            return [Layer(7, 15, f"layer{request.index}")]
        case AskOutputs():
            return [Outputs(request.offset, bytes(request.count))]
    raise AssertionError(f"unexpected {request}")


def instead(kind: type[Message], *answers: Message) -> Callable[[Message], list[Message]]:
    return lambda request: list(answers) if isinstance(request, kind) else healthy(request)


def unasked(message: Message) -> bytes:
    return encode(Frame(message.kind, 0, message.pack()))


class Once:
    """Says something of itself after the given number of writes, else lets the device answer."""

    def __init__(self, when: int, said: bytes) -> None:
        self.writes = 0
        self._device = ScriptedDevice(healthy)
        self._when = when
        self._said = said

    def __call__(self, data: bytes) -> bytes:
        self.writes += 1
        if self.writes == self._when:
            return self._said
        return self._device(data)


@dataclass(frozen=True)
class SomeImage:
    build_id: bytes


def test_an_input_goes_in_pieces_and_outputs_come_in_pieces() -> None:
    scripted = ScriptedDevice(healthy)
    device = LinePort(scripted).device()
    device.expect(SomeImage(HELLO.build_id))
    device.load_input(bytes(3000))
    run = device.run()
    assert (run.cycles, run.least_cycles, run.most_cycles) == (30, 20, 40)
    assert [layer.name for layer in run.layers] == ["layer0", "layer1"]
    assert device.outputs() == bytes(2500)
    assert [m.offset for m in scripted.heard if isinstance(m, Load)] == [0, 1024, 2048]
    assert [m.count for m in scripted.heard if isinstance(m, AskOutputs)] == [1024, 1024, 452]
    assert device.resends == 0


def test_layers_are_not_asked_for_when_they_are_not_counted() -> None:
    scripted = ScriptedDevice(healthy)
    device = LinePort(scripted).device()
    assert device.run(per_layer=False).layers == ()
    assert AskRun(1, per_layer=False) in scripted.heard


def test_another_image_than_the_one_built_is_a_flash_error() -> None:
    device = LinePort(ScriptedDevice(healthy)).device()
    with pytest.raises(FlashError, match=r"000102030405.*not ffffffffffff") as caught:
        device.expect(SomeImage(b"\xff" * 20))
    assert caught.value.verdict is Verdict.FLASH


def test_a_board_that_never_says_hello_has_not_booted() -> None:
    with pytest.raises(BootError, match="within 60 s"):
        LinePort(lambda _: b"").device().hello()


def test_silence_names_the_last_stage_reached() -> None:
    device = LinePort(ScriptedDevice(instead(AskRun))).device()
    device.load_input(bytes(3000))
    with pytest.raises(SilenceError, match="no answer to AskRun within 60 s") as caught:
        device.run()
    assert caught.value.stage == "input loaded"


def test_silence_after_the_start_of_a_run_says_that_it_started() -> None:
    device = LinePort(ScriptedDevice(instead(AskRun, Started()))).device()
    device.load_input(bytes(3000))
    with pytest.raises(SilenceError) as caught:
        device.run()
    assert caught.value.stage == "run started"


def test_a_lost_answer_is_asked_for_again_and_counted() -> None:
    port = LinePort(Once(2, b""))
    device = port.device()
    device.load_input(bytes(3000))
    assert device.resends == 1
    assert port.clock() == pytest.approx(1.0)


def test_a_damaged_answer_is_asked_for_again_without_waiting() -> None:
    port = LinePort(Once(3, b"\0garbage\0"))
    device = port.device()
    device.load_input(bytes(3000))
    assert (device.resends, port.clock()) == (1, 0.0)


def test_a_line_that_damages_everything_is_given_up() -> None:
    with pytest.raises(LinkError, match="damaged frames among"):
        LinePort(lambda _: b"\0garbage\0").device().hello()


def test_a_second_answer_to_a_repeated_request_is_ignored() -> None:
    device = LinePort(ScriptedDevice(lambda request: healthy(request) * 2)).device()
    device.load_input(bytes(3000))
    assert device.outputs() == bytes(2500)


def test_a_board_that_boots_late_is_greeted_again() -> None:
    port = LinePort(Once(1, unasked(Booted())))
    assert port.device().hello() == HELLO
    assert port.clock() == 0.0


def test_the_end_of_what_was_said_before_the_hello_is_no_damage() -> None:
    port = LinePort(Once(1, unasked(Booted())[4:]))
    device = port.device()
    assert device.hello() == HELLO
    assert (device.resends, port.clock()) == (0, 0.0)


def test_a_board_that_restarts_by_itself_is_noticed() -> None:
    device = LinePort(Once(3, unasked(Booted()))).device()
    with pytest.raises(LinkError, match="restarted by itself"):
        device.load_input(bytes(3000))


def test_a_fault_is_told_in_words_with_its_registers() -> None:
    fault = replace(FAULT, cfsr=1 << 25 | 1 << 15 | 1 << 9, bfar=0x6000_0000)
    device = LinePort(Once(5, unasked(fault))).device()
    device.load_input(bytes(3000))
    with pytest.raises(FirmwareFault) as caught:
        device.run()
    message = str(caught.value)
    assert "[fault at input loaded] HardFault: bus error on data access (PRECISERR)" in message
    assert "division by zero (DIVBYZERO); pc=0x08001234" in message
    assert "address=0x60000000" in message
    assert "xpsr 0x00000000" in message


def test_what_the_firmware_logs_is_kept() -> None:
    device = LinePort(ScriptedDevice(instead(AskHello, Log("warm"), HELLO))).device()
    device.hello()
    assert device.log == ["warm"]


def test_a_refusal_says_which_and_what_to_do() -> None:
    device = LinePort(ScriptedDevice(instead(AskRun, Refused(Refusal.NO_INPUT)))).device()
    with pytest.raises(LinkError, match=r"refused AskRun: NO_INPUT\n.*load an input first"):
        device.run()


def test_an_unknown_refusal_is_told_by_its_number() -> None:
    device = LinePort(ScriptedDevice(instead(AskRun, Refused(99)))).device()
    with pytest.raises(LinkError, match="unknown reason 99"):
        device.run()


def test_another_version_of_the_protocol_is_not_talked_to() -> None:
    device = LinePort(ScriptedDevice(instead(AskHello, replace(HELLO, protocol=1)))).device()
    with pytest.raises(LinkError, match="protocol 1, this harness 3"):
        device.hello()


def test_a_frame_that_is_no_message_is_another_protocol() -> None:
    device = LinePort(lambda _: encode(Frame(0x81, 1, b"short"))).device()
    with pytest.raises(LinkError, match="another protocol"):
        device.hello()


def test_an_answer_to_another_question_is_an_error() -> None:
    device = LinePort(ScriptedDevice(instead(AskRun, Loaded(3)))).device()
    with pytest.raises(LinkError, match="answered AskRun with Loaded"):
        device.run()


def test_outputs_from_another_place_are_an_error() -> None:
    device = LinePort(ScriptedDevice(instead(AskOutputs, Outputs(5, bytes(1024))))).device()
    with pytest.raises(LinkError, match="outputs from 5"):
        device.outputs()


def test_a_run_without_cycles_is_an_error_and_not_a_zero() -> None:
    answer = instead(AskRun, Started(), Log("the cycle counter does not count"), Done(0, 0, 0, 0))
    device = LinePort(ScriptedDevice(answer)).device()
    with pytest.raises(LinkError, match="no cycles; it says: the cycle counter does not count"):
        device.run()


def test_an_input_of_the_wrong_size_is_the_user_s_error() -> None:
    device = LinePort(ScriptedDevice(healthy)).device()
    with pytest.raises(UsageError, match="takes 3,000 B of input, not 2,999 B"):
        device.load_input(bytes(2999))


def test_a_port_that_vanishes_is_a_link_error() -> None:
    def unplugged(_: bytes) -> bytes:
        raise OSError(5, "Input/output error")

    with pytest.raises(LinkError, match="serial port failed"):
        LinePort(unplugged).device().hello()


def test_sequence_numbers_go_round_without_the_one_for_unasked_frames() -> None:
    device = LinePort(ScriptedDevice(healthy)).device()
    for _ in range(300):
        device.outputs()
    assert device.resends == 0


class WithoutWriteTimeout(LinePort):
    """Refuses every setting while a write timeout is set, as pyserial's RFC 2217 port does."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if "timeout" in name and getattr(self, "write_timeout", None) is not None:
            raise NotImplementedError("write_timeout is currently not supported")


def test_a_port_without_write_timeouts_is_talked_to() -> None:
    port = WithoutWriteTimeout.__new__(WithoutWriteTimeout)
    vars(port).update(vars(LinePort(ScriptedDevice(healthy))) | {"write_timeout": None})
    assert port.device().hello() == HELLO


def test_a_run_that_should_be_over_is_given_up_before_the_longest_silence() -> None:
    port = LinePort(ScriptedDevice(instead(AskRun, Started())))
    device = port.device(timeout_s=60.0)
    device.load_input(bytes(3000))
    with pytest.raises(SilenceError, match="no answer to AskRun within 7 s"):
        device.run(work_s=7.0)
    assert port.clock() == 7.0


def test_no_run_is_given_longer_than_the_longest_silence() -> None:
    port = LinePort(ScriptedDevice(instead(AskRun, Started())))
    device = port.device(timeout_s=60.0)
    device.load_input(bytes(3000))
    with pytest.raises(SilenceError, match="within 60 s"):
        device.run(work_s=700.0)


def test_exchanges_that_together_take_too_long_are_given_up_with_what_they_are() -> None:
    line = LinePort(ScriptedDevice(instead(AskRun, Started())))
    device = line.device()
    device.hello()
    with device.within(20, "inference 1"), pytest.raises(SilenceError) as caught:
        device.run()
    assert "inference 1 did not end within 20 s" in str(caught.value)
    assert caught.value.stage == "run started"
    assert line.clock() <= 21


def test_behind_the_block_the_usual_silence_ends_an_exchange() -> None:
    line = LinePort(ScriptedDevice(instead(AskRun, Started())))
    device = line.device()
    device.hello()
    with device.within(20, "inference 1"):
        device.load_input(bytes(HELLO.input_bytes))
    with pytest.raises(SilenceError, match="no answer to AskRun within 60 s"):
        device.run()
