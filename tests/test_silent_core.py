"""Firmware that no longer answers is told from a line that is silent: its core is asked."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_model

from hil.build.firmware import Image, build, find_toolchain
from hil.build.places import Places
from hil.config import board as boards
from hil.errors import (
    BootError,
    FirmwareFault,
    FirmwareTimeout,
    LinkError,
    MeasurementError,
    PortError,
    ProbeError,
    SilenceError,
)
from hil.link.client import Device
from hil.run import silent_core
from hil.targets.core_state import CoreState
from hil.targets.emulator.target import EmulatedTarget

BOARD = boards.load("stm32f439")
PATIENCE_S, SILENCE_S = 60.0, 2.0  # for an answer; for one that never comes
INPUT = bytes(tiny_model.INPUT_BYTES)
FAULTS = """
#include "runtime/link.h"
#include "runtime/link_messages.h"
#include "runtime/port.h"
static void storm(void) {
    for (;;) {
        link_report_t report;
        link_log_pack(&report, &(link_log_t){.text = "still here"});
        link_send(&report);
    }
}
static void fail(void) {
    switch (model_arena[0]) {
    case 0: break;
    case 1: for (;;) { __asm__ volatile(""); }
    case 2: __asm__ volatile("cpsid i"); for (;;) { __asm__ volatile("wfi"); }
    case 3: __asm__ volatile("bkpt #1"); break;
    case 4: *(volatile uint32_t *)0xE000ED0Cu = 0x05FA0004u; for (;;) { }
    case 5: for (;;) { port_send(0x55); port_send(0x00); }
    case 6: *(volatile uint32_t *)0xE000ED08u = 0x60000000u; __asm__ volatile("udf #0"); break;
    case 7: storm();
    }
}
"""
LOOP, SLEEP, STOP, RESET, BABBLE, LOCK_UP, STORM = range(1, 8)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """A tiny model that fails as its input's first byte says."""
    model = tiny_model.write(tmp_path_factory.mktemp("failing"))
    source = (model / "model.c").read_text(encoding="utf-8")
    changed = source.replace(
        "static void first(void) {", FAULTS + "static void first(void) { fail();"
    )
    assert changed != source
    (model / "model.c").write_text(changed, encoding="utf-8")
    return build(model, BOARD, find_toolchain("zig"))


@pytest.fixture
def target(image: Image) -> Iterator[EmulatedTarget]:
    with EmulatedTarget(BOARD) as opened:
        opened.flash(image)
        opened.reset()
        opened.debugger.forget_resets()
        yield opened


@contextmanager
def explained(image: Image, debugger: Any) -> Iterator[None]:
    """As a session does."""
    try:
        yield
    except MeasurementError as error:
        raise silent_core.cause(error, image, debugger) from error


def run(image: Image, target: EmulatedTarget, how: int) -> None:
    device = Device(target.serial(), timeout_s=PATIENCE_S)
    device.expect(image)
    device.load_input(bytes([how]) + INPUT[1:])
    with explained(image, target.debugger):
        device.run(work_s=SILENCE_S)


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        (LOOP, FirmwareTimeout, r"at work .* in f\w+ at .*model\.c:\d+"),
        (SLEEP, FirmwareFault, r"sleeps with interrupts off, .*model\.c:\d+"),
        (STOP, FirmwareFault, r"halted at a breakpoint of its own, .*model\.c:\d+"),
        (RESET, FirmwareFault, "restarted itself: a software reset"),
        (BABBLE, FirmwareFault, "at work and does not come back"),
        (LOCK_UP, FirmwareFault, r"locked up at .* after .*model\.c:\d+"),
        (STORM, FirmwareTimeout, "at work and does not come back"),
    ],
    ids=["loop", "sleep", "stop", "reset", "babble", "lock-up", "storm"],
)
def test_what_the_firmware_does_is_told_with_its_place(
    image: Image, target: EmulatedTarget, how: int, kind: type[MeasurementError], words: str
) -> None:
    with pytest.raises(kind, match=words) as told:
        run(image, target, how)
    assert type(told.value) is kind
    assert not told.value.is_setup_error
    assert not told.value.is_worth_retry
    assert told.value.stage == "run started"


def test_a_core_that_waits_for_a_request_is_well_and_the_line_is_not(
    image: Image, target: EmulatedTarget
) -> None:
    device = Device(target.serial(), timeout_s=PATIENCE_S)
    device.expect(image)
    silent = SilenceError("no answer")
    found = silent_core.cause(silent, image, target.debugger)
    assert found is silent
    assert "waits for a request" in str(found)
    assert found.is_setup_error
    device.load_input(INPUT)
    assert device.run().cycles > 0


def test_firmware_that_is_never_greeted_says_on_which_pin_it_waits_and_who_has_another(
    image: Image, target: EmulatedTarget
) -> None:
    Device(target.serial(), timeout_s=PATIENCE_S).expect(image)
    mute = BootError("no hello")
    assert silent_core.cause(mute, image, target.debugger, target.board) is mute
    assert "listens on PA10 (usart1), PA3 (usart2) and PD9 (usart3)" in mute.hint
    assert "--board=nucleo_f439zi listens on PD6" in mute.hint
    assert "stm32f407g_disc1" not in mute.hint


class Unreachable:
    """A debugger whose core does not answer."""

    def look(self, enough: Callable[[int], bool]) -> CoreState:
        del enough
        raise ProbeError("no ACK")


@pytest.mark.parametrize("debugger", [None, Unreachable()])
def test_silence_of_a_core_that_cannot_be_reached_stays_an_error_of_the_set_up(
    image: Image, debugger: Any
) -> None:
    silent = SilenceError("no answer")
    found = silent_core.cause(silent, image, debugger)
    assert found is silent
    assert found.is_setup_error
    assert ("no ACK" in str(found)) == (debugger is not None)


def test_a_port_that_is_pulled_says_nothing_of_the_firmware(image: Image) -> None:
    pulled = PortError("the serial port failed")
    assert silent_core.cause(pulled, image, SimpleNamespace()) is pulled  # type: ignore[arg-type]


def test_a_supply_that_fails_is_no_fault_of_the_firmware(image: Image) -> None:
    place = Places(image.elf)
    state = CoreState(False, False, False, (0x0800_0200,), 0, 0, 0, 0, 0, (), ("brown-out",))
    restarted = LinkError("the board restarted by itself")
    assert silent_core.judge(restarted, state, place) is restarted
    assert "brown-out" in str(restarted)
