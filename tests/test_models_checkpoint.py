"""Checkpoints: EdgeML's and our own load; anything else is named."""

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from hil import models
from hil.errors import UsageError
from hil.models.checkpoint import KnownToEdgeml, read_state
from hil.vision import photographs
from hil.vision.photographs import Float32


@pytest.fixture(scope="module")
def trained() -> models.LoadedModel:
    """Stands for a trained network: other weights than the default's."""
    return models.load("face_m4", seed=7)


def own_state(loaded: models.LoadedModel) -> dict[str, Tensor]:
    return {key: tensor.clone() for key, tensor in loaded.module.state_dict().items()}


def edgeml_state(loaded: models.LoadedModel) -> dict[str, Tensor]:
    """The state dict that EdgeML's module would have, shared cells listed under every name."""
    assert isinstance(loaded.module, KnownToEdgeml)
    theirs = loaded.module.edgeml_names()
    return {
        f"{name}.{key.rpartition('.')[2]}": tensor
        for key, tensor in own_state(loaded).items()
        for name in theirs[key.rpartition(".")[0]]
    }


def outputs(loaded: models.LoadedModel) -> Float32:
    return loaded.run(np.linspace(-117, 138, 76_800, dtype=np.float32).reshape(240, 320, 1))


def save(state: object, directory: Path) -> Path:
    path = directory / "weights.pth"
    torch.save(state, path)
    return path


def complaint(state: object, directory: Path) -> str:
    with pytest.raises(UsageError) as caught:
        models.load("face_m4", checkpoint=save(state, directory))
    return str(caught.value)


def test_our_own_state_dict_loads(trained: models.LoadedModel, tmp_path: Path) -> None:
    loaded = models.load("face_m4", checkpoint=save(own_state(trained), tmp_path))
    assert np.array_equal(outputs(loaded), outputs(trained))


def test_a_state_dict_by_edgemls_names_loads(trained: models.LoadedModel, tmp_path: Path) -> None:
    state = edgeml_state(trained)
    assert "rnn_model.cell_bidirrnn.unrollRNN.RNNCell_reverse.W" in state
    assert "mob.0.conv.1.0.weight" in state

    loaded = models.load("face_m4", checkpoint=save(state, tmp_path))

    assert np.array_equal(outputs(loaded), outputs(trained))


def test_the_wrapping_of_edgemls_training_script_is_taken_off(
    trained: models.LoadedModel, tmp_path: Path
) -> None:
    state = {f"module.{key}": tensor for key, tensor in edgeml_state(trained).items()}
    path = save({"epoch": 3, "weight": state}, tmp_path)
    assert np.array_equal(outputs(models.load("face_m4", checkpoint=path)), outputs(trained))


@pytest.mark.parametrize(
    "names", [("net",), ("model_state_dict",), ("model", "state_dict"), ("state_dict", "net")]
)
def test_the_wrappings_of_other_training_scripts_are_taken_off(
    names: tuple[str, ...], trained: models.LoadedModel, tmp_path: Path
) -> None:
    state: object = {f"module.{key}": tensor for key, tensor in own_state(trained).items()}
    for name in reversed(names):
        state = {"epoch": 3, name: state}
    loaded = models.load("face_m4", checkpoint=save(state, tmp_path))
    assert np.array_equal(outputs(loaded), outputs(trained))


def test_a_mapping_that_holds_itself_is_no_state_dict(tmp_path: Path) -> None:
    state: dict[str, object] = {}
    state["model"] = state
    assert "holds no state dict" in complaint(state, tmp_path)


