"""Weights in an entropy code: the code itself, its decoder in C, and the layers that read it."""

import ctypes
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import cortex_m4
import native
import numpy as np
import pytest
import random_programs
import sanitizers
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import Builder

from hil.commands.plan import notes
from hil.compiler import reference
from hil.compiler.kernels.coded import DECODED, code_lengths, coded_stream
from hil.compiler.kernels.kernel import Choices
from hil.compiler.kernels.matmul import MatMul
from hil.compiler.kernels.panels import Panels
from hil.compiler.kernels.registry import CYCLES
from hil.compiler.plan import Budget, make_plan, place
from hil.compiler.program import Int32, Program
from hil.errors import MemoryLimitError
from hil.limits import limit
from hil.paths import FIRMWARE

TABLE_WORDS = limit("CODED_TABLE_WORDS")
GUARD_WORDS = 64
_SHIM = """
#include <setjmp.h>
#include "kernels/coded.c"
#include "kernels/matmul.c"
static jmp_buf before;
static int32_t told;
void contract_broken(const char *file, uint32_t line, const char *condition) {
    (void)file, (void)line;
    told = condition[0] == 'u' ? -2 : -1; /* undefined behaviour, or a contract's condition */
    longjmp(before, 1);
}
int32_t unpack(int32_t depth, int32_t channels, const int32_t *from, int32_t *to);
int32_t unpack(int32_t depth, int32_t channels, const int32_t *from, int32_t *to) {
    const matmul_t product = {.depth = depth, .segments = 1, .channels = channels};
    return setjmp(before) ? told : (int32_t)(coded_unpack(&product, from, to) - from);
}
"""

Unpack = Callable[[MatMul, Int32], tuple[int, Int32]]


@pytest.fixture(scope="module")
def unpack() -> Unpack:
    """Decode a panel: the words that it takes in flash, or -1 where it is none, and the stream."""
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "shim.c", Path(folder) / "shim.so"
        source.write_text(_SHIM + sanitizers.undefined_behaviour(), encoding="utf-8")
        sanitize = ("-fsanitize=undefined", "-fno-sanitize-recover=undefined")
        flags = ("-std=c11", "-O1", "-fPIC", "-DHIL_CONTRACTS", *sanitize)
        command = [*sanitizers.compiler(flags), "-shared", f"-I{FIRMWARE}"]
        subprocess.run([*command, str(source), "-o", str(library)], check=True)
        decode = ctypes.CDLL(str(library)).unpack
    decode.argtypes = (ctypes.c_int32, ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)

    def call(product: MatMul, stream: Int32) -> tuple[int, Int32]:
        room = product.stream_words + TABLE_WORDS
        to = np.full(room + GUARD_WORDS, 0x5EED, np.int32)
        taken = decode(product.depth, product.channels, stream.ctypes.data, to.ctypes.data)
        assert (to[room:] == 0x5EED).all()
        return taken, to[: product.stream_words]

    return call


def product_of(depth: int, channels: int) -> MatMul:
    return MatMul(depth, 1, 0, 2 * depth, channels, 1, 1, channels, -128, 127)


def wide_stream(weights: "np.ndarray[tuple[int, int], np.dtype[np.int64]]", zero: int) -> Int32:
    """The stream of a product with (channels, depth) weights, and ends that are drawn."""
    random = np.random.default_rng(weights.size)
    pairs = []
    for first, second in zip(weights[0::2], weights[1::2], strict=True):
        words = np.stack([first, second], axis=1).reshape(-1, 2, 2)  # inputs, then channels
        both = (words[:, 0] & 0xFFFF) | (words[:, 1] & 0xFFFF) << 16
        ends = random.integers(-(2**31), 2**31, 4)
        pairs.append(np.concatenate([ends[:2], both.reshape(-1), ends[2:], [zero]]))
    return (np.concatenate(pairs) & 0xFFFFFFFF).astype(np.uint32).view(np.int32)


def decoded(unpack: Unpack, product: MatMul, panel: int, stream: Int32) -> Int32:
    """Decode every panel of a product, each from where the one before ended."""
    panels = Panels.of(product, panel)
    found = []
    for part in [panels.product] * panels.whole + [panels.rest] * (panels.rest is not None):
        assert part is not None
        taken, words = unpack(part, stream)
        assert 0 < taken <= len(stream)
        found.append(words)
        stream = stream[taken:]
    assert len(stream) == 0
    return np.concatenate(found)


