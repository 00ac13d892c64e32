"""The peers: which files of a user's checkout are built, and which kernels take which layer."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from hil.compiler.operators.add import Add
from hil.compiler.operators.conv2d import Conv2D
from hil.errors import BuildError, UsageError
from hil.studies.bench.peers.calls import Call

if TYPE_CHECKING:
    from hil.studies.bench.peers.works import Work

_DEADLINE_S = 60
_COMMIT_DIGITS = 10
_FLOATS = {"f16", "f32"}  # in names of files for other types
_HERE = Path(__file__).parent / "c"


@dataclass(frozen=True)
class Checkout:
    """A peer's sources on this machine.

    Attributes:
        peer: its name.
        version: the commit, or a digest of the files where there is none.
        glue: C of ours that calls it.
        sources: C files of theirs that are compiled.
        include: folders of their headers.
        calls: the names of the kernels that `glue` calls.
        written: files by name that are written for the build beside theirs.
        options: flags that it can be built with; "" for none.
    """

    peer: str
    version: str
    glue: Path
    sources: tuple[Path, ...]
    include: tuple[Path, ...]
    calls: tuple[str, ...]
    written: Mapping[str, str]
    options: tuple[str, ...] = ("",)

    def __str__(self) -> str:
        return f"{self.peer} {self.version}"

    def ways(self, work: "Work") -> Iterator[tuple[Call, "Work"]]:
        """Yield the kernels that take a layer, each with the layer as that kernel sees it."""
        for call in _WAYS[self.peer](work):
            yield call, work.padded_before() if call.name in _PAD_BEFORE else work


def cmsis_nn(folder: Path) -> Checkout:
    """Find what is built of a checkout of CMSIS-NN.

    Raises:
        UsageError: this is none.
    """
    parts = ("BasicMath", "Convolution", "FullyConnected", "NNSupport", "Pooling")
    _held(
        folder,
        [Path("Include/arm_nnfunctions.h"), *(Path(f"Source/{part}Functions") for part in parts)],
        "CMSIS-NN",
        "git clone https://github.com/ARM-software/CMSIS-NN",
    )
    found = [path for part in parts for path in folder.glob(f"Source/{part}Functions/*.c")]
    sources = sorted(path for path in found if not _FLOATS & set(path.stem.split("_")))
    include = (folder / "Include",)
    return Checkout(
        "CMSIS-NN",
        _version(folder, sources),
        _HERE / "cmsis_nn.c",
        tuple(sources),
        include,
        ("CONVOLVE", "DEPTHWISE", "FULLY_CONNECTED", "ADD", "AVERAGE"),
        {},
        ("", "-DCMSIS_NN_USE_REQUANTIZE_INLINE_ASSEMBLY"),
    )


def tinyengine(folder: Path) -> Checkout:
    """Find what is built of a checkout of TinyEngine, and have it write its depthwise kernels.

    Raises:
        UsageError: this is none, or its submodule is not there.
        BuildError: its generator fails.
    """
    template = Path("code_generator/codetemplate/depthwiseTemplate.py")
    kernels = [Path("TinyEngine/src/kernels") / k for k in ("int_forward_op", "fp_requantize_op")]
    cmsis = Path("TinyEngine/third_party/CMSIS/CMSIS")
    headers = [cmsis / part / "Include" for part in ("NN", "DSP", "Core")]
    product = cmsis / "NN/Source/ConvolutionFunctions/arm_nn_mat_mult_kernel_s8_s16_reordered.c"
    _held(
        folder,
        [Path("TinyEngine/include/tinyengine_function.h"), template, *kernels, *headers, product],
        "TinyEngine, with its submodule CMSIS",
        "git clone --recursive https://github.com/mit-han-lab/tinyengine",
    )
    sources = [path for part in kernels for path in sorted((folder / part).glob("*.c"))]
    sources.append(folder / product)
    return Checkout(
        "TinyEngine",
        _version(folder, sources),
        _HERE / "tinyengine.c",
        tuple(sources),
        (folder / "TinyEngine/include", *(folder / header for header in headers)),
        _TINYENGINE_CALLS,
        _depthwise(folder / template),
    )


def _held(folder: Path, wanted: Sequence[Path], name: str, command: str) -> None:
    """Raise a UsageError if one of these files or folders is missing."""
    missing = [path for path in wanted if not (folder / path).exists()]
    if missing:
        raise UsageError(f"{folder} is no checkout of {name}: it has no {missing[0]}", hint=command)


def _version(folder: Path, sources: Sequence[Path]) -> str:
    """Return the commit; of a folder that is none of git's, a digest of what is compiled."""
    if (folder / ".git").exists():
        command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
        said = subprocess.run(
            command, capture_output=True, text=True, timeout=_DEADLINE_S, check=False
        )
        if said.returncode == 0:
            return said.stdout.strip()[:_COMMIT_DIGITS]
    whole = sha256()
    for path in sources:
        whole.update(path.read_bytes())
    return f"sha256 {whole.hexdigest()[:_COMMIT_DIGITS]}"