def safetensors_of(state: dict[str, Tensor]) -> bytes:
    """A file of the format, written by hand."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    content = b""
    for name, tensor in state.items():
        kind = {torch.float32: "F32", torch.int64: "I64"}[tensor.dtype]
        values = tensor.numpy().tobytes()
        offsets = [len(content), len(content) + len(values)]
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": offsets}
        content += values
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content


def test_safetensors_load(trained: models.LoadedModel, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(safetensors_of(own_state(trained)))
    loaded = models.load("face_m4", checkpoint=path)
    assert np.array_equal(outputs(loaded), outputs(trained))


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:0],
        lambda content: content[:40],
        lambda content: content[:-1],
        lambda content: content.replace(b'"F32"', b'"F99"', 1),
        lambda content: content.replace(b'"F32"', b'"F64"', 1),
        lambda content: content.replace(b'"shape"', b'"shade"', 1),
        lambda content: content.replace(b"[0, ", b"[9, ", 1),
        lambda content: (2).to_bytes(8, "little") + b"[]" + content,
    ],
)
def test_damaged_safetensors_are_named(
    damage: Callable[[bytes], bytes], trained: models.LoadedModel, tmp_path: Path
) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(damage(safetensors_of(own_state(trained))))
    with pytest.raises(UsageError, match=r"weights\.safetensors"):
        models.load("face_m4", checkpoint=path)


@pytest.mark.parametrize("name", ["vww_rnnpool_last", "vww_last_rnnpool"])
def test_a_trained_visual_wake_words_network_of_edgeml_loads(name: str, tmp_path: Path) -> None:
    """By EdgeML's names, with 32 channels in the first convolution."""
    theirs = models.load(name, seed=3, stem=32)
    state = {f"module.{key}": tensor for key, tensor in edgeml_state(theirs).items()}
    loaded = models.load(name, checkpoint=save({"state_dict": state}, tmp_path), stem=32)
    assert all(
        torch.equal(value, own_state(theirs)[key]) for key, value in own_state(loaded).items()
    )


def test_copies_of_a_shared_cell_may_be_absent(trained: models.LoadedModel, tmp_path: Path) -> None:
    state = edgeml_state(trained)
    for key in [k for k in state if "reverse" in k]:
        del state[key]
    loaded = models.load("face_m4", checkpoint=save(state, tmp_path))
    assert np.array_equal(outputs(loaded), outputs(trained))


def test_copies_of_a_shared_cell_must_agree(trained: models.LoadedModel, tmp_path: Path) -> None:
    state = edgeml_state(trained)
    key = "rnn_model.cell_rnn.unrollRNN.RNNCell.U"
    state[key] = state[key] + 1.0
    assert "rnn_model.cell_rnn.unrollRNN.RNNCell.U differs" in complaint(state, tmp_path)


def test_the_trained_face_quant_sees_the_astronauts_face() -> None:
    path = Path(__file__).parents[2] / "shared" / "data" / "edgeml" / "rpool_face_quant.pth"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    loaded = models.load("face_quant", checkpoint=path, order="columns_first")
    upper_part = photographs.read("astronaut")[:384]

    values = loaded.run(photographs.preprocess(upper_part, loaded.spec))

    # Her face, 119x142 pixels around (282, 150), is for the anchors of 128 on the 15x20 map, at row
    # 150 / 32 and column 282 / 32; nowhere else on that map is there a face.
    start = 2 * (120 * 160 + 60 * 80 + 30 * 40)
    logits = values[start : start + 2 * 15 * 20].reshape(15, 20, 2)
    face = logits[..., 1] > logits[..., 0]
    rows, columns = np.nonzero(face)
    assert face[4, 8]
    assert np.abs(rows - 4).max() <= 2
    assert np.abs(columns - 8).max() <= 2


def test_a_missing_tensor_is_named(trained: models.LoadedModel, tmp_path: Path) -> None:
    state = edgeml_state(trained)
    del state["loc.2.bias"]
    assert "missing: loc.2.bias" in complaint(state, tmp_path)


def test_an_unexpected_tensor_is_named(trained: models.LoadedModel, tmp_path: Path) -> None:
    state = own_state(trained) | {"blocks.9.expand.conv.weight": torch.zeros(1)}
    assert "unexpected: blocks.9.expand.conv.weight" in complaint(state, tmp_path)