SPREADS: dict[str, Callable[[np.random.Generator, tuple[int, int]], "np.ndarray"]] = {
    "uniform": lambda random, shape: random.integers(-128, 128, shape),
    "normal": lambda random, shape: np.clip(np.rint(random.normal(0, 35, shape)), -127, 127),
    "seven bits": lambda random, shape: random.integers(-63, 64, shape),
    "six bits": lambda random, shape: random.integers(-31, 32, shape),
    "nothing": lambda _, shape: np.zeros(shape),
    "all least": lambda _, shape: np.full(shape, -128),
    "all most": lambda _, shape: np.full(shape, 127),
    "two values": lambda random, shape: random.choice([-128, 127], shape),
    "one in a hundred": lambda random, shape: (random.random(shape) < 0.01) * 127,
    "steep": lambda random, shape: np.clip(random.geometric(0.3, shape) * 16 - 128, -128, 127),
}


@given(
    st.sampled_from(sorted(SPREADS)),
    st.integers(1, 40).map(lambda half: 2 * half),
    st.integers(1, 6).map(lambda pairs: 2 * pairs),
    st.integers(1, 6).map(lambda pairs: 2 * pairs),
    st.integers(-128, 127),
    st.integers(0, 2**31),
)
@settings(deadline=None, max_examples=60)
def test_any_weights_come_back_as_they_were(  # noqa: PLR0917
    unpack: Unpack, spread: str, depth: int, channels: int, panel: int, zero: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    weights = SPREADS[spread](random, (channels, depth)).astype(np.int64)
    product = product_of(depth, channels)
    wide = wide_stream(weights, zero)
    panel = min(panel, channels)
    stream = coded_stream(wide, Panels.of(product, panel))
    assert np.array_equal(decoded(unpack, product, panel, stream), wide)


@given(st.data(), st.integers(0, 2**31))
@settings(deadline=None, max_examples=60)
def test_a_damaged_stream_is_refused_or_decoded_within_its_room(
    unpack: Unpack, data: st.DataObject, seed: int
) -> None:
    product = product_of(24, 4)
    weights = np.random.default_rng(seed).integers(-128, 128, (4, 24))
    stream = coded_stream(wide_stream(weights, 0), Panels.of(product, 4)).copy()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(1, len(stream) - 1))  # its length is the caller's to know
        stream[at] = data.draw(st.integers(-(2**31), 2**31 - 1))
    taken, _ = unpack(product, stream)  # which looks behind the room
    assert taken in {-1, len(stream)}


@pytest.mark.parametrize("lengths", [0x66666665, 0x66666667, 0, 0x7FFFFFFF])
def test_lengths_that_are_no_complete_code_are_refused(unpack: Unpack, lengths: int) -> None:
    product = product_of(24, 4)
    weights = np.random.default_rng(0).integers(-128, 128, (4, 24))
    stream = coded_stream(wide_stream(weights, 0), Panels.of(product, 4)).copy()
    stream[3:11] = 0x66666666
    assert unpack(product, stream)[0] == -1 or stream[3] == 0x66666666
    stream[5] = lengths
    assert unpack(product, stream)[0] == -1


def test_codes_end_with_the_stream(unpack: Unpack) -> None:
    product = product_of(24, 4)
    weights = np.random.default_rng(0).integers(-128, 128, (4, 24))
    stream = coded_stream(wide_stream(weights, 0), Panels.of(product, 4)).copy()
    assert unpack(product, stream)[0] == len(stream)
    stream[0] -= 8  # words
    assert unpack(product, stream)[0] == -1


@given(st.lists(st.integers(0, 5000), min_size=64, max_size=64))
@settings(deadline=None, max_examples=60)
def test_a_code_is_complete_and_never_longer_than_the_table(counts: list[int]) -> None:
    lengths = code_lengths(np.array(counts))
    used = lengths[lengths > 0]
    assert used.max() <= limit("CODED_MOST_BITS")
    assert sum(2.0**-length for length in used) == 1.0
    assert (lengths[np.array(counts) > 0] > 0).all()


