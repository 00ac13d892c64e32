"""C helpers of the harness itself, compiled for this host at first use and kept in the cache."""

import ctypes
import functools
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from hil.build.once import digest, made_once
from hil.build.toolchain import environment
from hil.errors import BuildError
from hil.paths import cache

_COMPILER = (sys.executable, "-m", "ziglang", "cc")
# Not for the very CPU that compiles: a cache may be shared by machines, or outlive one.
_FLAGS = (
    *("-std=c11", "-O2", "-mcpu=baseline", "-fPIC", "-shared"),
    *("-Wall", "-Wextra", "-Wconversion", "-Werror"),
)
# The C library is that of the Python that loads it. zig would compile one of its own first, for
# functions that the processor lacks: 3 CPU seconds for what a helper hardly ever calls.
_ALONE = ("-nostdlib",) if sys.platform == "linux" else ()
_SOURCES = frozenset({".c", ".h"})


@dataclass(frozen=True)
class Mirror:
    """A C structure that Python has too.

    Attributes:
        structure: Python's.
        name: the C type's.
        whole: whether it has all members, rather than the first few that Python uses.
    """

    structure: type[ctypes.Structure]
    name: str
    whole: bool = True

    def assertions(self) -> Iterator[str]:
        """Yield C statements that hold where both structures agree."""
        for member, *_ in self.structure._fields_:
            place = getattr(self.structure, member)
            here = f"{self.name}.{member}"
            yield _assertion(f"offsetof({self.name}, {member})", place.offset, f"place of {here}")
            length = f"sizeof((({self.name} *)0)->{member})"
            yield _assertion(length, place.size, f"size of {here}")
        if self.whole:
            size = ctypes.sizeof(self.structure)
            yield _assertion(f"sizeof({self.name})", size, f"size of {self.name}")


@dataclass(frozen=True, eq=False)  # known by itself: `load` looks at the files of each once
class Source:
    """A C file, and what Python takes it to say.

    Attributes:
        path: of the file.
        root: the folder that all it includes is in; a change of any C file there compiles anew.
        mirrors: structures that Python has too.
        constants: numbers that Python has too, by their C names.
        packages: Python packages whose C headers it includes.
    """

    path: Path
    root: Path
    mirrors: Sequence[Mirror] = ()
    constants: Mapping[str, int] = field(default_factory=dict)
    packages: Sequence[str] = ()

    def text(self) -> str:
        """Return C that compiles the file, if Python and C agree."""
        lines = [f'#include "{self.path.as_posix()}"', "#include <stddef.h>"]
        for mirror in self.mirrors:
            lines += mirror.assertions()
        for name, value in self.constants.items():
            lines.append(_assertion(name, value, name))
        return "\n".join(lines) + "\n"


@functools.cache  # or each chip would have the folder of its C files read a dozen times
def load(source: Source, *, for_all: bool = False) -> ctypes.CDLL:
    """Compile a C file, if need be, and load it; once in this process for each `Source`.

    Args:
        source: the file.
        for_all: whether libraries that are loaded later find its functions, before their own.

    Raises:
        BuildError: the compiler is missing or refuses, as it does where Python's mirror of a
            structure or a constant is not what C has.
    """
    mode = ctypes.RTLD_GLOBAL if for_all else ctypes.RTLD_LOCAL
    return ctypes.CDLL(str(_made(source)), mode=mode)


def load_brief(source: Source) -> ctypes.PyDLL:
    """As `load`, for functions that are over soon: other threads of Python wait for them.

    Args:
        source: the file.

    Raises:
        BuildError: as of `load`.
    """
    return ctypes.PyDLL(str(_made(source)))


def _made(source: Source) -> Path:
    return made_once(_place(source), lambda scratch: _compile(source, scratch))


def _place(source: Source) -> Path:
    system = "-".join([sys.platform, platform.machine(), *filter(None, platform.libc_ver())])
    assertions = source.text().partition("\n")[2]
    packages = (f"{package} {metadata.version(package)}" for package in source.packages)
    words = (*_FLAGS, *_ALONE, *packages, _compiler_version(), system, source.path.name, assertions)
    name = f"{source.path.stem}-{system}-{digest(words, [source.root], _SOURCES)}.so"
    return cache() / "native" / name


def _compiler_version() -> str:
    try:
        return metadata.version("ziglang")
    except metadata.PackageNotFoundError as error:
        raise BuildError(
            "the emulated board's C parts need a compiler, and ziglang is not installed",
            hint="pip install ziglang",
            stage="toolchain",
        ) from error


def _compile(source: Source, scratch: Path) -> Path:
    text = scratch / "checked.c"
    text.write_text(source.text(), encoding="utf-8")
    built = _linked(source, text, scratch / "built.so", _ALONE)
    return built if not _ALONE or _loads(built) else _linked(source, text, scratch / "whole.so", ())


def _linked(source: Source, text: Path, built: Path, how: Sequence[str]) -> Path:
    headers = [f"-isystem{folder}" for folder in _headers(source)]
    command = [*_COMPILER, *_FLAGS, *headers, *how, "-o", str(built), str(text)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    if result.returncode:
        raise BuildError(
            f"{source.path.name} does not compile: {result.stderr.strip()}",
            hint="a static assertion that failed names what Python and C have differently",
            stage="compile",
        )
    return built


def _headers(source: Source) -> Iterator[Path]:
    """Yield the folders of C headers that Python packages bring."""
    for package in source.packages:
        found = find_spec(package)
        for folder in (found and found.submodule_search_locations) or ():
            yield Path(folder) / "include"


def _loads(built: Path) -> bool:
    """Whether a library finds all that it calls in this Python."""
    try:
        ctypes.CDLL(str(built))
    except OSError:
        return False
    return True


def _assertion(expression: str, value: int, what: str) -> str:
    return f'_Static_assert(({expression}) == {int(value)}, "Python has another {what}");'
