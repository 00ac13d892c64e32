"""Int8 TensorFlow Lite files: what is read, what it computes, what is refused by name and place."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tflite", reason="reads .tflite files: pip install 'rnnpool-hil[tflite]'")

from native import run_program
from tflite_files import NONE, RELU, SAME, VALID, Writer, everything

from hil.cli import main
from hil.compiler import compile_model, reference
from hil.compiler.front.imported import Translated, translate
from hil.compiler.integers.fixed_point import FixedPoint
from hil.compiler.integers.requantise import requantisation
from hil.config import scenario
from hil.errors import BuildError, UsageError
from hil.models import Request, made
from hil.models.imported import tflite
from hil.models.imported.module import Imported
from hil.run import network


def translated(data: bytes) -> Translated:
    return translate(Imported(tflite.parse(data, "net.tflite")).eval(), "net")


def images(shape: tuple[int, ...], count: int, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.integers(-128, 128, shape).astype(np.int8) for _ in range(count)]


def litert(data: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """TensorFlow Lite's reference kernels on a file."""
    reason = "compares with LiteRT: pip install ai-edge-litert"
    interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason=reason)
    made = interpreter.Interpreter(
        model_content=data,
        experimental_op_resolver_type=interpreter.OpResolverType.BUILTIN_REF,
    )
    made.allocate_tensors()
    x, y = made.get_input_details()[0], made.get_output_details()[0]

    def run(image: np.ndarray) -> np.ndarray:
        made.set_tensor(x["index"], image.reshape(x["shape"]))
        made.invoke()
        return np.asarray(made.get_tensor(y["index"])).reshape(-1)

    return run


def test_every_operator_that_is_taken_becomes_kernels_that_equal_the_reference() -> None:
    program = translated(everything().write()).program
    for x in images(program.input.shape, 2):
        assert np.array_equal(run_program(program, x), reference.run(program, x))


@pytest.mark.parametrize("seed", [1, 2])
def test_every_operator_gives_litert_s_levels_or_those_beside(seed: int) -> None:
    data = everything(seed).write()
    theirs, program = litert(data), translated(data).program
    pairs = [(reference.run(program, x), theirs(x)) for x in images(program.input.shape, 100)]
    ours, wanted = (np.stack(values).astype(int) for values in zip(*pairs, strict=True))
    assert (ours != wanted).mean() < 0.05
    assert np.abs(ours - wanted).max() <= 64  # of 256: softmax makes much of a level


def vectors() -> Writer:
    w = Writer()
    x = w.dense(w.tensor(1, 40, zeros=(9,)), 16, RELU)
    w.softmax(w.dense(w.dense(x, 24, RELU), 10))
    return w


def pooled(window: int) -> Writer:
    w = Writer()
    x = w.image(8, 8, 4)
    most = w.pool(x, 3, 1, SAME, "MAX_POOL_2D")
    w.pool(w.sum(x, most), window, window, VALID, "AVERAGE_POOL_2D")
    return w


def one_conv(act: int) -> Writer:
    w = Writer()
    w.conv(w.image(9, 9, 4), 8, 3, 2, act=act)
    return w


@pytest.mark.parametrize(
    "make", [vectors, lambda: pooled(2), lambda: pooled(4)], ids=["dense", "2x2", "4x4"]
)
def test_dense_layers_softmax_sums_and_poolings_are_litert_s_to_the_bit(
    make: Callable[[], Writer],
) -> None:
    data = make().write()
    theirs, made = litert(data), translated(data)
    for x in images(made.program.input.shape, 100):
        assert np.array_equal(reference.run(made.program, x), theirs(x))


@pytest.mark.parametrize("scale", [0.11, 0.05, 0.011])
@pytest.mark.parametrize("shape", [(7, 5, 6), (8, 8, 4), (3, 3, 8)])
def test_a_mean_over_all_pixels_is_litert_s_level_or_the_one_beside(
    shape: tuple[int, int, int], scale: float
) -> None:
    w = Writer()
    w.mean(w.image(*shape), scale)
    data = w.write()
    theirs, made = litert(data), translated(data)
    pairs = [(reference.run(made.program, x), theirs(x)) for x in images(shape, 100)]
    ours, wanted = (np.stack(values).astype(int) for values in zip(*pairs, strict=True))
    assert np.ptp(wanted) > 3
    assert np.abs(ours - wanted).max() <= 1
    assert (ours != wanted).mean() < 0.15
    assert not made.exactness[0].counted, "the importer's table does not call it equal"


