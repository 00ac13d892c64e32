"""Trained weights out of C headers and a SeeDot program, as they went in."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from hil.cli import main
from hil.errors import UsageError
from hil.models import edgeml_headers, load

TRAINED = Path(__file__).parents[2] / "shared" / "data" / "edgeml" / "face_m4.pth"
_SPARSE_ALIKE = "#ifdef SPARSE\n  static ITER_T W1Ids[4 * 2 / 2 + 4] = {1, 2, 0};\n#endif\n"


def made_up() -> dict[str, Tensor]:
    """A small detector's weights, of which every one is 16 bits times a power of two."""
    random = np.random.default_rng(0)

    def drawn(*shape: int) -> Tensor:
        exponent = int(random.integers(-3, 4))
        values = random.integers(-32767, 32767, shape) * 2.0 ** (exponent - 15)
        values.flat[0] = 32767 * 2.0 ** (exponent - 15)
        return torch.from_numpy(values).float()

    state = {"conv.0.weight": drawn(4, 1, 3, 3), **norm("conv.1", drawn(4), drawn(4))}
    for path, inputs in (("cell_rnn", 4), ("cell_bidirrnn", 2)):
        place = f"rnn_model.{path}.cell"
        state |= {f"{place}.W": drawn(inputs, 2), f"{place}.U": drawn(2, 2)}
        state |= {f"{place}.{b}": drawn(1, 2) for b in ("bias_gate", "bias_update")}
        state |= {f"{place}.zeta": torch.full((1, 1), 100.0)}
        state |= {f"{place}.nu": torch.full((1, 1), -100.0)}
    for i, channels in enumerate((8, 4)):
        place = f"mob.{i}.conv"
        state |= {f"{place}.0.0.weight": drawn(6, channels, 1, 1)}
        state |= {f"{place}.1.0.weight": drawn(6, 1, 3, 3), f"{place}.2.weight": drawn(4, 6, 1, 1)}
        for stage, width in (("0.1", 6), ("1.1", 6), ("3", 4)):
            state |= norm(f"{place}.{stage}", drawn(width), drawn(width))
        state |= {f"conf.{i}.weight": drawn(2, 4, 3, 3), f"conf.{i}.bias": drawn(2)}
        state |= {f"loc.{i}.weight": drawn(4, 4, 3, 3), f"loc.{i}.bias": drawn(4)}
        state |= {f"L2Norm{3 + i}_3.weight": drawn(4)}
    return state


def norm(place: str, factor: Tensor, offset: Tensor) -> dict[str, Tensor]:
    factor = torch.where(factor == 0, factor.max(), factor)
    return {
        f"{place}.weight": factor,
        f"{place}.bias": (offset.double() * factor.double()).float(),
        f"{place}.running_mean": torch.zeros_like(factor),
        f"{place}.running_var": torch.full_like(factor, 1.0 - 1e-5),
    }


def named(state: dict[str, Tensor]) -> Iterator[tuple[str, str, tuple[int, ...], Tensor]]:
    """SeeDot's name of each weight, the header's, SeeDot's shape, its values in C's order."""

    def of_filter(weight: Tensor, *, depthwise: bool = False) -> tuple[tuple[int, ...], Tensor]:
        outputs, inputs, rows, columns = weight.shape
        if depthwise:
            return (outputs, rows, columns, 1, 1), weight[:, 0].flatten()
        return (1, rows, columns, inputs, outputs), weight.permute(2, 3, 1, 0).flatten()

    def of_norm(place: str) -> tuple[Tensor, Tensor]:
        factor = state[f"{place}.weight"].double()
        return factor, state[f"{place}.bias"].double() / factor

    yield "CBR1F", "CBR1F", *of_filter(state["conv.0.weight"])
    factor, offset = of_norm("conv.1")
    yield "CBR1W", "CBR1W", (len(factor), 1, 1, 1, 1), factor
    yield "CBR1B", "CBR1B", (len(offset),), offset
    for cell, path in (("1", "cell_rnn"), ("2", "cell_bidirrnn")):
        for name, leaf in (("W", "W"), ("U", "U"), ("Bg", "bias_gate"), ("Bh", "bias_update")):
            values = state[f"rnn_model.{path}.cell.{leaf}"].T
            yield f"{name}{cell}", f"{name}{cell}", tuple(values.shape), values.flatten()
    for i in range(sum(key.endswith("conv.2.weight") for key in state)):
        place = f"mob.{i}.conv"
        for part, (conv, behind) in {
            "1": ("0.0", "0.1"),
            "2": ("1.0", "1.1"),
            "3": ("2", "3"),
        }.items():
            weight = state[f"{place}.{conv}.weight"]
            yield f"L{i}F{part}", f"L{i + 1}_F{part}", *of_filter(weight, depthwise=part == "2")
            factor, offset = of_norm(f"{place}.{behind}")
            yield f"L{i}W{part}", f"L{i + 1}_W{part}", (len(factor),), factor
            yield f"L{i}B{part}", f"L{i + 1}_B{part}", (len(offset),), offset
        for kind in ("conf", "loc"):
            yield (
                f"{kind}{i}w",
                f"D{i + 1}{kind[0].upper()}W",
                *of_filter(state[f"{kind}.{i}.weight"]),
            )
            bias = state[f"{kind}.{i}.bias"]
            yield f"{kind}{i}b", f"D{i + 1}{kind[0].upper()}B", (len(bias),), bias
        if (scale := state.get(f"L2Norm{3 + i}_3.weight")) is not None:
            yield f"normW{i + 1}", f"D{i + 1}NW", (len(scale), 1, 1, 1, 1), scale


