"""Checkpoints: read a state dict and put it into a network, by our names or by EdgeML's."""

import pickle
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from hil import files
from hil.errors import UsageError
from hil.models import safetensors

_WRAPPERS = (
    "weight",
    "state_dict",
    "model_state_dict",
    "model",
    "net",
)  # training scripts save the state dict under one of these, or under one in another
_PARALLEL = "module."  # nn.DataParallel puts this before every name
_COUNTER = "num_batches_tracked"  # of batch norm in training; inference has no use for it
_SHOWN = 8
MAX_BYTES = 512 << 20
"""Of a checkpoint and of what it unpacks to: a hundred times the largest network of the paper."""
_CORRUPT = (  # what torch.load was seen to raise on damaged files; its formats have no checksums
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    AssertionError,
    MemoryError,
    struct.error,
    zipfile.BadZipFile,
)


@runtime_checkable
class KnownToEdgeml(Protocol):
    """A network whose trained weights EdgeML's code can have made."""

    def edgeml_names(self) -> dict[str, tuple[str, ...]]:
        """Map paths of our submodules to the paths, one or several, of theirs."""


def load_checkpoint(module: nn.Module, path: Path) -> None:
    """Put the weights of a checkpoint into a network.

    Args:
        module: changed in place, and only if the whole checkpoint fits.
        path: a state dict, as torch.save writes it; code in it is never run.

    Raises:
        UsageError: the file cannot be read, or tensors are missing, unexpected or of the wrong
            shape; the error names them.
    """
    state = read_state(path)
    module.load_state_dict(_match(module, state, path))


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a file's state dict.

    Raises:
        UsageError: there is no such file, or it holds something else.
    """
    if not files.is_file(path):
        raise UsageError(f"there is no checkpoint {path}")
    try:
        _check_size(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old formats that load all the same
            content = (
                safetensors.read(path)
                if path.suffix == safetensors.SUFFIX
                else torch.load(path, map_location="cpu", weights_only=True)
            )
    except _CORRUPT as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(
            f"{path} is not a checkpoint that can be read: {first_line}",
            hint="expected a state dict, as torch.save(model.state_dict(), path) writes it, or "
            "safetensors",
        ) from error
    content = _unwrapped(content)
    if not isinstance(content, Mapping) or not all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()
    ):
        raise UsageError(
            f"{path} holds no state dict, but {type(content).__name__}",
            hint="expected a mapping of names to tensors",
        )
    state = {key.removeprefix(_PARALLEL): tensor for key, tensor in content.items()}
    strange = [f"{key} ({kind})" for key, tensor in state.items() if (kind := _strange(tensor))]
    if strange:
        shown = ", ".join(strange[:_SHOWN])
        raise UsageError(
            f"{path} holds tensors that are no plain numbers: {shown}",
            hint="save them as dense real floating-point tensors",
        )
    return state


def _unwrapped(content: object) -> object:
    """Look for the state dict under the names that training scripts save it under."""
    for _ in _WRAPPERS:  # a mapping may hold itself
        if isinstance(content, Mapping):
            inner = [content[w] for w in _WRAPPERS if isinstance(content.get(w), Mapping)]
            content = inner[0] if inner else content
    return content


def _check_size(path: Path) -> None:
    """Refuse a file that unpacks to more than any network here has. Raises UsageError."""
    packed = path.stat().st_size
    unpacked = 0
    if packed <= MAX_BYTES and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    for what, count in (("has", packed), ("unpacks to", unpacked)):
        if count > MAX_BYTES:
            raise UsageError(
                f"{path} {what} {count:,} B, more than {MAX_BYTES:,}",
                hint="is it a checkpoint of weights alone?",
            )


def _strange(tensor: Tensor) -> str:
    """Say what keeps a tensor from being weights; empty for one that may be."""
    if tensor.is_meta:
        return "without values"
    if tensor.layout != torch.strided:
        return "sparse"
    if tensor.is_quantized:
        return "quantised"
    if tensor.is_complex():
        return "complex"
    stored = tensor.untyped_storage().nbytes()
    if tensor.numel() * tensor.element_size() > stored:
        return "fewer values than its shape has"
    return ""


def _match(module: nn.Module, state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Find every tensor that the network has in the state dict, and nothing else."""
    own = module.state_dict()
    aliases = _naming(module, state)
    found: dict[str, Tensor] = {}
    missing, misshapen, used = [], [], set()
    for key, current in own.items():
        names = [name for name in _names(key, aliases) if name in state]
        used.update(names)
        if not names:
            if key.endswith(_COUNTER):
                found[key] = current
            else:
                missing.append(_names(key, aliases)[0])
            continue
        misshapen += [
            f"{name} {tuple(state[name].shape)} for {tuple(current.shape)}"
            for name in names
            if state[name].shape != current.shape
        ]
        misshapen += [
            f"{name} differs from {names[0]}, which it shares"
            for name in names[1:]
            if not torch.equal(state[name], state[names[0]])
        ]
        misshapen += [f"{name} is not finite" for name in names if not _finite(state[name])]
        found[key] = state[names[0]]
    _complain(path, missing, sorted(set(state) - used), misshapen)
    return found


def _naming(module: nn.Module, state: Mapping[str, Tensor]) -> dict[str, tuple[str, ...]]:
    """Return EdgeML's aliases for our names, or none where the checkpoint uses ours."""

    def hits(aliases: Mapping[str, tuple[str, ...]]) -> int:
        return sum(name in state for key in module.state_dict() for name in _names(key, aliases))

    theirs = module.edgeml_names() if isinstance(module, KnownToEdgeml) else {}
    return theirs if hits(theirs) > hits({}) else {}


def _names(key: str, aliases: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Every name under which a checkpoint may keep this tensor of ours."""
    prefix, _, leaf = key.rpartition(".")
    return [f"{name}.{leaf}" for name in aliases.get(prefix, (prefix,))]


def _finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())


def _complain(path: Path, missing: list[str], unexpected: list[str], wrong: list[str]) -> None:
    complaints = [
        f"{title}: {', '.join(names[:_SHOWN])}"
        + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
        for title, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("wrong", wrong),
        )
        if names
    ]
    if complaints:
        raise UsageError(
            f"{path} does not fit the model; {'; '.join(complaints)}",
            hint="is it the checkpoint of another model?",
        )
