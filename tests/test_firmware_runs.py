"""The built firmware on the emulated board: what a model's author meets when it goes wrong."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tiny_model
from compilers import COMPILERS

from hil.build.firmware import Image, build, find_toolchain
from hil.config import board as boards
from hil.errors import FirmwareFault
from hil.link.client import Device
from hil.targets.emulator.target import EmulatedTarget

INPUT = bytes(i * 5 % 256 for i in range(tiny_model.INPUT_BYTES))
DEEP = (
    "volatile uint8_t deep[{0}];for (int i = {0}; i-- > 0;) {{ deep[i] = (uint8_t)(deep[i] + 1); }}"
)
BOARD = boards.load("stm32f439")


@contextmanager
def running(image: Image) -> Iterator[Device]:
    with EmulatedTarget(BOARD) as target:
        target.flash(image)
        target.reset()
        device = Device(target.serial(), timeout_s=120)
        device.expect(image)
        yield device


@pytest.fixture
def image_with(tmp_path: Path) -> Callable[[str], Image]:
    """Return the image of a tiny model whose first layer does this as well."""

    def make(statement: str, compiler: str = "zig") -> Image:
        model = tiny_model.write(tmp_path / "model")
        source = (model / "model.c").read_text(encoding="utf-8")
        changed = source.replace("first(void) {", "first(void) { " + statement)
        (model / "model.c").write_text(changed, encoding="utf-8")
        return build(model, BOARD, find_toolchain(compiler))

    return make


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_model_runs_and_tells_what_it_took(
    image_with: Callable[..., Image], compiler: str
) -> None:
    image = image_with("", compiler)
    with running(image) as device:
        hello = device.expect(image)
        assert (hello.board, hello.model, hello.clock_hz) == ("stm32f439", "tiny", 168_000_000)
        device.load_input(INPUT)
        run = device.run()
        assert device.outputs() == tiny_model.expected(INPUT)
        assert [(layer.name, layer.macs) for layer in run.layers] == [
            ("first", 600),
            ("second", 1200),
        ]
        assert 600 < run.layers[0].cycles < 60_000
        assert run.cycles == sum(layer.cycles for layer in run.layers)
        memory = device.memory()
        assert memory.static_bytes == image.footprint.static_bytes
        assert memory.arena_bytes == image.footprint.arena_bytes
        assert 100 < memory.stack_high_water_bytes < 1000
        device.load_input(INPUT)
        assert device.run(per_layer=False).layers == ()


def test_a_model_whose_input_survives_runs_as_often_as_asked(tmp_path: Path) -> None:
    model = tiny_model.write(tmp_path / "model")
    source = (model / "model.c").read_text(encoding="utf-8")
    changed = source.replace("model_input_survives = false", "model_input_survives = true")
    (model / "model.c").write_text(changed, encoding="utf-8")
    with running(build(model, BOARD, find_toolchain("zig"))) as device:
        device.load_input(INPUT)
        run = device.run(iterations=3)
        assert device.outputs() == bytes((value + 3 * 2) % 256 for value in INPUT)
        assert run.least_cycles <= run.cycles <= run.most_cycles < 2 * run.least_cycles


def test_the_stack_s_high_water_mark_follows_what_a_layer_uses(
    image_with: Callable[[str], Image],
) -> None:
    image = image_with(DEEP.format(3000))
    with running(image) as device:
        before = device.memory().stack_high_water_bytes
        device.load_input(INPUT)
        device.run()
        assert 3000 < device.memory().stack_high_water_bytes < 3000 + before + 64


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(
    ("statement", "cause"),
    [
        ("volatile int zero = 0; zero = 100 / zero;", "division by zero"),
        ("*(volatile uint32_t *)0x60000000u = 1;", "bus error"),
        ("*(volatile uint32_t *)(uintptr_t)model_name = 1;", "bus error"),
        ('__asm__ volatile("udf #0");', "undefined instruction"),
        ("((void (*)(void))0x08000100u)();", "without the Thumb bit"),
        (DEEP.format(9000), "stack overflow"),
    ],
    ids=["division", "unmapped", "flash", "undefined", "arm state", "stack overflow"],
)
def test_a_crash_is_reported_with_its_cause_and_the_board_lives_on(
    image_with: Callable[..., Image], statement: str, cause: str, compiler: str
) -> None:
    image = image_with(statement, compiler)
    with running(image) as device:
        device.load_input(INPUT)
        with pytest.raises(FirmwareFault, match=cause) as caught:
            device.run()
        assert caught.value.stage == "run started"
        device.expect(image)
        device.load_input(INPUT)