def write(state: dict[str, Tensor], folder: Path) -> Path:
    """Write headers and program in the form of EdgeML's."""
    folder.mkdir(exist_ok=True)
    program = ["// made by a test", "let X = (76800, 1) in [-117.0, 137.0] in"]
    program += [f"let zeta{n} = 1.0 in\nlet nu{n} = 0.00000000000000001 in" for n in (1, 2)]
    texts: dict[str, str] = {}
    for name, header, shape, values in named(state):
        reals = values.double().numpy()
        _, exponent = math.frexp(np.abs(reals).max())
        numbers = np.rint(reals * 2.0 ** (15 - exponent)).astype(int)
        low, high = reals.min(), reals.max()
        program.append(
            f"let {name} = ({', '.join(map(str, shape))}) in [{low:f}, {high:f}] in \t//t"
        )
        file = f"{header[:2]}.h"
        size = f"{header}_N * {math.prod(shape) // shape[0]}"
        texts[file] = texts.get(file, "// Copyright\n") + (
            f"#define {header}_N {shape[0]}\n"
            f"static const Q15_T {header}[{size}] = {{{', '.join(map(str, numbers))}}};\n"
        )
    for file, text in texts.items():
        (folder / file).write_text(_SPARSE_ALIKE + text)
    (folder / "program.sd").write_text("\n".join(program) + "\n")
    return folder


def assert_equal(got: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert set(got) == set(expected)
    for name, tensor in expected.items():
        assert got[name].shape == tensor.shape, name
        assert torch.equal(got[name], tensor), name


def test_weights_come_back_from_headers_as_they_went(tmp_path: Path) -> None:
    state = made_up()
    assert_equal(edgeml_headers.read(write(state, tmp_path / "model")), state)


@pytest.mark.skipif(not TRAINED.is_file(), reason=f"no trained weights at {TRAINED}")
def test_the_papers_network_comes_back_and_loads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = torch.load(TRAINED, weights_only=True)
    folder, out = write(state, tmp_path / "model"), tmp_path / "made" / "face_m4.pth"
    scales = folder / "program.sd"
    assert main(["import", "edgeml", str(folder), "--scales", str(scales), "--out", str(out)]) == 0
    assert f"{len(state)} tensors" in capsys.readouterr().out
    assert_equal(torch.load(out, weights_only=True), state)
    assert load("face_m4", checkpoint=out).parameters == load("face_m4").parameters


def replaced(folder: Path, file: str, old: str, new: str) -> None:
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))


def _pointer(folder: Path) -> None:
    (folder / "L1.h").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: (f / "L2.h").unlink(), "L2_F1 is missing"),
        (lambda f: replaced(f, "D1.h", "D1CB_N 2", "D1CB_N 3"), "D1CB has 2 values, its size is 3"),
        (_pointer, "L1.h is a pointer of Git LFS"),
        (lambda f: replaced(f, "program.sd", "let W1 = (2, 4)", "let W1 = (2, 3)"), "W1 has 8"),
        (lambda f: replaced(f, "program.sd", "let U1", "let V1"), "states nothing of U1"),
        (lambda f: replaced(f, "W1.h", "= {32767", "= {x"), "W1 holds what is no whole number"),
        (lambda f: replaced(f, "W1.h", "= {32767", "= {99999"), "beyond 16 bits"),
        (lambda f: replaced(f, "W1.h", "= {32767", "= {3"), "W1 reaches"),
        (lambda f: (f / "program.sd").unlink(), "0 SeeDot programs"),
        (lambda f: (f / "other.sd").write_text("let"), "2 SeeDot programs"),
        (lambda f: (f / "program.sd").write_text("let"), "no SeeDot program"),
    ],
)
def test_what_does_not_fit_is_named(
    tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    folder = write(made_up(), tmp_path / "model")
    damage(folder)
    with pytest.raises(UsageError, match=said):
        edgeml_headers.read(folder)


def test_a_folder_without_headers_is_named(tmp_path: Path) -> None:
    scales = write(made_up(), tmp_path / "model") / "program.sd"
    with pytest.raises(UsageError, match="holds no headers"):
        edgeml_headers.read(tmp_path / "nowhere", scales)
