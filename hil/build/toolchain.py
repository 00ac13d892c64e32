"""The cross compilers that firmware can be built with."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from hil.build.kept import ZIG, note_use
from hil.errors import BuildError, UsageError
from hil.paths import FIRMWARE, cache

_TOOLCHAINS = FIRMWARE / "toolchains"
_GCC = "arm-none-eabi-gcc"
_DEADLINE_S = 20.0


@dataclass(frozen=True)
class Toolchain:
    """A cross compiler for Cortex-M4, found on this machine.

    Attributes:
        name: "zig" or "gcc", after `firmware/toolchains/<name>.cmake`.
        version: as the compiler says it.
        flags: what decides the code it generates, from `firmware/toolchains/<name>.flags`.
        program: the compiler's path, which does not enter the image.
        contracts: whether images check what their functions take for granted
            (`firmware/contract.h`), at a cost in cycles and bytes; a condition that does not hold
            ends in a fault that names it.
    """

    name: str
    version: str
    flags: tuple[str, ...]
    program: Path
    contracts: bool = False

    def __str__(self) -> str:
        checked = " with contracts" if self.contracts else ""
        return f"{self.name} {self.version}{checked}"

    @property
    def fingerprint(self) -> str:
        """Compiler, version and flags; cycle counts compare between equal ones."""
        return f"{self} {' '.join(self.flags)}"

    @property
    def cmake_file(self) -> Path:
        """What CMake takes as --toolchain."""
        return _TOOLCHAINS / f"{self.name}.cmake"


def find_toolchain(name: str) -> Toolchain:
    """Find a compiler by name.

    Args:
        name: "zig", clang out of the `ziglang` wheel, or "gcc", arm-none-eabi-gcc on PATH.

    Raises:
        UsageError: another name. BuildError: it is not installed; says how to install it.
    """
    finders = {"zig": _zig, "gcc": _gcc}
    if name not in finders:
        raise UsageError.unknown("toolchain", name, list(finders))
    program, version = finders[name]()
    flags = (_TOOLCHAINS / f"{name}.flags").read_text(encoding="utf-8").split()
    return Toolchain(name, version, tuple(flags), program)


def environment() -> dict[str, str]:
    """Return the environment to run a compiler in.

    zig keeps what it has made of its own libraries; it does so below the cache of builds, unless
    the environment already says where.
    """
    place = cache() / ZIG
    place.mkdir(parents=True, exist_ok=True)
    note_use(place)
    ours = dict.fromkeys(("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"), str(place))
    return ours | os.environ


def find_all() -> list[Toolchain]:
    """Return the toolchains that this machine has: zig always, gcc where it is on PATH."""
    return [find_toolchain("zig"), *([find_toolchain("gcc")] if shutil.which(_GCC) else [])]


def _zig() -> tuple[Path, str]:
    spec = util.find_spec("ziglang")
    if spec is None or spec.origin is None:
        raise BuildError(
            "the default cross compiler, zig, is not installed",
            hint="pip install ziglang",
            stage="toolchain",
        )
    # Resolved, as zig resolves its own path: the build maps this path away from images.
    return Path(spec.origin).with_name("zig").resolve(), metadata.version("ziglang")


def _gcc() -> tuple[Path, str]:
    found = shutil.which(_GCC)
    if found is None:
        raise BuildError(
            "arm-none-eabi-gcc is not on PATH",
            hint="apt-get install gcc-arm-none-eabi, or leave out --hil-toolchain=gcc",
            stage="toolchain",
        )
    command = [found, "-dumpfullversion"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=_DEADLINE_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise BuildError(
            f"{found} does not say its version: {error}",
            hint="install it again",
            stage="toolchain",
        ) from error
    return Path(found), answer.stdout.strip()