@pytest.mark.parametrize("act", [RELU, NONE])
def test_a_convolution_is_off_by_one_level_at_the_steps_that_are_counted(act: int) -> None:
    data = one_conv(act).write()
    theirs, made = litert(data), translated(data)
    pairs = [(reference.run(made.program, x), theirs(x)) for x in images((9, 9, 4), 100)]
    ours, wanted = (np.stack(values).astype(int) for values in zip(*pairs, strict=True))
    assert np.abs(ours - wanted).max() <= 1
    (exact,) = made.exactness
    share = exact.missed / exact.steps
    assert share < (0.05 if act else 0.8)
    assert (ours != wanted).mean() < (2e-4 if act else 0.01)


@pytest.mark.parametrize("twice", [True, False])
@pytest.mark.parametrize("real", [0.0007, 0.0041, 0.037, 0.61])
def test_steps_that_are_not_counted_are_at_the_same_sums(real: float, *, twice: bool) -> None:
    reach = int(150 / real)
    span = (np.array([-reach]), np.array([reach]))
    found = requantisation("layer", np.array([real]), (-128, 127), span, twice=twice)
    sums = np.arange(-reach, reach + 1)
    fixed = FixedPoint.of(real)
    wanted = (fixed.scaled(sums) if twice else fixed.scaled_once(sums)).clip(-128, 127)
    product = ((sums << found.shift) + found.nudge[0]) * found.multiplier[0]
    ours = ((product + (1 << 31)) >> 32).clip(-128, 127)
    differ = int((ours != wanted).sum())
    assert found.missed <= differ <= 2 * found.missed


