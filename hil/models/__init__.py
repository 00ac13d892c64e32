"""The networks, in float PyTorch, by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hil.errors import UsageError
from hil.models import own
from hil.vision.photographs import Float32, InputSpec, calibration_set, prepare

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

_BLACK = (0.0, 0.0, 0.0)
_MONO_QVGA = InputSpec(rows=240, columns=320, channels=1)
_RGB_VGA = InputSpec(rows=480, columns=640, channels=3)
_IMAGENET = InputSpec(
    rows=224,
    columns=224,
    channels=3,
    mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
    deviation=(0.229 * 255, 0.224 * 255, 0.225 * 255),
    crop_from=256,
)
_SMALL_FACE = InputSpec(rows=24, columns=24, channels=1, mean=(128.0, 128.0, 128.0), crop_from=24)
_UNIT_RGB = InputSpec(
    rows=96, columns=96, channels=3, mean=_BLACK, deviation=(255.0, 255.0, 255.0), crop_from=96
)
_BYTE_RGB = InputSpec(rows=32, columns=32, channels=3, mean=_BLACK, crop_from=32)
_SPECTROGRAM = InputSpec(rows=49, columns=10, channels=1)
_FRAMES = InputSpec(rows=5, columns=128, channels=1)
_TABLE_2 = (
    "base",
    "last_rnnpool",
    "avgpool",
    "maxpool",
    "strided",
    "renet",
    "rnnpool",
    "rnnpool_last",
)
_TABLE_3 = ("base", "renet", "rnnpool")
_LAYERS = {"avgpool": "average", "maxpool": "max", "strided": "strided", "renet": "renet"}
_MOST = 1 << 16  # rows, channels, ... that a network is given
_CALIBRATION_PIXELS = 500_000  # of the photographs that seeded batch-norm statistics come from


@dataclass(frozen=True)
class _Entry:
    """A network of the registry.

    Attributes:
        module, constructor: `hil.models.<module>.<constructor>` makes it,
        arguments: from these.
        spec: what it expects at its input; a layer says its size itself.
    """

    module: str
    constructor: str
    spec: InputSpec
    arguments: tuple[str, ...] = ()


_REGISTRY = {
    "face_m4": _Entry("face", "face_m4", _MONO_QVGA),
    "face_qvga": _Entry("face", "face_qvga", _MONO_QVGA),
    "face_quant": _Entry("face", "face_quant", _RGB_VGA),
    "face_a": _Entry("face", "face_a", _RGB_VGA),
    "face_b": _Entry("face", "face_b", _RGB_VGA),
    "face_c": _Entry("face", "face_c", _RGB_VGA),
    **{f"vww_{row}": _Entry("mobilenet", "vww", _IMAGENET, (row,)) for row in _TABLE_2},
    **{f"mnv2_{row}": _Entry("mobilenet", "mnv2", _IMAGENET, (row,)) for row in _TABLE_2},
    **{f"mnv1_{row}": _Entry("mobilenet_v1", "mnv1", _IMAGENET, (row,)) for row in _TABLE_3},
    **{
        f"densenet121_{row}": _Entry("densenet", "densenet121", _IMAGENET, (row,))
        for row in _TABLE_2
    },
    "face_or_not": _Entry("small", "face_or_not", _SMALL_FACE),
    "mlperf_vww": _Entry("mlperf", "visual_wake_words", _UNIT_RGB),
    "mlperf_ic": _Entry("mlperf", "image_classification", _BYTE_RGB),
    "mlperf_kws": _Entry("mlperf", "keyword_spotting", _SPECTROGRAM),
    "mlperf_ad": _Entry("mlperf", "anomaly_detection", _FRAMES),
    "rnnpool_layer": _Entry("layer", "rnnpool_layer", _IMAGENET),
    **{
        f"{row}_layer": _Entry("layer", "pooling_layer", _IMAGENET, (pooling,))
        for row, pooling in _LAYERS.items()
    },
}


@dataclass(frozen=True)
class Request:
    """A network that is asked for.

    Attributes:
        model_id: one of `names()`, or "module:function" or "path.py:function" that makes it, or
            the path of a .tflite file.
        variant: arguments of the network's constructor, such as `order`.
        checkpoint: a state dict's file; without one, weights are drawn by `seed` and batch norm is
            calibrated on photographs.
        seed: of the weights where there is no checkpoint.
        keep_weights: leave the weights as the function of others made them.
        spec: what it takes; None for what ours are known to take.
        directory: where a path in model_id starts.
    """

    model_id: str
    variant: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: Path | None = None
    seed: int = 0
    keep_weights: bool = False
    spec: InputSpec | None = None
    directory: Path = Path()


@dataclass(frozen=True)
class LoadedModel:
    """A network with its weights.

    Attributes:
        module: in evaluation mode.
        spec: what it expects at its input.
        weights: where the weights come from, for reports.
    """

    model_id: str
    module: "nn.Module"
    spec: InputSpec
    weights: str

    @property
    def parameters(self) -> int:
        """Parameters, zeros and batch norm included."""
        return sum(p.numel() for p in self.module.parameters())

    def run(self, image: Float32) -> Float32:
        """Compute the network's outputs.

        Args:
            image: preprocessed, (rows, columns, channels).

        Returns:
            float32, (count,).
        """
        import torch

        from hil.models.blocks import vector_of
        from hil.models.threads import one_thread

        with one_thread(), torch.inference_mode():
            outputs = vector_of(self.module(torch.from_numpy(image).permute(2, 0, 1)[None]))
        result: Float32 = outputs[0].numpy()
        return result


def names() -> list[str]:
    """Return the networks of this package."""
    return sorted(_REGISTRY)


def load(
    model_id: str, checkpoint: Path | None = None, seed: int = 0, **variant: Any
) -> LoadedModel:
    """Make a network of `names()`; `made` says what the arguments mean and what is raised.

    Args:
        model_id: one of `names()`, or a function of one's own.
        checkpoint: trained weights; None for seeded ones.
        seed: of seeded weights.
        **variant: further arguments of the network's constructor.

    Raises:
        UsageError: an unknown network, or a checkpoint that does not fit it.
    """
    return made(Request(model_id, variant, checkpoint, seed))


def structure(model_id: str, **variant: Any) -> LoadedModel:
    """Make a network of `names()` whose weights stand for none, to look at its shape."""
    return shape_of(Request(model_id, variant))


def made(request: Request) -> LoadedModel:
    """Make a network with its weights.

    Raises:
        UsageError: there is no such network or variant of it, the checkpoint does not fit it (the
            error names the tensors), or the code of a network of others fails (it says where).
    """
    bare = shape_of(request)
    if own.is_file(request.model_id):
        return bare
    if request.checkpoint is not None:
        from hil.models.checkpoint import load_checkpoint

        load_checkpoint(bare.module, request.checkpoint)
        return replace(bare, weights=str(request.checkpoint))
    if request.keep_weights:
        return replace(bare, weights=f"its own, seed {request.seed}")
    _seed(bare.module, bare.spec, request.seed)
    return replace(bare, weights=f"seed {request.seed}")


def shape_of(request: Request) -> LoadedModel:
    """Make a network whose weights stand for none, to look at its shape. Raises UsageError."""
    entry = _REGISTRY.get(request.model_id)
    if entry is None:
        return _of_others(request)
    constructor: Callable[..., nn.Module] = partial(
        getattr(import_module(f"hil.models.{entry.module}"), entry.constructor), *entry.arguments
    )
    own.check_arguments(request.model_id, constructor, request.variant)
    _check_sizes(request)
    module = own.called(request.model_id, constructor, request.variant).eval()
    return LoadedModel(
        request.model_id, module, request.spec or _spec_of(module, entry.spec), "none"
    )


def _check_sizes(request: Request) -> None:
    """Refuse sizes that no network of ours can have. Raises UsageError."""
    for name, value in request.variant.items():
        for size in value if isinstance(value, list | tuple) else [value]:
            if isinstance(size, bool) or not isinstance(size, int | float):
                continue
            if not 0 < size <= _MOST:
                raise UsageError(
                    f"variant of {request.model_id}: {name} = {value!r}",
                    hint=f"every size must be above 0 and at most {_MOST:,}",
                )


def _of_others(request: Request) -> LoadedModel:
    """Make a network that is not ours."""
    if own.is_file(request.model_id):
        return _imported(request)
    point = own.offered(request.model_id)
    if point is None and not own.is_own(request.model_id):
        raise UsageError.unknown("model", request.model_id, [*_REGISTRY, *own.names()])
    if request.spec is None:
        raise UsageError(
            f"nothing says what the model {request.model_id!r} takes",
            hint="add to the scenario: [input] with rows, columns and channels",
        )
    where = point.value if point else request.model_id
    module = own.make(where, request.directory, request.variant, request.seed).eval()
    own.check_output(request.model_id, module, request.spec.shape)
    name = request.model_id if point else own.plain_name(request.model_id)
    return LoadedModel(name, module, request.spec, "none")


def _imported(request: Request) -> LoadedModel:
    """Read a network that others have quantised; its weights and its input are the file's."""
    from hil.models.imported import tflite
    from hil.models.imported.module import Imported

    told = {"variant": request.variant, "checkpoint": request.checkpoint}
    wrong = [key for key, value in told.items() if value]
    if wrong:
        raise UsageError(
            f"the model {request.model_id!r} has its own weights and scales",
            hint=f"take out of the scenario: {', '.join(wrong)}",
        )
    network = tflite.read((request.directory / Path(request.model_id).expanduser()).resolve())
    rows, columns, channels = network.input.shape
    if request.spec is not None and request.spec.shape != network.input.shape:
        raise UsageError(
            f"[input] is {request.spec.shape}, the network's is {network.input.shape}",
            hint="rows, columns and channels may be left to the file: take [input] out",
        )
    # Black and white become the least and the greatest byte of the input.
    black = (float(network.input.zero_point + 128),) * 3
    level = (1.0 / network.input.scale,) * 3
    spec = request.spec or InputSpec(rows, columns, channels, mean=black, deviation=level)
    weights = f"{Path(request.model_id).name}, SHA-256 {network.digest[:12]}"
    name = own.plain_name(request.model_id)
    return LoadedModel(name, Imported(network).eval(), spec, weights)


def _spec_of(module: "nn.Module", spec: InputSpec) -> InputSpec:
    from hil.models.layer import SingleLayer

    if not isinstance(module, SingleLayer):
        return spec
    rows, columns, channels = module.input_shape
    return replace(
        spec, rows=rows, columns=columns, channels=channels, crop_from=max(rows, columns)
    )


def _seed(module: "nn.Module", spec: InputSpec, seed: int) -> None:
    import numpy as np
    import torch

    from hil.models.seeded import calibrate_batch_norm, initialise
    from hil.models.threads import one_thread

    count = max(2, _CALIBRATION_PIXELS // (spec.rows * spec.columns))
    images = np.stack([prepare(name, spec) for name in calibration_set()[:count]])
    with one_thread():
        initialise(module, seed)
        calibrate_batch_norm(module, torch.from_numpy(images).permute(0, 3, 1, 2))