def test_a_tensor_of_another_shape_is_named_with_both_shapes(
    trained: models.LoadedModel, tmp_path: Path
) -> None:
    state = own_state(trained) | {"pool.row.W": torch.zeros(4, 8)}
    assert "pool.row.W (4, 8) for (4, 16)" in complaint(state, tmp_path)


def test_a_tensor_that_is_not_finite_is_named(trained: models.LoadedModel, tmp_path: Path) -> None:
    state = own_state(trained)
    state["conf.1.conv.bias"][0] = torch.nan
    assert "conf.1.conv.bias is not finite" in complaint(state, tmp_path)


def test_many_missing_tensors_are_counted(tmp_path: Path) -> None:
    assert "more; unexpected: other" in complaint({"other": torch.zeros(1)}, tmp_path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no checkpoint .*absent\.pth"):
        models.load("face_m4", checkpoint=tmp_path / "absent.pth")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04" + bytes(100)])
def test_a_file_of_something_else_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"weights\.pth is not a checkpoint"):
        models.load("face_m4", checkpoint=path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_checkpoint_is_named(
    trained: models.LoadedModel, tmp_path: Path, share: float
) -> None:
    path = save(own_state(trained), tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UsageError, match=r"weights\.pth is not a checkpoint"):
        models.load("face_m4", checkpoint=path)


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_checkpoint_is_named_or_loads(
    trained: models.LoadedModel, tmp_path: Path, seed: int
) -> None:
    path = tmp_path / "weights.pth"
    # The old format, which EdgeML's files have, is a bare pickle: every byte can break it.
    torch.save(own_state(trained), path, _use_new_zipfile_serialization=False)
    damaged = np.frombuffer(path.read_bytes(), np.uint8).copy()
    generator = np.random.default_rng(seed)
    damaged[generator.integers(0, 8000, 30)] = generator.integers(0, 256, 30, dtype=np.uint8)
    path.write_bytes(damaged.tobytes())
    with pytest.raises(UsageError, match=r"weights\.pth"):
        models.load("face_m4", checkpoint=path)


def test_a_list_of_tensors_is_no_state_dict(tmp_path: Path) -> None:
    assert "holds no state dict, but list" in complaint([torch.zeros(1)], tmp_path)


class Trap:
    """Runs a command when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps({"weight": Trap(sprung)}))
    with pytest.raises(UsageError, match="is not a checkpoint"):
        models.load("face_m4", checkpoint=path)
    assert not sprung.exists()


def test_a_checkpoint_that_unpacks_to_more_than_any_network_has_is_not_unpacked(
    tmp_path: Path,
) -> None:
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"")
        archive.writestr("archive/data/0", b"")
    content = path.read_bytes()
    declared = (1 << 31).to_bytes(4, "little")  # the second entry's size in the central directory
    at = content.rindex(b"PK\x01\x02") + 24
    path.write_bytes(content[:at] + declared + content[at + 4 :])
    with pytest.raises(UsageError, match=r"unpacks to 2,147,483,6\d\d B, more than"):
        read_state(path)


STRANGE: dict[str, Callable[[], Tensor]] = {
    "complex": lambda: torch.zeros(3, dtype=torch.complex64),
    "sparse": lambda: torch.zeros(3).to_sparse(),
    "quantised": lambda: torch.quantize_per_tensor(torch.zeros(3), 1.0, 0, torch.qint8),
    "fewer values than its shape has": lambda: torch.zeros(1).expand(1 << 40),
    "without values": lambda: torch.zeros(3, device="meta"),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", STRANGE)
def test_tensors_that_are_no_plain_numbers_are_named(kind: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"checkpoint|no plain numbers") as told:
        read_state(save({"a.weight": STRANGE[kind]()}, tmp_path))
    if "plain" in str(told.value):
        assert f"a.weight ({kind})" in str(told.value)