def test_an_imported_network_is_a_scenario_s_model(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(everything().write())
    assert main(["import", str(path)]) == 0
    loaded = network.load(scenario.load(str(tmp_path / "net.toml")))
    compiled = compile_model(loaded, [])
    x = np.full(loaded.spec.shape, loaded.spec.range[1], np.float32)
    assert (compiled.program.quantise_input(x) == 127).all()
    real = compiled.graph.activations([x])[compiled.program.output.tensors[0].name].reshape(-1)
    assert loaded.run(x) == pytest.approx(real, abs=1e-4)


def test_what_is_there_is_not_overwritten_and_what_fails_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(everything().write()[:-200])
    assert main(["import", str(path)]) == 2
    assert [one.name for one in tmp_path.iterdir()] == ["net.tflite"]
    (tmp_path / "net.toml").write_text("mine")
    path.write_bytes(everything().write())
    assert main(["import", str(path)]) == 2
    assert (tmp_path / "net.toml").read_text() == "mine"


def test_a_checkpoint_or_a_variant_of_an_imported_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(everything().write())
    with pytest.raises(UsageError, match="its own weights"):
        made(Request(str(path), {"width": 2}))


def test_other_choices_for_an_imported_network_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(everything().write())
    assert main(["import", str(path)]) == 0
    assert main(["quantise", str(tmp_path / "net.toml")]) == 2
    assert "net: it was imported with its own integers" in capsys.readouterr().err


def changed(change: Callable[[Writer], None]) -> bytes:
    w = everything()
    change(w)
    return w.write()


def tensor(index: int, **values: object) -> Callable[[Writer], None]:
    def change(w: Writer) -> None:
        for name, value in values.items():
            setattr(w.tensors[index], name, value)

    return change


def option(index: int, **values: object) -> Callable[[Writer], None]:
    return lambda w: w.operators[index].values.update(values)


def operator(index: int, **values: object) -> Callable[[Writer], None]:
    def change(w: Writer) -> None:
        for name, value in values.items():
            setattr(w.operators[index], name, value)

    return change


HALF = np.ones((8, 3, 3, 4), np.float16)
REFUSED: dict[str, tuple[Callable[[Writer], None], str]] = {
    "version": (lambda w: setattr(w, "version", 4), "schema is of version 4"),
    "graphs": (lambda w: setattr(w, "graphs", 2), "2 graphs"),
    "operator": (operator(0, code="TRANSPOSE_CONV", options=""), "operator 0, TRANSPOSE_CONV"),
    "operator version": (operator(3, version=99), r"operator 3, ADD that makes t\d+: it is of ver"),
    "dynamic shape": (tensor(0, signature=(1, -1, 10, 4)), "tensor 0 t0: its shape .* is dynamic"),
    "float16": (tensor(2, kind="float16", data=HALF), "tensor 2 t2: it is FLOAT16"),
    "float input": (tensor(0, kind="float32"), "tensor 0 t0: it is FLOAT32"),
    "scales of a map": (
        tensor(1, scales=(0.1,) * 8, zeros=(0,) * 8),
        "tensor 1 t1: it has 8 scales",
    ),
    "scales of weights": (tensor(2, scales=(0.1,) * 3, zeros=(0,) * 3), "it has 3 scales along"),
    "zero point of weights": (tensor(2, zeros=(1,) * 8), "weights have a zero point"),
    "scale": (tensor(1, scales=(0.0,)), "a scale that is not positive"),
    "no number": (tensor(1, scales=(float("nan"),)), "a scale that is not positive"),
    "zero point": (tensor(1, zeros=(300,)), "zero point is 300"),
    "dilation": (option(0, DilationHFactor=2), "it is dilated"),
    "strides": (option(0, StrideH=1), "strides are"),
    "activation": (option(0, FusedActivationFunction=4), "activation is TANH"),
    "bytes": (tensor(2, data=np.zeros(7, np.int8)), "it holds 7 B"),
    "batch": (tensor(0, shape=(2, 13, 10, 4)), r"its shape is \(2, 13, 10, 4\)"),
    "size": (tensor(1, shape=(1, 8, 5, 8)), "its output is"),
    "input": (
        lambda w: setattr(w.operators[0], "inputs", (99, 2, 3)),
        "operator 0, CONV_2D that makes t1: nothing computes its input",
    ),
    "order": (lambda w: w.operators.reverse(), "nothing computes"),
    "outputs": (lambda w: setattr(w, "outputs", ()), "1 inputs and 0 outputs"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_taken_is_refused_by_name_and_place(case: str) -> None:
    change, told = REFUSED[case]
    with pytest.raises(UsageError, match=told) as error:
        tflite.parse(changed(change), "net.tflite")
    assert "net.tflite" in str(error.value)


def test_a_scale_that_is_a_signalling_nan_is_refused_without_a_warning() -> None:
    whole, scale = everything().write(), np.float32(0.11).tobytes()
    assert scale in whole
    with pytest.raises(UsageError, match="a scale that is not positive"):
        tflite.parse(whole.replace(scale, b"\x00\x00\xa0\x7f", 1), "net.tflite")


def test_scales_so_far_apart_that_no_factor_holds_them_are_refused() -> None:
    w = changed(tensor(1, scales=(1e-38,)))
    network = tflite.parse(w, "net.tflite")
    with pytest.raises(BuildError, match="which no 32-bit number holds"):
        translate(Imported(network).eval(), "net")


def test_an_average_over_fewer_pixels_at_the_edges_is_refused() -> None:
    w = Writer()
    w.pool(w.image(7, 7, 4), 3, 2, SAME, "AVERAGE_POOL_2D")
    with pytest.raises(UsageError, match="fewer pixels at the edges"):
        tflite.parse(w.write(), "net.tflite")


def test_a_file_that_is_none_or_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    with pytest.raises(UsageError, match="cannot be read"):
        tflite.read(path)
    path.write_bytes(b"")
    with pytest.raises(UsageError, match="is no TensorFlow Lite file"):
        tflite.read(path)
    with path.open("wb") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(UsageError, match="are more than"):
        tflite.read(path)
