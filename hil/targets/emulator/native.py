"""The emulator's C parts, compiled at first use and kept in the user's cache."""

import ctypes
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hil.build.kept import note_use
from hil.errors import BuildError
from hil.paths import cache

_FLAGS = ("-std=c11", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-Wconversion", "-Werror")
_HERE = Path(__file__).parent


def load(source: str, headers: Sequence[str] = ("core/run_control.h",)) -> ctypes.CDLL:
    """Compile a C file of this directory, if need be, and load it.

    Args:
        source: file name.
        headers: what it includes, so that a change compiles it anew.

    Raises:
        BuildError: the compiler is missing or refuses.
    """
    digest = hashlib.sha256(" ".join(_FLAGS).encode())
    for name in (source, *headers):
        digest.update((_HERE / name).read_bytes())
    stem = Path(source).stem
    library = cache() / "native" / f"{stem}-{sys.platform}-{digest.hexdigest()[:16]}.so"
    if library.exists():
        note_use(library)
    else:
        _compile(_HERE / source, library)
    return ctypes.CDLL(str(library))


def _compile(source: Path, library: Path) -> None:
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as scratch:
        built = Path(scratch) / library.name
        command = [sys.executable, "-m", "ziglang", "cc", *_FLAGS, "-o", str(built), str(source)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise BuildError(
                f"{source.name} does not compile: {result.stderr.strip()}",
                hint="the emulated board needs the ziglang wheel: pip install ziglang",
            )
        # Renamed into place, so that a second process never loads half a file.
        built.replace(library)
