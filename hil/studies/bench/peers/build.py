"""A peer's kernels as a program for the emulated core, by each compiler and at each level."""

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hil.build.toolchain import Toolchain, environment
from hil.errors import BuildError
from hil.paths import FIRMWARE
from hil.studies.bench.peers.calls import header
from hil.studies.bench.peers.checkouts import Checkout
from hil.studies.timing_validation.gcc import HERE as BARE

_LEVELS = {"zig": ("-O2",), "gcc": ("-O2", "-O3")}  # clang makes the same code of both
_OURS = Path(__file__).parent / "c"
_MEMORY = FIRMWARE / "runtime" / "memory.c"
_DEADLINE_S = 600
_LEFT_OUT = {"-O2", "-ffreestanding", "-ffp-contract=off"}
"""Flags of our firmware that are no peer's."""
_LOOSE = (
    *("-w", "-ffunction-sections", "-fdata-sections", "-fno-strict-aliasing"),
    # what clang refuses though it is told not to warn, and gcc does not
    *("-Wno-error=int-conversion", "-Wno-error=incompatible-pointer-types"),
    "-Wno-error=implicit-function-declaration",
)
STACK = 0x2000_8000
"""Top of the stack in `peer.ld`: below it are the program's own data, above it a layer's maps."""


@dataclass(frozen=True)
class Build:
    """A peer by one compiler at one level.

    Attributes:
        title: for people.
        elf: the program.
        calls: the names of its kernels, by number.
    """

    title: str
    elf: Path
    calls: tuple[str, ...]


def builds(checkout: Checkout, toolchains: Sequence[Toolchain], scratch: Path) -> Iterator[Build]:
    """Build a peer by each compiler, at each level and with each of its own options.

    Args:
        checkout: whose kernels.
        toolchains: the compilers.
        scratch: a folder for these builds.

    Raises:
        BuildError: one does not compile.
    """
    for toolchain in toolchains:
        for level in _LEVELS[toolchain.name]:
            for option in checkout.options:
                folder = scratch / f"{toolchain.name}{level}{option}"
                folder.mkdir(parents=True)
                yield build(checkout, toolchain, tuple(f"{level} {option}".split()), folder)


def build(checkout: Checkout, toolchain: Toolchain, how: tuple[str, ...], scratch: Path) -> Build:
    """Compile a checkout's kernels, and C of ours that calls them.

    Args:
        checkout: whose kernels.
        toolchain: the compiler.
        how: flags, beside those that name the target.
        scratch: a folder for this build alone.

    Raises:
        BuildError: it does not compile, or not link; with the end of what the compiler says.
    """
    (scratch / "work.h").write_text(header(checkout.calls), encoding="utf-8")
    for name, text in checkout.written.items():
        (scratch / name).write_text(text, encoding="utf-8")
    written = [scratch / name for name in checkout.written if name.endswith(".c")]
    compiler = _compiler(toolchain)
    target = [flag for flag in toolchain.flags if flag not in _LEFT_OUT]
    include = [f"-I{folder}" for folder in (_OURS, *checkout.include, scratch)]
    include += [] if toolchain.name == "gcc" else [f"-isystem{_OURS / 'libc'}"]
    kernels = [*checkout.sources, *written, checkout.glue, _OURS / "main.c"]
    common = [*compiler, *target, *_LOOSE, *include]
    title = f"{toolchain} {' '.join(how)}"
    _call([*common, *how, "-c", *map(str, kernels)], scratch, f"{checkout} with {title}")
    start = [BARE / "bare.c", *([] if toolchain.name == "gcc" else [_MEMORY])]
    slowly = ["-O1", "-fno-builtin", "-c", *map(str, start)]
    _call([*common, *slowly], scratch, f"{checkout} with {title}")
    elf = scratch / "peer.elf"
    link = ["-nostartfiles", f"-T{_OURS / 'peer.ld'}", "-Wl,--gc-sections"]
    link += ["-o", str(elf)]
    library = ["-lm"] if toolchain.name == "gcc" else []
    objects = sorted(path.name for path in scratch.glob("*.o"))
    _call([*compiler, *target, *link, *objects, *library], scratch, f"{checkout} with {title}")
    return Build(title, elf, checkout.calls)


def _compiler(toolchain: Toolchain) -> list[str]:
    return [str(toolchain.program), *(["cc"] if toolchain.name == "zig" else [])]


def _call(command: Sequence[str], folder: Path, what: str) -> None:
    try:
        said = subprocess.run(
            command,
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{what} is not built: {error}", hint="try it by hand") from error
    if said.returncode:
        raise BuildError(
            f"{what} does not build: {said.stderr.strip()[-600:]}",
            hint="is the checkout whole, and of the default branch?",
        )