def test_a_code_is_as_short_as_the_weights_say() -> None:
    """A normal one of 31 levels' deviation carries 7.0 bits; a code of whole bits is near it."""
    weights = np.clip(np.rint(np.random.default_rng(0).normal(0, 31, (64, 256))), -127, 127)
    product = product_of(256, 64)
    stream = coded_stream(wide_stream(weights.astype(np.int64), 0), Panels.of(product, 64))
    _, counts = np.unique(weights, return_counts=True)
    share = counts / weights.size
    entropy = -(share * np.log2(share)).sum()
    bits = 8 * (stream.nbytes - 4 * 4 * 32) / weights.size
    assert entropy < bits < entropy + 0.15


def wide_block(deviation: float | None = 20.0) -> Program:
    b = Builder(1, (4, 4, 96), deviation=deviation)
    return b.program(b.inverted_residual("block", b.input, 96, expansion=6))


def kinds(program: Program, budget: Budget) -> list[str]:
    return [step.kernel.name for step in make_plan(program, budget).steps]


def test_codes_are_taken_where_the_flash_holds_nothing_else() -> None:
    program, plain = wide_block(), ["expand_filter", "pointwise_panels"]
    needed = make_plan(program, Budget(100_000, 30_000)).flash_bytes
    assert kinds(program, Budget(100_000, 30_000, needed)) == plain
    coded = make_plan(program, Budget(100_000, 30_000, needed - 1))
    assert [step.kernel.name for step in coded.steps] == [f"{kind}_coded" for kind in plain]
    assert coded.flash_bytes < needed - 10_000
    assert [note[:36] for note in notes(coded, program)] == ["no other schedule fits the flash: we"]
    with pytest.raises(MemoryLimitError, match="B of flash") as raised:
        make_plan(program, Budget(100_000, 30_000, 100_000))
    assert raised.value.lacking <= coded.flash_bytes - 100_000, "the codes' image comes nearest"


def test_weights_that_codes_make_no_shorter_stay_as_they_are() -> None:
    b = Builder(1, (4, 4, 96))  # of all int8 alike
    program = b.program(b.conv("conv", b.input, 96))
    plan = place(program, Budget(100_000, 30_000), Choices(panel_bytes=4_500, coded=True))
    assert [step.kernel.name for step in plan.steps] == ["pointwise_panels"]


def test_shifted_weights_stay_as_they_are() -> None:
    b = Builder(1, (4, 4, 96), deviation=20.0)
    program = b.program(b.conv("conv", b.input, 96, shift=2))
    plan = place(program, Budget(100_000, 30_000), Choices(panel_bytes=9_000, coded=True))
    assert [step.kernel.name for step in plan.steps] == ["pointwise_panels"]


@pytest.mark.parametrize(
    "toolchain",
    [
        "zig",
        pytest.param(
            "gcc",
            marks=[
                pytest.mark.gcc,
                pytest.mark.skipif(not cortex_m4.has_gcc(), reason="needs arm-none-eabi-gcc"),
            ],
        ),
    ],
)
@pytest.mark.parametrize("stride", [1, 2])
def test_a_block_in_codes_equals_the_reference(stride: int, toolchain: str) -> None:
    b = Builder(stride, (7, 5, 44), deviation=25.0)
    program = b.program(b.inverted_residual("block", b.input, 52, stride, expansion=11))
    plan = place(program, native.ROOMY, Choices(panel_bytes=14_000, coded=True))
    assert [(step.kernel.name, step.panel) for step in plan.steps] == [
        ("expand_filter_coded", 60),  # of 484 channels, so that some are left over
        ("pointwise_panels_coded", 8),  # of 52
    ]
    x = random_programs.image(program, 1)
    expected = reference.run(program, x)
    assert np.array_equal(native.run_program(program, x, plan), expected)
    (y,) = cortex_m4.run_program(program, x, toolchain=toolchain, plan=plan)
    assert np.array_equal(y, expected)


def test_decoding_takes_the_cycles_that_the_planner_reckons_with() -> None:
    b = Builder(1, (2, 1, 320), deviation=20.0)
    program = b.program(b.conv("one", b.input, 320))
    cycles, work = [], []
    for coded in (False, True):
        plan = place(program, native.ROOMY, Choices(panel_bytes=30_000, coded=coded))
        (layer,) = cortex_m4.measure(program, random_programs.image(program), plan=plan).layers
        cycles.append(layer.cycles)
        work.append(plan.steps[0].kernel.work(plan.site(plan.steps[0]))["widen.value"])
    factor = (cycles[1] - cycles[0]) / ((work[1] - work[0]) / DECODED.factor)
    assert round(factor / CYCLES["widen.value"], 1) == DECODED.measured