# Runs in a process of its own: it is the checkout's program, and writes files of its own names.
_GENERATE = """
import json, runpy, sys
made = runpy.run_path(sys.argv[1])["depthwiseInplace"]
files, heads = {}, ["#include <arm_nnsupportfunctions.h>"]
for stride in (1, 2):
    for floats in (False, True):
        one = made(3, 3, 1, 1, stride, "CHW", floats)
        files[f"depthwise_{stride}_{floats}.c"] = one._genCode()
        heads.append(one.genFuncDefine() + ";")
json.dump(files | {"genInclude.h": "\\n".join(heads)}, sys.stdout)
"""


def _depthwise(template: Path) -> Mapping[str, str]:
    """Have TinyEngine's generator write its 3x3 depthwise kernels; files by name."""
    import json

    command = [sys.executable, "-I", "-c", _GENERATE, str(template)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=_DEADLINE_S, check=False)
    if said.returncode:
        raise BuildError(
            f"{template} writes no depthwise kernels: {said.stderr.strip()[-300:]}",
            hint="is this the checkout's default branch?",
        )
    files: dict[str, str] = json.loads(said.stdout)
    return files


_UNROLLED = (8, 16, 24, 48)  # input channels that a kernel of TinyEngine's is written out for
_PAD_BEFORE = {"RGB", "RGB_FLOAT", "DEPTHWISE_2", "DEPTHWISE_2_FLOAT"}
_WHOLE = ("POINTWISE", *(f"POINTWISE_{n}" for n in _UNROLLED), "RGB", "DEPTHWISE_1", "DEPTHWISE_2")
_TINYENGINE_CALLS = (*_WHOLE, *(f"{name}_FLOAT" for name in _WHOLE), "ADD", "ADD_FLOAT", "AVERAGE")


def _of_cmsis_nn(work: "Work") -> Iterator[Call]:
    layer = work.layer
    match layer:
        case Conv2D(depthwise=True):
            yield Call("DEPTHWISE")
        case Conv2D():
            yield Call("CONVOLVE")
            if layer.inputs[0].shape[:2] == layer.weight.shape[1:3] == (1, 1):
                yield Call("FULLY_CONNECTED")
        case Add():
            yield Call("ADD")
        case _:
            yield Call("AVERAGE")


def _of_tinyengine(work: "Work") -> Iterator[Call]:
    layer = work.layer
    match layer:
        case Conv2D(depthwise=True):
            if layer.weight.shape[1:3] == (3, 3) and layer.stride in {1, 2}:
                for kind in ("", "_FLOAT"):
                    name = f"DEPTHWISE_{layer.stride}{kind}"
                    yield Call(name, planar=True, offset_in_bias=True, in_place=True)
        case Conv2D():
            yield from _dense(layer)
        case Add():
            yield Call("ADD")
            if (layer.low, layer.high) == (-128, 127):
                yield Call("ADD_FLOAT")
        case _:
            yield Call("AVERAGE")


def _dense(layer: Conv2D) -> Iterator[Call]:
    outputs, *window, inputs = layer.weight.shape
    names = []
    if window == [1, 1] and layer.stride == 1 and inputs % 4 == 0 and outputs % 2 == 0:
        names = ["POINTWISE", *([f"POINTWISE_{inputs}"] if inputs in _UNROLLED else [])]
    elif window == [3, 3] and layer.stride == 2 and inputs == 3 and outputs % 2 == 0:
        names = ["RGB"]
    for name in names:
        yield from (Call(name), Call(f"{name}_FLOAT"))


_WAYS = {"CMSIS-NN": _of_cmsis_nn, "TinyEngine": _of_tinyengine}
